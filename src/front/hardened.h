/* hardened.h - harden=1, the short way: a small block of the thread's own heap, and its exact state; nothing else.
 *
 *   alloc   magazine not empty -> pop; the block's state becomes LIVE
 *   free    the page map says mine, a block begins at p, magazine not full -> LIVE -> RELEASED by compare-and-swap -> it waits
 *           among the last few of its class, and the one that waited longest is pushed
 *
 * What is not as simple is left to the calls of alloc.c and free.c, which do the same in ten times as many instructions and say
 * what is wrong: when one of these refuses, nothing has changed. They keep to what check/ does at this level: no canaries, no
 * quarantine; what is freed is cleared where that is wanted.
 *
 * Invariant  a state is the block's, whichever way its calls take (K1 of check/check.h)
 * Ownership  the heap: its thread, which is busy meanwhile, so that a signal handler works elsewhere
 * Threads    any
 * Failure    NULL or false: the other way decides
 * Complexity O(1) */
#ifndef NEB_FRONT_HARDENED_H
#define NEB_FRONT_HARDENED_H

#include "check/check.h"
#include "check/guard.h"
#include "front/alloc.h"
#include "heap/heap.h"
#include "heap/slab.h"

/* Where the shortest way, which is inline, is not enough: big blocks, those outside the window or in a part of it that the heap does not
 * know yet, blocks to be cleared, mallocs that are watched (heap/heap.h). The heap is busy, and left. errno is kept. */
void *neb_hardened_alloc_rest(struct heap *heap, size_t size);
bool neb_hardened_free_rest(struct heap *heap, void *p);
/* Both ways. */
void *neb_hardened_alloc(size_t size);
bool neb_hardened_free(void *p);
/* After a free on the long way: where that put the block into the magazine of the heap, whose slab's class is this, it waits too. */
void neb_hardened_wait(struct heap *heap, unsigned class_index, void *p);

/* Whether the level is this one, and the thread has a heap of its own to work in now. */
NEB_INLINE bool hardened_is_short(void)
{
    return !POLICY_EVERY_CALL_SLOW && NEB_LIKELY(neb_states_are_in_window && neb_tls.state == THREAD_SLOW);
}

/* The thread's heap, busy. */
NEB_INLINE struct heap *hardened_enter(void)
{
    neb_tls.is_busy = true;
    atomic_signal_fence(memory_order_seq_cst);
    return neb_tls.aside;
}

NEB_INLINE void hardened_leave(void)
{
    atomic_signal_fence(memory_order_seq_cst);
    neb_tls.is_busy = false;
}

/* Of the slab in a granule that the window knows; NULL: it is several granules, or has none. */
NEB_INLINE _Atomic uint8_t *hardened_states(size_t window_index)
{
    window_states *all = atomic_load_explicit(&neb_window_states, memory_order_relaxed); /* older than any thread */
    return atomic_load_explicit(&all[window_index], memory_order_relaxed);               /* the owner's, who this thread is */
}

/* A block that is not LIVE stays as it is. */
NEB_INLINE bool hardened_release(_Atomic uint8_t *state)
{
    uint8_t live = RECORD_LIVE;
    return atomic_compare_exchange_strong_explicit(state, &live, RECORD_RELEASED, memory_order_acq_rel, memory_order_relaxed); /* K1 */
}

/* p is kept back; what waits longest comes into the magazine, which has room. */
NEB_INLINE void hardened_give(struct bin *bin, struct waiting *waiting, void *p)
{
    size_t next = waiting->next;
    void *oldest = waiting->block[next];
    waiting->block[next] = p;
    waiting->next = (uint8_t)(next + 1 == HARDEN_WAITING ? 0 : next + 1);
    if (NEB_LIKELY(oldest != NULL))
        *++bin->top = oldest;
}

/* The shortest way, without a call, so that who ends with it has no frame. NULL: *busy is the heap, which stays busy, for the rest to go on, or
 * NULL, and only the long way is left. */
NEB_INLINE void *hardened_alloc(size_t size, struct heap **busy)
{
    *busy = NULL;
    if (size >= SMALL_MAX || (POLICY_GUARD && neb_guard_is_wanted) || !hardened_is_short())
        return NULL;
    struct heap *heap = *busy = hardened_enter();
    if (NEB_UNLIKELY(size >= FAST_MAX || heap_is_watched(heap)))
        return NULL;
    size_t offset = neb_bin_offset[size + 1];
    struct bin *bin = heap_bin_at(heap, offset);
    void *block = bin_newest(bin);
    size_t index = window_index_in(&heap->window, block);
    if (NEB_UNLIKELY(block == NULL || index >= heap->window.count))
        return NULL;
    _Atomic uint8_t *states = hardened_states(index);
    if (NEB_UNLIKELY(states == NULL))
        return NULL;
    bin->top--;
    size_t number = size_class_index(size_class_at(offset), ptr_address(block) % GRANULE_BYTES);
    atomic_store_explicit(&states[number], RECORD_LIVE, memory_order_release); /* R2 */
    hardened_leave();
    return block;
}

/* False: as NULL above. Where no block begins there is no LIVE one either: what remains of a slab behind its last block has a state too, NONE. */
NEB_INLINE bool hardened_free(void *p, struct heap **busy)
{
    *busy = NULL;
    if (!hardened_is_short())
        return false;
    struct heap *heap = *busy = hardened_enter();
    size_t index = window_index_in(&heap->window, p);
    if (NEB_UNLIKELY(index >= heap->window.count))
        return false;
    size_t offset = atomic_load_explicit(&heap->window.entry[index], memory_order_acquire) ^ heap->tag; /* P1 */
    if (NEB_UNLIKELY(offset >= BIG_FIRST_OFFSET))
        return false;
    const struct size_class *class = size_class_at(offset);
    struct bin *bin = heap_bin_at(heap, offset);
    _Atomic uint8_t *states = hardened_states(index);
    size_t at = ptr_address(p) % GRANULE_BYTES, number = size_class_index(class, at);
    if (NEB_UNLIKELY(number * class->size != at || states == NULL || bin->top == bin->limit || check_has(CHECK_FILL) ||
                     !hardened_release(&states[number])))
        return false;
    hardened_give(bin, &heap->waiting[size_class_of_offset(offset)], p);
    hardened_leave();
    return true;
}

#endif
