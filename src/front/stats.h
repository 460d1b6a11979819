/* stats.h - what the allocator knows of itself, summed over all heaps.
 *
 * Figures of other threads are those of their last slow call: magazines are not read across threads. With one
 * thread they are exact. Blocks on their way to their owner count as live. */
#ifndef NEB_FRONT_STATS_H
#define NEB_FRONT_STATS_H

#include "check/guard.h"
#include "heap/large.h"
#include "heap/size_class.h"
#include <stddef.h>
#include <stdint.h>

struct class_stats {
    uint64_t slabs, blocks;     /* now */
    uint64_t live, cached;      /* blocks now: with the program; in magazines */
    uint64_t taken, returned, refills, flushes, grown, claims, adopted, abandoned, allocs, frees; /* since the start */
};

struct stats {
    struct class_stats class[CLASS_COUNT];
    struct class_stats all; /* the sum; live and cached in blocks */
    uint64_t small_live_bytes, small_cached_bytes, slab_bytes;
    struct large_counts large;  /* guarded blocks count as huge ones: each is a mapping of its own */
    struct guard_counts guard;
    uint64_t live_bytes;        /* small, large and huge blocks that the program has, in sizes of blocks */
    uint64_t mapped_bytes;      /* chunks and huge mappings, kept ones too */
    uint64_t free_resident_bytes; /* granules and kept mappings that wait for reuse */
    uint64_t free_clean_bytes;  /* address space without memory */
    uint64_t mapped_peak_bytes;   /* the most that chunks and huge mappings ever were, as far as it was looked at */
    uint64_t used_peak_bytes;   /* most that slabs and large blocks ever had */
    uint64_t metadata_bytes;
    uint64_t blocks_sent, batches_sent, batches_applied, blocks_lost;
    uint64_t purged_bytes, purges;
    uint64_t heaps;
};

void neb_stats_take(struct stats *stats);
/* The readable report, to a descriptor. Safe in a signal handler that did not interrupt the allocator itself; no
 * heap, no stdio. */
void neb_stats_print(int descriptor);
/* The lines that glibc's malloc_stats writes, for those who read them: all heaps are one arena, mmap means huge blocks. */
void neb_stats_print_glibc(int descriptor);

#endif
