/* clock.c - see clock.h. */
#include "os/clock.h"

#include <time.h>

static uint64_t nanoseconds(clockid_t clock)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t neb_clock_ns(void)
{
    return nanoseconds(CLOCK_MONOTONIC);
}

uint64_t neb_clock_unix_ns(void)
{
    return nanoseconds(CLOCK_REALTIME);
}
