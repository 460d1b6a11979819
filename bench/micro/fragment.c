/* fragment.c - the live bytes stay the same while the sizes change from phase to phase.
 *
 *   phase   1                2                3
 *           ########         #.#..#.#         9 of 10 blocks of the last phase are freed, at random;
 *           16 .. 64 B       @@@@ @@@         the space is filled with blocks of the next range of sizes
 *
 * Stresses  fragmentation: pages held by a few survivors, free space of the wrong size (Johnstone and Wilson,
 * "The memory fragmentation problem: solved?", 1998, measure it this way: peak memory against live bytes)
 * Count     phases per lane, each with 32 MiB live
 */
#include "bench.h"

enum { LIVE_BYTES = 32 << 20, LIVE_MAX = LIVE_BYTES / 16 + 1, SURVIVORS_IN_TEN = 1 };

struct heap_image {
    struct block *blocks;
    uint32_t live;
    size_t bytes;
};

static const unsigned phase_low[] = {4, 8, 5, 11, 6, 9, 7, 4};

static void survivors_keep(struct lane *lane, struct heap_image *image)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < image->live; i++) {
        if (random_below(lane, 10) < SURVIVORS_IN_TEN) {
            image->blocks[kept++] = image->blocks[i];
            continue;
        }
        image->bytes -= image->blocks[i].size;
        block_drop(lane, image->blocks[i]);
    }
    image->live = kept;
}

static void phase_fill(struct lane *lane, struct heap_image *image, unsigned low)
{
    while (image->bytes < LIVE_BYTES) {
        struct block block = block_make(lane, random_size(lane, low, low + 2));
        image->blocks[image->live++] = block;
        image->bytes += block.size;
    }
}

static void fragment_work(struct lane *lane)
{
    struct heap_image image = {.blocks = bench_map(LIVE_MAX * sizeof(struct block))};
    for (uint64_t phase = 0; phase < lane->bench->count; phase++) {
        survivors_keep(lane, &image);
        phase_fill(lane, &image, phase_low[phase % (sizeof phase_low / sizeof *phase_low)]);
    }
    slots_clear(lane, image.blocks, image.live);
}

const struct pattern pattern = {.name = "fragment", .threads_min = 1, .work = fragment_work};
