/* entry.c - the life of a page-map entry in C11: a slab is made, a block of it freed by another thread, the slab
 * released, and its granules reused by a third one for another class.
 *
 *   0: descriptor, entry := owned by 0, block to 1 ... block from the inbox, entry := none, granules back
 *   1:                             look at entry, descriptor, push to 0's inbox
 *   2:                                              granules under the lock, descriptor, entry := owned by 2
 *
 * Shows      a block that is out pins its slab's descriptor, though a look takes no lock and no reference;
 *            granules come out of the chunk allocator with an empty entry
 * Sync       E1: an entry is published after what it describes
 *            E2: the push releases the look at the descriptor, the drain acquires it before the reuse
 *            E3: the entry is emptied before the chunk lock gives the granules back */
#include "model.h"
#include <stdint.h>

enum { NONE = 0, OWNED_BY_0 = 1, OWNED_BY_2 = 2 };

#if defined(MUTANT_PUSH_RELAXED)
#define PUSH_ORDER memory_order_relaxed
#else
#define PUSH_ORDER memory_order_release
#endif

static _Atomic uint32_t entry;
static uint32_t block_size;          /* the descriptor: plain */
static _Atomic uint32_t passed;      /* the block, by the program's own means */
static _Atomic uint32_t inbox;       /* of heap 0 */
static pthread_mutex_t chunk_lock = PTHREAD_MUTEX_INITIALIZER;
static int granules_taken;           /* under chunk_lock */

static void granules_give_back(void)
{
    pthread_mutex_lock(&chunk_lock);
    granules_taken = 0;
    pthread_mutex_unlock(&chunk_lock);
}

static int granules_take(void)
{
    pthread_mutex_lock(&chunk_lock);
    int ok = !granules_taken;
    granules_taken = 1;
    pthread_mutex_unlock(&chunk_lock);
    return ok;
}

static void *heap_0(void *unused)
{
    block_size = 16;
    atomic_store_explicit(&entry, OWNED_BY_0, memory_order_release); /* E1 */
#ifdef MUTANT_PASSED_RELAXED /* the program's mistake, not ours: shows that the passing is what carries E1 */
    atomic_store_explicit(&passed, 1, memory_order_relaxed);
#else
    atomic_store_explicit(&passed, 1, memory_order_release);
#endif
    WAIT_UNTIL(atomic_load_explicit(&inbox, memory_order_acquire) != 0); /* E2 */
#ifdef MUTANT_GRANULES_BACK_BEFORE_ENTRY
    granules_give_back();
    WIDEN();
    atomic_store_explicit(&entry, NONE, memory_order_release);
#else
    atomic_store_explicit(&entry, NONE, memory_order_release); /* E3 */
    granules_give_back();
#endif
    return unused;
}

static void *heap_1(void *unused)
{
    WAIT_UNTIL(atomic_load_explicit(&passed, memory_order_acquire) != 0);
    /* Relaxed is enough: the block was passed after the entry was written, and nobody empties it before the push. */
    uint32_t seen = atomic_load_explicit(&entry, memory_order_relaxed);
    MUST(seen == OWNED_BY_0);
    MUST(block_size == 16);
    atomic_store_explicit(&inbox, 1, PUSH_ORDER); /* E2 */
    return unused;
}

static void *heap_2(void *unused)
{
    WAIT_UNTIL(granules_take());
    MUST(atomic_load_explicit(&entry, memory_order_relaxed) == NONE); /* E3 */
    block_size = 32;
    atomic_store_explicit(&entry, OWNED_BY_2, memory_order_release); /* E1 */
    return unused;
}

int main(void)
{
    static void *(*const body[])(void *) = {heap_0, heap_1, heap_2};
    for (int scene = 0; scene < SCENES; scene++) {
        atomic_store_explicit(&entry, NONE, memory_order_relaxed);
        atomic_store_explicit(&passed, 0, memory_order_relaxed);
        atomic_store_explicit(&inbox, 0, memory_order_relaxed);
        block_size = 0;
        granules_taken = 1;
        threads_run(body, 3);
        MUST(atomic_load_explicit(&entry, memory_order_relaxed) == OWNED_BY_2);
        MUST(block_size == 32);
    }
    return 0;
}
