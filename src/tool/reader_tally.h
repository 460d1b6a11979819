/* reader_tally.h - what the events of a trace add up to: live blocks, sites, threads, the heap over time.
 *
 * Memory     32 bytes a live block, and half of that again for room
 * Invariant  a block of (lane, number) is live at most once
 * Peak       sites are not visited when the total reaches a new maximum: peak_count counts up, and a site
 *            notes what it had before it changes for the first time after that
 * Damage     what frees a block that is not live, or makes one that is, is counted as untracked */
#ifndef NEB_TOOL_READER_TALLY_H
#define NEB_TOOL_READER_TALLY_H

#include "tool/reading.h"

struct tally {
    struct reading *reading;
    struct live_block *blocks; /* open addressing; deletion moves the followers up */
    size_t block_mask, block_count;
    uint64_t allocs, frees, live_bytes, live_blocks, peak_bytes, peak_ns, peak_count;
    uint64_t untracked, last_ns;
    uint64_t point_distance_ns, point_next_ns;
    bool points_made;
    struct stats *earlier; /* of the model's sites, from the files before this one */
    size_t earlier_count;
};

/* Where and when an event happened. */
struct moment {
    uint32_t lane;
    size_t thread; /* its index in the model */
    uint64_t time_ns;
};

/* The reading's sites, threads and points are counted from here on, and not taken from the file's sums. */
void tally_begin(struct tally *tally, struct reading *reading);
/* A thread is about to have events. */
void tally_thread(const struct tally *tally, size_t thread);
void tally_time(struct tally *tally, uint64_t time_ns);
/* The number is the block's within its lane; the node is where it was asked for. Returns the node's site. */
struct site *tally_alloc(struct tally *tally, const struct moment *now, uint64_t number, uint32_t node,
                         uint64_t size);
/* owner_next: the number of the owning lane's next block, by which the age is counted. */
void tally_free(struct tally *tally, const struct moment *now, uint32_t owner, uint64_t number,
                uint64_t owner_next);
/* The sums go to the model; the tally is let go of. */
void tally_end(struct tally *tally);

#endif
