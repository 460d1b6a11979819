/* heap.c - which thread has which heap; see heap.h. What heaps do is in pool.c.
 *
 * Sync  H1: a segment and a heap, the shared one too, are published before their id stands in any page-map entry */
#include "heap/heap.h"

#include "base/panic.h"
#include "base/random.h"
#include "heap/meta.h"
#include "heap/upkeep.h"
#include "heap/vacant.h"
#include "os/env.h"
#include "os/inspect.h"
#include "os/lock.h"
#include "os/signal.h"
#include "os/thread.h"

enum {
    ID_SHARED = 1,
    ID_FIRST = 2,
    ID_NONE = (1 << HEAP_ID_BITS) - 1, /* of neb_heap_none: owns nothing, ever */
    SEGMENTS = 14
};

/* Empty and full at once. Its one element is read, never written. */
static void *no_blocks[1];

#define NO_BIN {no_blocks, no_blocks}
#define NO_BINS8 NO_BIN, NO_BIN, NO_BIN, NO_BIN, NO_BIN, NO_BIN, NO_BIN, NO_BIN

NEB_SECTION(".data.none") struct heap neb_heap_none = {
    .tag = (uint32_t)ID_NONE << ENTRY_OFFSET_BITS,
    .id = ID_NONE,
    .bin = {NO_BINS8, NO_BINS8, NO_BINS8, NO_BINS8, NO_BINS8, NO_BINS8, NO_BINS8, NO_BINS8, NO_BINS8, NO_BINS8},
};
_Static_assert(CLASS_COUNT == 10 * 8, "each has its bin there");
NEB_SPARSE struct heap neb_heap_shared;
_Thread_local struct tls neb_tls __attribute__((tls_model("initial-exec"))) = {.heap = &neb_heap_none, .source = &neb_heap_none};

typedef _Atomic(struct heap *) heap_entry;

/* Each is of twice as many heaps as the one before, so that few do for all ids, and share a page with other variables. */
static _Atomic(heap_entry *) segments[SEGMENTS];
_Static_assert(((HEAP_SEGMENT << SEGMENTS) - HEAP_SEGMENT) >= (1 << HEAP_ID_BITS), "each id has its place");
static _Atomic(struct heap *) shared; /* NULL: no thread has needed it yet */
static _Atomic uint32_t id_next = ID_FIRST;
static _Atomic uint32_t alive_count;
static _Atomic bool others_exist;
static _Atomic bool can_watch_threads;
static bool is_hardened; /* written before there are threads */

static void heap_init(struct heap *heap, uint32_t id)
{
    heap->id = id;
    heap->tag = id << ENTRY_OFFSET_BITS;
    for (unsigned class = 0; class < CLASS_COUNT; class++)
        heap->bin[class] = (struct bin)NO_BIN;
    atomic_store_explicit(&heap->inbox.head, &neb_inbox_closed, memory_order_relaxed); /* opened before it is used */
}

static unsigned segment_of(uint32_t id)
{
    return bits_log2_floor(id / HEAP_SEGMENT + 1);
}

static size_t segment_heaps(unsigned index)
{
    return (size_t)HEAP_SEGMENT << index;
}

static size_t place_in_segment(uint32_t id)
{
    return id - (segment_heaps(segment_of(id)) - HEAP_SEGMENT);
}

static bool table_set(uint32_t id, struct heap *heap)
{
    unsigned index = segment_of(id);
    heap_entry *segment = atomic_load_explicit(&segments[index], memory_order_relaxed); /* lock held */
    if (segment == NULL) {
        segment = neb_meta_take(segment_heaps(index) * sizeof *segment, 64);
        if (segment == NULL)
            return false;
        atomic_store_explicit(&segments[index], segment, memory_order_release); /* H1 */
    }
    atomic_store_explicit(&segment[place_in_segment(id)], heap, memory_order_release); /* H1 */
    return true;
}

NEB_THREADED struct heap *neb_heap_by_id(uint32_t id)
{
    if (id == ID_SHARED)
        return atomic_load_explicit(&shared, memory_order_acquire); /* H1 */
    if (id >= ID_NONE)
        return NULL;
    heap_entry *segment = atomic_load_explicit(&segments[segment_of(id)], memory_order_acquire); /* H1 */
    return segment == NULL ? NULL : atomic_load_explicit(&segment[place_in_segment(id)], memory_order_acquire); /* H1 */
}

NEB_THREADED uint32_t neb_heap_id_bound(void)
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

static struct heap *heap_create(void)
{
    neb_lock_take(&neb_locks[LOCK_HEAP_TABLE]);
    struct heap *heap = heap_create_locked();
    neb_lock_give(&neb_locks[LOCK_HEAP_TABLE]);
    return heap;
}

static struct heap *heap_take(void)
{
    struct heap *heap = neb_vacant_take_empty();
    if (heap == NULL)
        heap = heap_create();
    if (heap == NULL)
        return NULL;
    neb_inbox_open(&heap->inbox);
    heap->slow_calls = 0;
    heap->swept_ms = neb_clock_ms();
    return heap;
}

static void alive_add(void)
{
    if (atomic_fetch_add_explicit(&alive_count, 1, memory_order_relaxed) > 0)
        atomic_store_explicit(&others_exist, true, memory_order_relaxed);
}

static NEB_THREADED struct heap *shared_enter(void)
{
    neb_lock_take(&neb_locks[LOCK_SHARED_HEAP]);
    struct heap *heap = &neb_heap_shared;
    if (heap->id == 0) {
        heap_init(heap, ID_SHARED);
        neb_inbox_open(&heap->inbox);
        heap->swept_ms = neb_clock_ms();
        atomic_store_explicit(&shared, heap, memory_order_release); /* H1 */
        atomic_store_explicit(&others_exist, true, memory_order_relaxed);
    }
    return heap;
}

/* The process's first heap goes to whoever comes first, which nearly always is the main thread. */
static bool thread_deserves_heap(struct tls *tls)
{
    if (tls->slow_calls < YOUNG_CALLS && atomic_load_explicit(&alive_count, memory_order_relaxed) != 0) {
        tls->slow_calls++;
        return false;
    }
    return true;
}

static void tls_set(struct tls *tls, struct heap *heap)
{
    tls->heap = heap;
    tls->source = heap;
}

/* A handler has no scope of its own. */
NEB_SELDOM void neb_heap_set_aside(bool aside)
{
    struct tls *tls = &neb_tls;
    if (aside && tls->state < THREAD_AMBIENT) {
        tls->aside = tls->state == THREAD_SLOW ? tls->aside : tls->heap;
        tls->aside_state = tls->state & 15u;
        tls_set(tls, &neb_heap_none);
        tls->state = THREAD_AMBIENT;
    } else if (!aside && tls->state == THREAD_AMBIENT) {
        tls_set(tls, tls->aside_state == THREAD_SLOW ? &neb_heap_none : tls->aside);
        tls->state = tls->aside_state;
    }
}

static void slow_down(struct tls *tls)
{
    tls->aside = tls->heap;
    tls_set(tls, &neb_heap_none);
    tls->state = THREAD_SLOW;
}

NEB_SELDOM void neb_heap_harden(void)
{
    is_hardened = true;
    if (neb_tls.state == THREAD_HAS_HEAP)
        slow_down(&neb_tls);
}

bool neb_heap_is_hardened(void)
{
    return is_hardened;
}

NEB_SELDOM size_t neb_heap_random(struct heap *heap, size_t bound)
{
    if (NEB_UNLIKELY(heap->random == 0)) {
        neb_os_random(&heap->random, sizeof heap->random);
        heap->random |= 1;
    }
    return random_below(&heap->random, bound);
}

static bool is_with_heap(unsigned state)
{
    return state == THREAD_HAS_HEAP || state == THREAD_SLOW;
}

static NEB_NOINLINE struct heap *enter_slow(struct tls *tls, bool takes)
{
    if (tls->state == THREAD_SLOW)
        return tls->aside;
    if (tls->state == THREAD_AMBIENT)
        return is_with_heap(tls->aside_state) ? tls->aside : shared_enter();
    if (tls->state >= THREAD_ENDED)
        return shared_enter();
    struct heap *heap = takes ? neb_vacant_take_parked() : NULL;
    if (heap == NULL && thread_deserves_heap(tls))
        heap = heap_take();
    if (heap == NULL)
        return shared_enter();
    alive_add();
    tls_set(tls, heap);
    tls->state = THREAD_HAS_HEAP;
    if (is_hardened)
        slow_down(tls);
    heap_watch();
    if (atomic_load_explicit(&can_watch_threads, memory_order_relaxed))
        (void)neb_thread_watch(); /* refused: the heap's memory stays with it when the thread ends */
    return heap;
}

static NEB_NOINLINE struct heap *enter(bool takes)
{
    struct tls *tls = &neb_tls;
    if (NEB_UNLIKELY(tls->state == THREAD_IN_HANDLER))
        neb_heap_end_left_handler();
    if (NEB_UNLIKELY(tls->state == THREAD_IN_HANDLER))
        return shared_enter(); /* is_busy is the interrupted call's */
    tls->is_busy = true;
    atomic_signal_fence(memory_order_seq_cst);
    return NEB_LIKELY(tls->state == THREAD_HAS_HEAP) ? tls->heap : enter_slow(tls, takes);
}

struct heap *neb_heap_enter(void)
{
    return enter(false);
}

struct heap *neb_heap_enter_to_take(void)
{
    return enter(true);
}

void neb_heap_leave(struct heap *heap)
{
    if (heap == &neb_heap_shared)
        neb_lock_give(&neb_locks[LOCK_SHARED_HEAP]);
    atomic_signal_fence(memory_order_seq_cst);
    if (neb_tls.state != THREAD_IN_HANDLER)
        neb_tls.is_busy = false;
}

/* ---- signal handlers; see heap.h --------------------------------------------------------------------------------------- */

static bool is_below_handler(const struct tls *tls, uintptr_t sp)
{
    return tls->handler_depth == 0 ? sp <= tls->handler_frame : tls->handler_frame - sp <= tls->handler_depth;
}

static void handler_set(struct tls *tls, uintptr_t frame, size_t depth)
{
    tls->handler_frame = frame;
    tls->handler_depth = depth > UINT32_MAX ? UINT32_MAX : (uint32_t)depth;
}

/* A heap that was left in the middle of a change is lost; the next slow call makes another. */
static void handler_was_left(struct tls *tls)
{
    bool had_heap = is_with_heap(tls->interrupted_state);
    bool is_whole = !tls->is_busy;
    tls->is_busy = false;
    tls_set(tls, tls->interrupted_state == THREAD_HAS_HEAP && is_whole ? tls->aside : &neb_heap_none);
    if (had_heap && !is_whole)
        tls->slow_calls = YOUNG_CALLS;
    tls->state = had_heap && !is_whole ? THREAD_YOUNG : tls->interrupted_state;
}

void neb_heap_end_left_handler(void)
{
    struct tls *tls = &neb_tls;
    if (tls->state == THREAD_IN_HANDLER && !is_below_handler(tls, ptr_address(__builtin_frame_address(0))))
        handler_was_left(tls);
}

/* The fast paths are this library's code and leave it for nothing; the slow ones say that they are busy, or hold a lock. */
static bool allocator_was_interrupted(const struct tls *tls, const void *context)
{
    return tls->is_busy || tls->state == THREAD_AMBIENT || neb_hold.locks != 0 || neb_os_is_own_code(neb_signal_pc(context));
}

/* In a handler already. One that runs on another stack than the first would look as if that had been left: until it
 * returns, every address counts as below. */
static void interrupt_again(struct tls *tls, struct interruption *interruption, uintptr_t frame)
{
    *interruption = (struct interruption){tls->heap, tls->handler_frame, tls->handler_depth, false};
    if (!is_below_handler(tls, frame))
        handler_set(tls, UINTPTR_MAX, 0);
}

NEB_SELDOM bool neb_heap_interrupt(struct interruption *interruption, const void *context, uintptr_t frame)
{
    struct tls *tls = &neb_tls;
    if (tls->state == THREAD_IN_HANDLER && !is_below_handler(tls, neb_signal_sp(context)))
        handler_was_left(tls);
    if (tls->state == THREAD_IN_HANDLER) {
        interrupt_again(tls, interruption, frame);
        return true;
    }
    if (!allocator_was_interrupted(tls, context))
        return false;
    *interruption = (struct interruption){tls->heap, frame, 0, true};
    if (tls->state == THREAD_HAS_HEAP && tls->heap != &neb_heap_none)
        tls->aside = tls->heap;
    tls->interrupted_state = tls->state & 15u;
    handler_set(tls, frame, neb_signal_stack_depth(context, frame));
    tls_set(tls, &neb_heap_none);
    tls->state = THREAD_IN_HANDLER;
    return true;
}

/* The state is exactly as it was found, also where it was found in the middle of a change. Not, if the handler was
 * thought to have been left: then it is somebody else's by now. */
NEB_SELDOM void neb_heap_resume(const struct interruption *interruption)
{
    struct tls *tls = &neb_tls;
    if (tls->state != THREAD_IN_HANDLER)
        return;
    if (!interruption->is_first) {
        handler_set(tls, interruption->frame, interruption->depth);
    } else if (tls->handler_frame == interruption->frame || tls->handler_frame == UINTPTR_MAX) {
        tls->state = tls->interrupted_state;
        tls_set(tls, interruption->heap);
    }
}

/* ---- the end ----------------------------------------------------------------------------------------------------------- */

NEB_THREADED void neb_heap_end(void)
{
    neb_heap_end_left_handler();
    struct heap *heap = heap_own();
    if (heap == NULL)
        return;
    tls_set(&neb_tls, &neb_heap_none);
    neb_tls.state = THREAD_ENDED;
    atomic_fetch_sub_explicit(&alive_count, 1, memory_order_relaxed);
    neb_vacant_put(heap);
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
