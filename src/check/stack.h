/* stack.h - where the program is. */
#ifndef NEB_CHECK_STACK_H
#define NEB_CHECK_STACK_H

#include <stdint.h>

enum { STACK_DEPTH_MAX = 64 };

/* Return addresses from the caller's outwards, at most max; how many. Allocates nothing, takes no lock of ours; safe in
 * signal handlers, and where it interrupts itself. */
int neb_stack_capture(uintptr_t *pcs, int max);

#endif
