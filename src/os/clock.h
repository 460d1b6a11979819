/* clock.h - time in nanoseconds. Any thread, no locks, safe in signal handlers. */
#ifndef NEB_OS_CLOCK_H
#define NEB_OS_CLOCK_H

#include <stdint.h>

uint64_t neb_clock_ns(void);      /* monotonic; some 20 ns a call */
uint64_t neb_clock_unix_ns(void); /* since 1970 */

#endif
