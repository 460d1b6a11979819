/* latency.c - reading the histogram; filling it is inline in latency.h. */
#include "latency.h"

void latency_merge(struct latency *into, const struct latency *from)
{
    into->count += from->count;
    if (from->max > into->max)
        into->max = from->max;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
        into->bucket[i] += from->bucket[i];
}

/* The largest value that falls into a bucket. */
static uint64_t bucket_top(unsigned bucket)
{
    if (bucket < 2 * LATENCY_STEPS)
        return bucket;
    unsigned shift = (bucket >> LATENCY_STEP_BITS) - 1;
    uint64_t step = (bucket & (LATENCY_STEPS - 1)) + LATENCY_STEPS;
    return ((step + 1) << shift) - 1;
}

uint64_t latency_percentile(const struct latency *latency, double share)
{
    uint64_t seen = 0;
    double wanted = share * (double)latency->count;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        seen += latency->bucket[i];
        if (seen > 0 && (double)seen >= wanted)
            return bucket_top(i) < latency->max ? bucket_top(i) : latency->max;
    }
    return latency->max;
}
