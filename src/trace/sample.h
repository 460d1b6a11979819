/* sample.h - which allocations are sampled, and what a sampled one stands for.
 *
 * A Poisson process over the bytes that are allocated: the distance to the next sample is exponential, so that a block
 * of n bytes is sampled with probability 1 - exp(-n / mean), whatever the program's pattern is. */
#ifndef NEB_TRACE_SAMPLE_H
#define NEB_TRACE_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

/* Bytes to the next sample; random: the state of a generator of the caller's. */
int64_t neb_sample_distance(uint64_t *random, uint64_t mean);
/* 1 / (1 - exp(-size / mean)), in 256ths; at least 256. */
uint64_t neb_sample_weight(size_t size, uint64_t mean);

#endif
