/* peaks.c - memory rises to a peak and falls to nothing, several times: a batch job, a page that is opened
 * and closed.
 *
 *      /|   /|   /|
 *     / |  / |  / |______     what stays resident after the fall is read from the settled size
 *    /  | /  | /  |
 *
 * Stresses  how soon memory goes back to the system, and what it costs to get it again
 * Count     peaks per lane, each of 96 MiB in blocks of 16 B .. 4 KiB (log-uniform), freed at random
 */
#include "bench.h"

enum { PEAK_BYTES = 96 << 20, LIVE_MAX = PEAK_BYTES / 16 };

/* The last block takes the place of the one that is dropped. */
static void block_drop_random(struct lane *lane, struct block *blocks, uint32_t live)
{
    uint32_t victim = random_below(lane, live);
    block_drop(lane, blocks[victim]);
    blocks[victim] = blocks[live - 1];
}

static void peaks_work(struct lane *lane)
{
    struct block *blocks = bench_map(LIVE_MAX * sizeof *blocks);
    for (uint64_t peak = 0; peak < lane->bench->count; peak++) {
        uint32_t live = 0;
        for (size_t bytes = 0; bytes < PEAK_BYTES; bytes += blocks[live++].size)
            blocks[live] = block_make(lane, random_size(lane, 4, 12));
        for (; live > 0; live--)
            block_drop_random(lane, blocks, live);
    }
}

const struct pattern pattern = {.name = "peaks", .threads_min = 1, .work = peaks_work};
