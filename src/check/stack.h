/* stack.h - where the program is.
 *
 * A heap remembers stacks that were walked, by the address of the innermost frame: the address and the value of every word
 * that was read on the way. When all of them are the same again, so is the stack, since what is above a frame depends only
 * on what was compared before. That makes a remembered stack several times cheaper than a walk, which is some 10 ns a frame.
 *
 * The release policy has it not: it looks for no stacks, and holds no unwinder.
 *
 * Ownership  what is remembered: the thread whose heap it is
 * Failure    fewer frames, or none */
#ifndef NEB_CHECK_STACK_H
#define NEB_CHECK_STACK_H

#include "check/spans.h"
#include "heap/heap.h"
#include <stdint.h>

enum { STACK_DEPTH_MAX = 64 };

/* Once, before the first use. */
void neb_stack_enable(void);
/* Return addresses from the caller's outwards, at most max; how many. Allocates nothing, takes no lock of ours; safe in
 * signal handlers, and where it interrupts itself. */
int neb_stack_capture(uintptr_t *pcs, int max);
/* The number of this stack (stacks.h), depth frames of it outside of this library; 0: none. */
uint32_t neb_stack_number(unsigned depth);
/* What a heap remembers: words of stacks as they were. */
void neb_stack_spans(const struct heap *heap, struct spans *spans);

#endif
