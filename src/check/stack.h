/* stack.h - where the program is.
 *
 * A heap remembers stacks that were walked, by the place they begin at: the address and the value of every word that was
 * read on the way. When all of them are the same again, so is the stack, since what is above a frame depends only on what
 * was compared before. The stack that came after the last few the last time is compared first: programs do the same again
 * and again. One that is not remembered is walked until it meets a frame of the newest one whose remaining words are unchanged:
 *
 *   walk    [inner frames, by rules][frames shared with the newest stack: compared]
 *
 * Comparing a word takes four instructions, a step by rules a hundred and more.
 *
 * The release policy has it not: it looks for no stacks, and holds no unwinder.
 *
 * Ownership  what is remembered: the thread whose heap it is
 * Failure    fewer frames, or none */
#ifndef NEB_CHECK_STACK_H
#define NEB_CHECK_STACK_H

#include "check/spans.h"
#include "heap/heap.h"
#include "unwind/step.h"
#include <stdint.h>

enum {
    STACK_DEPTH_MAX = 64,
    STACK_OWN_FRAMES = 6 /* of this library, which come first where a stack is taken somewhere inside of it; reports leave them out */
};

/* Once, before the first use. */
void neb_stack_enable(void);
/* Return addresses from the caller's outwards, at most max; how many. Allocates nothing, takes no lock of ours; safe in
 * signal handlers, and where it interrupts itself. */
int neb_stack_capture(uintptr_t *pcs, int max);
/* The number of the stack (stacks.h) that begins at this place, of so many frames at most; 0: none. */
uint32_t neb_stack_number(const struct place *place, unsigned depth);
/* The same from the caller outwards, depth frames of it outside of this library. */
uint32_t neb_stack_number_here(unsigned depth);
/* What a heap remembers: words of stacks as they were. */
void neb_stack_spans(const struct heap *heap, struct spans *spans);

#endif
