/* cycles.h - the processor's cycle counter, ordered so that it brackets one call.
 *
 *   cycles_begin()   all earlier loads are done before the counter is read
 *   cycles_end()     the call between is done before the counter is read
 *
 * Law  the counter has a constant rate (the driver states the flag constant_tsc in its results); what an
 * empty bracket costs is measured and stated, never subtracted
 */
#ifndef CYCLES_H
#define CYCLES_H

#include <stdint.h>

#if defined(__x86_64__)

#include <x86intrin.h>

static inline uint64_t cycles_begin(void)
{
    _mm_lfence();
    return __rdtsc();
}

static inline uint64_t cycles_end(void)
{
    unsigned processor;
    uint64_t now = __rdtscp(&processor);
    _mm_lfence();
    return now;
}

#elif defined(__aarch64__)

static inline uint64_t cycles_begin(void)
{
    uint64_t now;
    __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(now) : : "memory");
    return now;
}

static inline uint64_t cycles_end(void)
{
    return cycles_begin();
}

#else

#include <time.h>

static inline uint64_t cycles_begin(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static inline uint64_t cycles_end(void)
{
    return cycles_begin();
}

#endif

#endif
