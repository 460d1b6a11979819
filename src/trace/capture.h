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

/* In a function without a callee of its own in between: the place in the caller that will go on when it returns. */
#if defined(__x86_64__) || defined(__aarch64__)
#define PLACE_OF_CALLER()                                                                                              \
    place_above((const unsigned char *)__builtin_frame_address(0), (uintptr_t)__builtin_extract_return_addr(__builtin_return_address(0)))
#else
#define PLACE_OF_CALLER() place_unknown((uintptr_t)__builtin_return_address(0))
#endif

/* A frame address is where the caller's frame pointer is saved, with the return address beside it. */
NEB_INLINE struct place place_above(const unsigned char *frame, uintptr_t pc)
{
    const uintptr_t *saved = (const uintptr_t *)(const void *)frame;
    const unsigned char *stack = frame + 2 * sizeof(void *);
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
