/* capture.h - the call stack of the calling thread, as a node of the depot.
 *
 * A thread remembers the stacks that it captured, by (return address, stack pointer), each with the address and the value
 * of every stack slot that was read on the way. When all these words are the same again, so is the stack: whether a frame's
 * caller is the same depends only on words that were compared before. The stack that came after the newest one the last time is
 * compared first. One that is not remembered is walked by rules (unwind/step.h) until it meets a frame of the newest one whose
 * remaining words are unchanged.
 *
 *   walk    [inner frames, by rules][frames shared with the newest stack: compared]
 *
 * A walk reads only what is known to be readable. A hit reads nothing but slots that the frames themselves, found equal so far,
 * say are there. So stacks of coroutines, of signals, and of any size need no registration.
 *
 * Ownership  a cache: its thread
 * Locks      none, but the depot's for frames never seen before; never the loader's
 * Failure    a stack that cannot be followed ends where that is noticed; without memory nothing is remembered */
#ifndef NEB_TRACE_CAPTURE_H
#define NEB_TRACE_CAPTURE_H

#include "policy/tuning.h"
#include "unwind/step.h"
#include <stdint.h>

struct stack;

/* A node of the depot that was found not long ago: what a walk looks for is mostly among them. */
struct child {
    uintptr_t pc;
    uint32_t parent_and_exact, node; /* node 0: empty */
};

struct stack_cache {
    struct stack *slot[STACK_CACHE_SLOTS];
    struct stack *newest;   /* one of the slots, or a draft, or NULL */
    struct stack *draft[2]; /* where walks are made, in turn */
    uint32_t seen[STACK_CACHE_SEEN]; /* nodes of stacks that came */
    struct reach reach;
    uint64_t generation;
    uint64_t depot; /* the number of that which the children are nodes of; 0: there are none */
    struct child child[STACK_CACHE_CHILDREN];
};

/* What was captured: the innermost node, and what the caller may keep with this stack; NULL at first. */
struct captured {
    uint32_t node;
    void **note; /* valid until the next capture */
};
struct captured neb_capture(struct stack_cache *cache, const struct place *place);

/* Forgets all; memory stays for the next thread. */
void neb_capture_forget(struct stack_cache *cache);

#endif
