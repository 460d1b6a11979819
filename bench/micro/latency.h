/* latency.h - a histogram of cycle counts, log-linear: 32 steps for each doubling, so that a percentile is
 * off by 3 % at most; the maximum is kept exactly. (The idea is Tene's HdrHistogram.)
 *
 *   bucket  0 .. 31       the value itself
 *           32 .. 63      32 .. 63
 *           64 .. 95      64, 66, .. 126
 *           ...           each row of 32 covers one doubling
 */
#ifndef LATENCY_H
#define LATENCY_H

#include <stdint.h>

enum { LATENCY_STEP_BITS = 5, LATENCY_STEPS = 1 << LATENCY_STEP_BITS, LATENCY_BUCKETS = 60 * LATENCY_STEPS };

struct latency {
    uint64_t max;   /* cycles */
    uint64_t count; /* calls */
    uint64_t bucket[LATENCY_BUCKETS];
};

static inline unsigned latency_bucket(uint64_t cycles)
{
    if (cycles < LATENCY_STEPS)
        return (unsigned)cycles;
    unsigned shift = 63U - (unsigned)__builtin_clzll(cycles) - LATENCY_STEP_BITS;
    return (shift << LATENCY_STEP_BITS) + (unsigned)(cycles >> shift);
}

static inline void latency_add(struct latency *latency, uint64_t cycles)
{
    latency->bucket[latency_bucket(cycles)]++;
    latency->count++;
    if (cycles > latency->max)
        latency->max = cycles;
}

void latency_merge(struct latency *into, const struct latency *from);

/* The smallest value with at least `share` of all calls at or below it; 0 when there were none. */
uint64_t latency_percentile(const struct latency *latency, double share);

#endif
