/* capture.h - the call stack of the calling thread, as a node of the depot.
 *
 * A thread remembers the stacks that it captured, by (return address, stack pointer), each with the address and the value
 * of every stack slot that was read on the way. When all these words are the same again, so is the stack: whether a frame's
 * caller is the same depends only on words that were compared before. A stack that is not remembered is walked by rules
 * (rule.h) until it meets a frame of the newest one whose remaining words are unchanged.
 *
 *   walk    [inner frames, by rules][frames shared with the newest stack: compared]
 *
 * A slot is read only where the stack is known to be readable: within a window around the stack pointer that grows page
 * by page as the kernel confirms (os/process.h). A hit reads nothing but slots that the frames themselves, found equal so far,
 * say are there. So stacks of coroutines, of signals, and of any size need no registration.
 *
 * Ownership  a cache: its thread
 * Locks      none, but the depot's for frames never seen before; never the loader's
 * Failure    a stack that cannot be followed ends where that is noticed; without memory nothing is remembered */
#ifndef NEB_TRACE_CAPTURE_H
#define NEB_TRACE_CAPTURE_H

#include "base/attr.h"
#include "base/ptr.h"
#include "policy/tuning.h"
#include <stdbool.h>
#include <stdint.h>

/* A frame as its callee finds it. */
struct place {
    uintptr_t pc, sp, fp;
    const unsigned char *stack; /* points to where sp says */
};

/* In a function without a callee of its own in between: the place in the caller that will go on when it returns. A frame address
 * is where the caller's frame pointer is saved. On x86-64 that is right below the caller's stack, with the return address between;
 * on aarch64 it is at the frame's other end. */
#define RETURN_ADDRESS() (uintptr_t)__builtin_extract_return_addr(__builtin_return_address(0))
#if defined(__x86_64__)
#define PLACE_OF_CALLER() place_above(__builtin_frame_address(0), (const unsigned char *)__builtin_frame_address(0) + 2 * sizeof(void *), RETURN_ADDRESS())
#elif defined(__aarch64__)
#define PLACE_OF_CALLER() place_above(__builtin_frame_address(0), (const unsigned char *)__builtin_dwarf_cfa(), RETURN_ADDRESS())
#else
#define PLACE_OF_CALLER() place_unknown(RETURN_ADDRESS())
#endif

NEB_INLINE struct place place_above(const void *frame, const unsigned char *stack, uintptr_t pc)
{
    const uintptr_t *saved = (const uintptr_t *)frame;
    return (struct place){pc, ptr_address(stack), saved[0], stack};
}

NEB_INLINE struct place place_unknown(uintptr_t pc)
{
    return (struct place){pc, 0, 0, NULL};
}

struct stack;

/* A node of the depot that was found not long ago: what a walk looks for is mostly among them. */
struct child {
    uintptr_t pc;
    uint32_t parent_and_exact, node; /* node 0: empty */
};

struct stack_cache {
    struct stack *slot[STACK_CACHE_SLOTS];
    struct stack *newest, *spare; /* newest: one of the slots, or NULL */
    uintptr_t window_low, window_high; /* readable addresses */
    uint64_t generation;
    struct child child[STACK_CACHE_CHILDREN];
};

/* What was captured: the innermost node, and a number that the caller may keep with this stack; 0 at first. */
struct captured {
    uint32_t node;
    uint32_t *note; /* valid until the next capture */
};
struct captured neb_capture(struct stack_cache *cache, const struct place *place);

/* Forgets all; memory stays for the next thread. */
void neb_capture_forget(struct stack_cache *cache);

/* For tests and rare uses: addresses of frames, innermost first, without depot and memory of former stacks. exact[i]:
 * the frame was interrupted there. */
unsigned neb_capture_walk(const struct place *place, uintptr_t *pc, bool *exact, unsigned count);

#endif
