/* alloc.c - malloc, calloc and memalign where the magazine is empty, the size is large, or blocks are checked; see alloc.h.
 *
 *   neb_malloc_slow --> plain_malloc   --> a scope's, an emergency's, or heap_alloc --> small: a pool's, large: a chunk's or a mapping
 *                `----> checked_malloc --> the short way (hardened.h), or the same, guarded or dressed
 *
 * Law        errno is set by neb_out_of_memory alone, at the end of the program's call
 *            the heap's answer is NULL only after what was kept for reuse was given back and it was asked again */
#include "front/alloc_inner.h"
#include "front/hardened.h"
#include "front/recorder.h"
#include "front/scope.h"
#include "heap/chunk.h"
#include "heap/emergency.h"
#include "heap/large.h"
#include "heap/mix.h"
#include "heap/pool.h"
#include "heap/upkeep.h"
#include "os/env.h"
#include <errno.h>
#include <string.h>

enum { FILL_FRESH = 0xA5 };

static bool pool_fill(struct heap *heap, unsigned class_index)
{
    if (!neb_pool_refill(heap, class_index))
        return false;
    if (NEB_UNLIKELY(neb_heap_is_hardened()))
        neb_magazine_mix(heap, class_index);
    return true;
}

static void *pool_pop(struct heap *heap, unsigned class_index)
{
    struct bin *bin = &heap->bin[class_index];
    void *block = bin_pop(bin);
    if (block == NULL && pool_fill(heap, class_index))
        block = bin_pop(bin);
    if (POLICY_COUNT && block != NULL)
        counter_add(&heap->pool[class_index].counts.allocs, 1);
    return block;
}

static void *small_alloc(unsigned class_index)
{
    struct heap *heap = neb_heap_enter_to_take();
    bool is_watched = heap_is_watched(heap), is_at_hand = bin_newest(&heap->bin[class_index]) != NULL;
    if (is_watched)
        neb_heap_wake(heap);
    void *block = pool_pop(heap, class_index);
    if (!is_watched || !is_at_hand) /* else it is slow because of the clock, on which nothing shall hang but what decays */
        heap_tick(heap);
    neb_heap_leave(heap);
    if (POLICY_TRACE)
        neb_recorder_look();
    return block;
}

void neb_large_tick(void)
{
    static _Atomic uint32_t calls;
    if (atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) % TICK_CALLS == 0) { /* a count, nothing more */
        uint32_t now = neb_clock_ms(), decay = neb_heap_decay();
        neb_huge_decay(now, decay);
        (void)neb_chunk_decay(now, decay);
    }
    if (POLICY_TRACE)
        neb_recorder_look();
}

static void *large_alloc(size_t size, size_t alignment, bool *zeroed)
{
    neb_large_tick();
    return neb_large_alloc(size == 0 ? 1 : size, alignment, zeroed);
}

static void *heap_alloc_once(size_t size, size_t alignment, bool *zeroed)
{
    size_t room = check_is_on() ? size : size_with_spare(size); /* checked ones have theirs */
    unsigned class_index = alignment <= 16 ? (room <= SMALL_MAX ? size_class_of(room) : CLASS_COUNT)
                                           : size_class_aligned(size, alignment);
    return class_index < CLASS_COUNT ? small_alloc(class_index) : large_alloc(room, alignment, zeroed);
}

/* When the system has no more, what is kept for reuse may be what is missing. */
static void *heap_alloc(size_t size, size_t alignment, bool *zeroed)
{
    int saved = errno;
    void *block = heap_alloc_once(size, alignment, zeroed);
    if (NEB_UNLIKELY(block == NULL)) {
        (void)neb_trim();
        block = heap_alloc_once(size, alignment, zeroed);
    }
    errno = saved;
    return block;
}

/* A little cell of the thread's own heap, as nearly all are. NULL: it is not at hand, or not as simple. Calls nothing: a signal handler finds its
 * thread in this library's code, which is enough for it to leave the heap alone. */
NEB_INLINE void *cell_at_hand(size_t room)
{
    struct heap *heap = heap_own();
    if (NEB_UNLIKELY(heap == NULL || room > FAST_MAX || heap_is_watched(heap)))
        return NULL;
    size_t offset = size_bin_offset(room);
    void *cell = bin_pop(heap_bin_at(heap, offset));
    if (POLICY_COUNT && NEB_LIKELY(cell != NULL))
        counter_add(&heap->pool[size_class_of_offset(offset)].counts.allocs, 1);
    return cell;
}

/* NULL: not guarded. */
static void *guarded_alloc(size_t size, size_t alignment, enum family family, bool clear)
{
    if (!POLICY_GUARD || !neb_guard_is_wanted)
        return NULL;
    int saved = errno;
    void *block = neb_guard_alloc(size, alignment, family, clear ? CONTENT_IS_ZERO : CONTENT_FILL);
    errno = saved;
    return block;
}

NEB_SELDOM void *neb_checked_from_heap(size_t size, size_t spare, size_t alignment, enum family family, bool clear,
                                       const struct place *place)
{
    void *guarded = guarded_alloc(size, alignment, family, clear);
    if (guarded != NULL)
        return guarded;
    size_t room = check_room(size + spare, alignment);
    bool zeroed = false;
    if (room > PTRDIFF_MAX)
        return NULL;
    void *raw = alignment <= 16 ? cell_at_hand(room) : NULL;
    if (raw == NULL)
        raw = heap_alloc(room, alignment, &zeroed);
    if (NEB_UNLIKELY(raw == NULL))
        return NULL;
    enum content content = !clear ? CONTENT_FILL : zeroed ? CONTENT_IS_ZERO : CONTENT_CLEAR;
    void *block = neb_check_dress(raw, size, alignment, family, content, place);
    if (block == NULL)
        neb_free_raw(raw, "free");
    return block;
}

/* In a handler's emergency all comes from there, and inside an ambient scope from the scope, but what a signal handler asks
 * for that interrupted it. False: it is the heap's to serve. *block: NULL without memory. */
static NEB_COLD bool special_alloc(size_t size, size_t alignment, void **block)
{
    neb_heap_end_left_handler();
    if (heap_is_in_emergency()) {
        *block = neb_emergency_alloc(size, alignment);
        return true;
    }
    if (neb_tls.state != THREAD_AMBIENT)
        return false;
    bool is_ordinary;
    int saved = errno;
    *block = neb_ambient_alloc(size, alignment, &is_ordinary);
    errno = saved;
    return !is_ordinary;
}

static bool is_special(size_t size, size_t alignment, void **block)
{
    return NEB_UNLIKELY(neb_tls.state > THREAD_ENDED) && special_alloc(size, alignment, block);
}

static void *checked_alloc(size_t size, size_t alignment, enum family family, bool clear, const struct place *place)
{
    void *block;
    if (!is_special(size, alignment, &block))
        return neb_checked_from_heap(size, 0, alignment, family, clear, place);
    if (block != NULL && (clear || POLICY_FILL))
        memset(block, clear ? 0 : FILL_FRESH, size);
    return block;
}

static void *checked_calloc(size_t size, const struct place *place)
{
    void *block = neb_hardened_alloc(size);
    return block != NULL ? memset(block, 0, size) : checked_alloc(size, 16, FAMILY_MALLOC, true, place);
}

static void *allocate(size_t size, size_t alignment, bool *zeroed)
{
    void *block;
    return is_special(size, alignment, &block) ? block : heap_alloc(size, alignment, zeroed);
}

void *neb_allocate_as(size_t size, size_t alignment, unsigned family, const struct place *place)
{
    if (NEB_UNLIKELY(size > PTRDIFF_MAX))
        return NULL;
    void *block;
    if (check_is_on())
        return alignment <= 16 && (block = neb_hardened_alloc(size)) != NULL ? block : checked_alloc(size, alignment, family, false, place);
    block = allocate(size, alignment, NULL);
    if (POLICY_FILL && block != NULL)
        memset(block, FILL_FRESH, size);
    return block;
}

NEB_COLD void *neb_out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* What nearly all calls are. NULL: it is not as simple. */
NEB_INLINE void *checked_small(size_t size, const struct place *place)
{
    if (size > FAST_MAX || (POLICY_GUARD && neb_guard_is_wanted))
        return NULL;
    void *cell = cell_at_hand(check_room(size, 16));
    return NEB_LIKELY(cell != NULL) ? neb_check_dress(cell, size, 16, FAMILY_MALLOC, CONTENT_FILL, place) : NULL;
}

static NEB_NOINLINE void *long_malloc(size_t size)
{
    struct place place = PLACE_OF_PROGRAM();
    void *block = checked_small(size, &place);
    if (NEB_LIKELY(block != NULL))
        return block;
    block = size <= PTRDIFF_MAX ? checked_alloc(size, 16, FAMILY_MALLOC, false, &place) : NULL;
    return NEB_LIKELY(block != NULL) ? block : neb_out_of_memory();
}

static NEB_SELDOM NEB_NOINLINE void *hardened_malloc_rest(struct heap *heap, size_t size)
{
    void *block = neb_hardened_alloc_rest(heap, size);
    return block != NULL ? block : long_malloc(size);
}

static NEB_SELDOM NEB_NOINLINE void *checked_malloc(size_t size)
{
    struct heap *heap;
    void *block = hardened_alloc(size, &heap);
    if (NEB_LIKELY(block != NULL))
        return block;
    return heap == NULL ? long_malloc(size) : hardened_malloc_rest(heap, size);
}

static NEB_NOINLINE void *plain_malloc(size_t size)
{
    void *block = neb_allocate_as(size, 16, FAMILY_MALLOC, NULL);
    return NEB_LIKELY(block != NULL) ? block : neb_out_of_memory();
}

NEB_NOINLINE void *neb_malloc_slow(size_t size)
{
    return check_is_on() ? checked_malloc(size) : plain_malloc(size);
}

NEB_NOINLINE void *neb_malloc_medium(size_t size)
{
    if (NEB_UNLIKELY(size > SMALL_MAX))
        return neb_malloc_slow(size);
    void *block = source_pop(size_medium_offset(size_with_spare(size)));
    return NEB_LIKELY(block != NULL) ? block : neb_malloc_slow(size);
}

void *neb_memalign(size_t alignment, size_t size)
{
    void *block = aligned_pop(size, alignment);
    if (NEB_UNLIKELY(block == NULL)) {
        struct place place = PLACE_OF_PROGRAM();
        block = neb_allocate_as(size, alignment, FAMILY_MALLOC, &place);
    }
    return NEB_LIKELY(block != NULL) ? block : neb_out_of_memory();
}

/* A block that is known to be zero, if one is at hand without clearing. Magazines come first: their memory is warm,
 * and clearing a small block costs less than a page fault. */
static void *zero_alloc(size_t size)
{
    if (size <= CALLOC_FRESH_MIN || size > SMALL_MAX || POLICY_FREE_EXACT || check_is_on() || neb_tls.state > THREAD_ENDED)
        return NULL;
    int saved = errno;
    unsigned class_index = size_class_of(size_with_spare(size));
    struct heap *heap = neb_heap_enter_to_take();
    void *block = *heap->bin[class_index].top == NULL ? neb_pool_take_zero(heap, class_index) : NULL;
    if (POLICY_COUNT && block != NULL)
        counter_add(&heap->pool[class_index].counts.allocs, 1);
    neb_heap_leave(heap);
    errno = saved;
    return block;
}

void *neb_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (NEB_UNLIKELY(__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX))
        return neb_out_of_memory();
    struct place place = PLACE_OF_PROGRAM();
    bool zeroed = false;
    void *block = NULL;
    if (bytes <= CALLOC_FRESH_MIN && !POLICY_EVERY_CALL_SLOW)
        block = fast_pop(bytes);
    else if ((block = zero_alloc(bytes)) != NULL)
        return block;
    if (block == NULL && check_is_on())
        return (block = checked_calloc(bytes, &place)) != NULL ? block : neb_out_of_memory();
    if (block == NULL)
        block = allocate(bytes, 16, &zeroed);
    if (NEB_UNLIKELY(block == NULL))
        return neb_out_of_memory();
    return zeroed ? block : memset(block, 0, bytes);
}
