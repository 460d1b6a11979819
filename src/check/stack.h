/* stack.h - where the program is.
 *
 * A heap remembers stacks that were captured, by the address of the innermost frame: for each the address of every return
 * address, as a distance from that frame, and its value. When all of them are the same again, so is the stack, since what is
 * above a frame depends only on what was compared before. That makes a remembered stack ten to thirty times cheaper.
 * (A frame whose size changes, with alloca, may keep an old return address where it is looked for; then a stack is
 * reported that was the right one a moment ago.)
 *
 * Ownership  what is remembered: the thread whose heap it is
 * Failure    fewer frames, or none */
#ifndef NEB_CHECK_STACK_H
#define NEB_CHECK_STACK_H

#include <stdint.h>

enum { STACK_DEPTH_MAX = 64 };

/* Return addresses from the caller's outwards, at most max; how many. Allocates nothing, takes no lock of ours; safe in
 * signal handlers, and where it interrupts itself. */
int neb_stack_capture(uintptr_t *pcs, int max);
/* The number of this stack (stacks.h), depth frames of it outside of this library; 0: none. */
uint32_t neb_stack_number(unsigned depth);

#endif
