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
#include <string.h>

/* The same where the short way is not short enough to be inline: big blocks, those outside the window or in a part of it that the heap does
 * not know yet. The heap is busy, and left. */
bool neb_hardened_free_rest(struct heap *heap, void *p);
void *neb_hardened_alloc_rest(struct heap *heap, size_t room);
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

NEB_INLINE void *neb_hardened_alloc(size_t size)
{
    if (size >= SMALL_MAX || (POLICY_GUARD && neb_guard_is_wanted) || !hardened_is_short())
        return NULL;
    struct heap *heap = hardened_enter();
    if (NEB_UNLIKELY(heap_is_watched(heap))) {
        hardened_leave();
        return NULL;
    }
    if (NEB_UNLIKELY(size >= BIG_MIN))
        return neb_hardened_alloc_rest(heap, size + 1);
    size_t offset = size_bin_offset(size + 1);
    struct bin *bin = heap_bin_at(heap, offset);
    void *block = bin_newest(bin);
    size_t index = window_index_in(&heap->window, block);
    _Atomic uint8_t *states;
    if (NEB_UNLIKELY(block == NULL || index >= heap->window.count || (states = hardened_states(index)) == NULL))
        return neb_hardened_alloc_rest(heap, size + 1);
    bin->top--;
    size_t number = size_class_index(&neb_size_class[size_class_of_offset(offset)], ptr_address(block) % GRANULE_BYTES);
    atomic_store_explicit(&states[number], RECORD_LIVE, memory_order_release); /* R2 */
    hardened_leave();
    return block;
}

/* Where no block begins there is no LIVE one either: what remains of a slab behind its last block has a state too, NONE. */
NEB_INLINE bool neb_hardened_free(void *p)
{
    if (!hardened_is_short())
        return false;
    struct heap *heap = hardened_enter();
    size_t index = window_index_in(&heap->window, p);
    if (NEB_UNLIKELY(index >= heap->window.count))
        return neb_hardened_free_rest(heap, p);
    size_t offset = atomic_load_explicit(&heap->window.entry[index], memory_order_acquire) ^ heap->tag; /* P1 */
    if (NEB_UNLIKELY(offset >= BIG_FIRST_OFFSET))
        return neb_hardened_free_rest(heap, p);
    size_t class_index = size_class_of_offset(offset);
    const struct size_class *class = &neb_size_class[class_index];
    struct bin *bin = heap_bin_at(heap, offset);
    _Atomic uint8_t *states = hardened_states(index);
    size_t at = ptr_address(p) % GRANULE_BYTES, number = size_class_index(class, at);
    bool done = NEB_LIKELY(number * class->size == at && states != NULL && bin->top != bin->limit) &&
                NEB_LIKELY(hardened_release(&states[number]));
    if (NEB_LIKELY(done)) {
        if (check_has(CHECK_FILL)) /* it is free, but nobody else can take it before the thread leaves its heap */
            memset(p, 0, class->size);
        hardened_give(bin, &heap->waiting[class_index], p);
    }
    hardened_leave();
    return done;
}

#endif
