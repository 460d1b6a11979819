/* bench.h - what every micro workload is made of: lanes, blocks that verify themselves, latencies.
 *
 *   pattern (one file each) --work(lane)--> block_make, block_drop --> malloc, free
 *                                               |
 *                        tag at both ends, checked before the free; summed into lane.checksum
 *
 * A lane is one thread of a workload. A workload is a function of (seed, count, threads) alone: its random
 * numbers are its own, and the checksum is a sum over blocks, so that it does not depend on which lane drops
 * which block.
 *
 * Invariant  every block made is dropped once, or the pattern says why not
 * Ownership  a lane is written by its thread only, and read by the main thread after the join
 * Failure    a wrong content, a wrong alignment or a NULL ends the program: one line on stderr, exit status 1
 * Cost       the lanes and tables of the harness come from mmap, never from the allocator under test
 */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cycles.h"
#include "latency.h"

/* 1 in the programs NAME-latency, which time every single malloc and free; 0 in all others. */
#ifndef BENCH_LATENCY
#define BENCH_LATENCY 0
#endif
enum { LATENCY = BENCH_LATENCY };

enum { TOUCH_STRIDE = 4096 }; /* a large block is written once in every page */

struct bench {
    unsigned threads;    /* lanes that run at once */
    uint64_t count;      /* rounds per lane; the pattern says of what */
    uint64_t seed;       /* of all random numbers */
    const char *variant; /* one of pattern.variants, or "" */
    struct lane *lanes;
};

struct lane {
    _Alignas(128) const struct bench *bench;
    unsigned index;
    uint32_t tag;         /* of the next block */
    uint64_t random;      /* state of the generator */
    uint64_t checksum;    /* sum over the blocks verified */
    uint64_t operations;  /* allocations; each counts together with its free */
    struct latency *made; /* cycles of a single malloc; NULL without LATENCY */
    struct latency *freed;
};

struct pattern {
    const char *name;
    const char *const *variants; /* NULL-terminated, or NULL when there is one form only */
    unsigned threads_min;
    void (*setup)(struct bench *bench);  /* may be NULL; before the lanes start, timed */
    void (*work)(struct lane *lane);     /* on every lane at once */
    void (*finish)(struct bench *bench); /* may be NULL; after the lanes have ended, timed */
};

/* Each workload defines it. */
extern const struct pattern pattern;

/* A block and what must be found in it. */
struct block {
    unsigned char *at;
    uint32_t size;
    uint32_t tag;
};

_Noreturn void bench_fail(const char *what);

/* Zeroed memory for the harness's own tables, never given back. */
void *bench_map(size_t bytes);

/* Is this the variant that was asked for? */
int bench_is(const struct bench *bench, const char *variant);

/* A lane for a thread that a pattern starts by itself: its numbers follow from those of the parent. */
void lane_init(struct lane *lane, const struct bench *bench, unsigned index, uint64_t seed);

/* Adds the results of such a lane to those of its parent. */
void lane_merge(struct lane *into, const struct lane *from);

/* splitmix64 (Steele, Lea, Flood 2014): one addition and a mix, no table, any seed will do. */
static inline uint64_t random_next(struct lane *lane)
{
    uint64_t z = (lane->random += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* Uniform in [0, bound), by multiplication instead of a division (Lemire 2019); bound > 0. */
static inline uint32_t random_below(struct lane *lane, uint32_t bound)
{
    return (uint32_t)(((random_next(lane) >> 32) * bound) >> 32);
}

/* Log-uniform in [2^low, 2^high): every doubling is as frequent as the next, which is closer to what programs
 * ask for than a uniform size. */
static inline uint32_t random_size(struct lane *lane, unsigned low, unsigned high)
{
    unsigned bits = low + random_below(lane, high - low);
    return (UINT32_C(1) << bits) + random_below(lane, UINT32_C(1) << bits);
}

static inline void *mem_alloc(struct lane *lane, size_t size)
{
    uint64_t start = LATENCY ? cycles_begin() : 0;
    void *at = malloc(size);
    if (LATENCY)
        latency_add(lane->made, cycles_end() - start);
    if (at == NULL)
        bench_fail("malloc returned NULL");
    lane->operations++;
    return at;
}

static inline void mem_free(struct lane *lane, void *at)
{
    uint64_t start = LATENCY ? cycles_begin() : 0;
    free(at);
    if (LATENCY)
        latency_add(lane->freed, cycles_end() - start);
}

/* Writes the tag to both ends of a block and something to every page of it. size >= 8. */
static inline struct block block_stamp(struct lane *lane, void *at, size_t size)
{
    struct block block = {at, (uint32_t)size, lane->tag += UINT32_C(0x9E3779B9)};
    if (((uintptr_t)at & (size >= 16 ? 15 : 7)) != 0)
        bench_fail("a block is not aligned");
    for (size_t offset = TOUCH_STRIDE; offset < size; offset += TOUCH_STRIDE)
        block.at[offset] = 1;
    memcpy(block.at + size - 4, &block.tag, 4);
    memcpy(block.at, &block.tag, 4);
    return block;
}

/* Both ends still hold what was written; adds the block to the checksum. */
static inline void block_verify(struct lane *lane, struct block block)
{
    uint32_t first, last;
    memcpy(&first, block.at, 4);
    memcpy(&last, block.at + block.size - 4, 4);
    if (first != block.tag || last != block.tag)
        bench_fail("the contents of a live block have changed");
    lane->checksum += (uint64_t)block.tag * block.size;
}

static inline struct block block_make(struct lane *lane, size_t size)
{
    return block_stamp(lane, mem_alloc(lane, size), size);
}

static inline void block_drop(struct lane *lane, struct block block)
{
    block_verify(lane, block);
    mem_free(lane, block.at);
}

/* Drops what a slot holds, if anything, and leaves it empty. */
static inline void slot_clear(struct lane *lane, struct block *slot)
{
    if (slot->at != NULL)
        block_drop(lane, *slot);
    slot->at = NULL;
}

static inline void slots_clear(struct lane *lane, struct block *slots, size_t count)
{
    for (size_t i = 0; i < count; i++)
        slot_clear(lane, &slots[i]);
}

#endif
