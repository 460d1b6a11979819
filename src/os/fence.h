/* fence.h - how much of the process may go into pages that nobody may touch, and how such pages give their memory back.
 *
 * Every call may change errno. Any thread, no locks. */
#ifndef NEB_OS_FENCE_H
#define NEB_OS_FENCE_H

#include <stdbool.h>
#include <stddef.h>

/* How many mappings the kernel lets a process have (vm.max_map_count); its default where /proc does not tell. */
size_t neb_fence_mappings_max(void);
/* Bytes of address space that the process may have; SIZE_MAX: no limit. */
size_t neb_fence_space_max(void);
/* Puts a mapping without memory in the place of these pages: what they held is gone, nobody can touch them, and neighbours
 * of their kind become one mapping with them, which protecting them would not bring about. False: the system refuses. */
bool neb_fence_close(void *base, size_t bytes);

/* The same for pages of memory that stays readable and writable as a mapping, so that it is never split: three times cheaper, from Linux
 * 6.13 on. False: they are as they were. */
bool neb_fence_lay(void *base, size_t bytes);
/* Takes that back; the pages read as zero. */
bool neb_fence_lift(void *base, size_t bytes);

#endif
