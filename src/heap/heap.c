/* heap.c - which thread has which heap; see heap.h. What heaps do is in pool.c.
 *
 * Sync  H1: a segment and a heap are published in the table before their id stands in any page-map entry */
#include "heap/heap.h"

#include "base/panic.h"
#include "heap/meta.h"
#include "heap/upkeep.h"
#include "os/env.h"
#include "os/lock.h"
#include "os/inspect.h"
#include "os/thread.h"

enum {
    ID_SHARED = 1,
    ID_FIRST = 2,
    ID_NONE = (1 << HEAP_ID_BITS) - 1, /* of neb_heap_none: owns nothing, ever */
    SEGMENTS = (1 << HEAP_ID_BITS) / HEAP_SEGMENT
};

/* Empty and full at once. Its one element is read, never written. */
static void *no_blocks[1];

#define NO_BIN {no_blocks, no_blocks}
#define NO_BINS8 NO_BIN, NO_BIN, NO_BIN, NO_BIN, NO_BIN, NO_BIN, NO_BIN, NO_BIN
#define NO_STEP &neb_heap_none.bin[0]
#define NO_STEPS8 NO_STEP, NO_STEP, NO_STEP, NO_STEP, NO_STEP, NO_STEP, NO_STEP, NO_STEP

struct heap neb_heap_none = {
    .tag = (uint32_t)ID_NONE << ENTRY_OFFSET_BITS,
    .id = ID_NONE,
    .bin_by_step = {NO_STEPS8, NO_STEPS8, NO_STEPS8, NO_STEPS8, NO_STEPS8, NO_STEPS8, NO_STEPS8, NO_STEPS8, NO_STEP},
    .bin = {NO_BINS8, NO_BINS8, NO_BINS8, NO_BINS8, NO_BINS8, NO_BINS8, NO_BINS8, NO_BINS8, NO_BINS8},
};
struct heap neb_heap_shared;
_Thread_local struct tls neb_tls __attribute__((tls_model("initial-exec"))) = {&neb_heap_none, 0, THREAD_YOUNG, 0, 0, NULL};

struct segment {
    _Atomic(struct heap *) heap[HEAP_SEGMENT];
};

static _Atomic(struct segment *) segments[SEGMENTS];
static struct heap *unused;           /* heaps whose thread ended */
static _Atomic uint32_t id_next = ID_FIRST;
static _Atomic uint32_t alive_count;
static _Atomic bool others_exist;
static _Atomic bool can_watch_threads;
static bool is_hardened; /* written before there are threads */

static void heap_init(struct heap *heap, uint32_t id)
{
    heap->id = id;
    heap->tag = id << ENTRY_OFFSET_BITS;
    for (unsigned step = 0; step <= FAST_MAX / 16; step++)
        heap->bin_by_step[step] = &heap->bin[size_class_of(step * 16)];
    for (unsigned class = 0; class < CLASS_COUNT; class++)
        heap->bin[class] = (struct bin)NO_BIN;
    atomic_store_explicit(&heap->inbox.head, &neb_inbox_closed, memory_order_relaxed); /* opened before it is used */
}

static bool table_set(uint32_t id, struct heap *heap)
{
    struct segment *segment = atomic_load_explicit(&segments[id / HEAP_SEGMENT], memory_order_relaxed); /* lock held */
    if (segment == NULL) {
        segment = neb_meta_take(sizeof *segment, 64);
        if (segment == NULL)
            return false;
        atomic_store_explicit(&segments[id / HEAP_SEGMENT], segment, memory_order_release); /* H1 */
    }
    atomic_store_explicit(&segment->heap[id % HEAP_SEGMENT], heap, memory_order_release); /* H1 */
    return true;
}

struct heap *neb_heap_by_id(uint32_t id)
{
    if (id == ID_SHARED)
        return &neb_heap_shared;
    if (id >= ID_NONE)
        return NULL;
    struct segment *segment = atomic_load_explicit(&segments[id / HEAP_SEGMENT], memory_order_acquire); /* H1 */
    return segment == NULL ? NULL : atomic_load_explicit(&segment->heap[id % HEAP_SEGMENT], memory_order_acquire); /* H1 */
}

uint32_t neb_heap_id_bound(void)
{
    return atomic_load_explicit(&id_next, memory_order_relaxed); /* by_id acquires */
}

bool neb_heap_others_exist(void)
{
    return atomic_load_explicit(&others_exist, memory_order_relaxed); /* a hint */
}

/* A new structure with the next id; NULL: no memory, or half a million heaps. */
static struct heap *heap_create_locked(void)
{
    uint32_t id = atomic_load_explicit(&id_next, memory_order_relaxed); /* written under the lock only */
    if (id >= ID_NONE)
        return NULL;
    struct heap *heap = neb_meta_take(sizeof *heap, 64);
    if (heap == NULL)
        return NULL;
    heap_init(heap, id);
    if (!table_set(id, heap))
        return NULL;
    atomic_store_explicit(&id_next, id + 1, memory_order_relaxed);
    return heap;
}

static struct heap *heap_take(void)
{
    neb_lock_take(&neb_locks[LOCK_HEAP_TABLE]);
    struct heap *heap = unused;
    if (heap != NULL)
        unused = heap->next_unused;
    else
        heap = heap_create_locked();
    if (heap != NULL && atomic_fetch_add_explicit(&alive_count, 1, memory_order_relaxed) > 0)
        atomic_store_explicit(&others_exist, true, memory_order_relaxed);
    neb_lock_give(&neb_locks[LOCK_HEAP_TABLE]);
    if (heap == NULL)
        return NULL;
    neb_inbox_open(&heap->inbox);
    heap->slow_calls = 0;
    heap->swept_ms = neb_clock_ms();
    return heap;
}

static struct heap *shared_enter(void)
{
    neb_lock_take(&neb_locks[LOCK_SHARED_HEAP]);
    struct heap *heap = &neb_heap_shared;
    if (heap->id == 0) {
        heap_init(heap, ID_SHARED);
        neb_inbox_open(&heap->inbox);
        heap->swept_ms = neb_clock_ms();
        atomic_store_explicit(&others_exist, true, memory_order_relaxed);
    }
    return heap;
}

/* The process's first heap goes to whoever comes first, which nearly always is the main thread. */
static bool thread_deserves_heap(struct tls *tls)
{
    return tls->slow_calls++ >= YOUNG_CALLS || atomic_load_explicit(&alive_count, memory_order_relaxed) == 0;
}

void neb_heap_set_aside(bool aside)
{
    struct tls *tls = &neb_tls;
    if (aside && tls->state != THREAD_AMBIENT) {
        tls->aside = tls->state == THREAD_SLOW ? tls->aside : tls->heap;
        tls->aside_state = tls->state;
        tls->heap = &neb_heap_none;
        tls->state = THREAD_AMBIENT;
    } else if (!aside && tls->state == THREAD_AMBIENT) {
        tls->heap = tls->aside_state == THREAD_SLOW ? &neb_heap_none : tls->aside;
        tls->state = tls->aside_state;
    }
}

static void slow_down(struct tls *tls)
{
    tls->aside = tls->heap;
    tls->heap = &neb_heap_none;
    tls->state = THREAD_SLOW;
}

void neb_heap_harden(void)
{
    is_hardened = true;
    if (neb_tls.state == THREAD_HAS_HEAP)
        slow_down(&neb_tls);
}

bool neb_heap_is_hardened(void)
{
    return is_hardened;
}

size_t neb_heap_random(struct heap *heap, size_t bound)
{
    if (NEB_UNLIKELY(heap->random == 0)) {
        neb_os_random(&heap->random, sizeof heap->random);
        heap->random |= 1;
    }
    heap->random ^= heap->random << 13;
    heap->random ^= heap->random >> 7;
    heap->random ^= heap->random << 17;
    return (size_t)(((heap->random >> 32) * bound) >> 32);
}

NEB_NOINLINE struct heap *neb_heap_enter(void)
{
    struct tls *tls = &neb_tls;
    if (NEB_LIKELY(tls->state == THREAD_HAS_HEAP))
        return tls->heap;
    if (tls->state == THREAD_SLOW)
        return tls->aside;
    if (tls->state == THREAD_AMBIENT)
        return tls->aside_state == THREAD_HAS_HEAP || tls->aside_state == THREAD_SLOW ? tls->aside : shared_enter();
    if (tls->state == THREAD_ENDED || !thread_deserves_heap(tls))
        return shared_enter();
    struct heap *heap = heap_take();
    if (heap == NULL)
        return shared_enter();
    tls->heap = heap;
    tls->state = THREAD_HAS_HEAP;
    if (is_hardened)
        slow_down(tls);
    if (atomic_load_explicit(&can_watch_threads, memory_order_relaxed))
        (void)neb_thread_watch(); /* refused: the heap's memory stays with it when the thread ends */
    return heap;
}

void neb_heap_leave(struct heap *heap)
{
    if (heap == &neb_heap_shared)
        neb_lock_give(&neb_locks[LOCK_SHARED_HEAP]);
}

void neb_heap_end(void)
{
    struct heap *heap = neb_tls.state == THREAD_SLOW ? neb_tls.aside : neb_tls.heap;
    if (neb_tls.state != THREAD_HAS_HEAP && neb_tls.state != THREAD_SLOW)
        return;
    neb_tls.heap = &neb_heap_none;
    neb_tls.state = THREAD_ENDED;
    neb_heap_give_up(heap);
    neb_lock_take(&neb_locks[LOCK_HEAP_TABLE]);
    atomic_fetch_sub_explicit(&alive_count, 1, memory_order_relaxed);
    heap->next_unused = unused;
    unused = heap;
    neb_lock_give(&neb_locks[LOCK_HEAP_TABLE]);
}

static void thread_end_hook(void)
{
    neb_heap_end();
}

void neb_heap_watch_threads(bool can_watch)
{
    atomic_store_explicit(&can_watch_threads, can_watch && neb_thread_watch_init(thread_end_hook), memory_order_relaxed);
    if (neb_tls.state == THREAD_HAS_HEAP || neb_tls.state == THREAD_SLOW)
        (void)neb_thread_watch();
}
