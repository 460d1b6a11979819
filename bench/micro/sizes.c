/* sizes.c - a table of live blocks; in each step one at random is replaced by one of another size.
 *
 *   variant  sizes, log-uniform     live blocks
 *   small    8 B   .. 1 KiB         8,192
 *   medium   1 KiB .. 32 KiB        1,024
 *   large    32 KiB .. 1 MiB           64
 *   huge     1 MiB .. 32 MiB            8
 *
 * Stresses  size classes, splitting and merging; from `large` on, what is kept and what is given back to the
 * system Count     replacements per lane
 */
#include "bench.h"

struct range {
    const char *variant;
    unsigned low, high; /* sizes from 2^low below 2^high */
    uint32_t live;
};

static const struct range ranges[] = {
    {"small", 3, 10, 8192}, {"medium", 10, 15, 1024}, {"large", 15, 20, 64}, {"huge", 20, 25, 8}};

static const struct range *range_find(const struct bench *bench)
{
    const struct range *range = ranges;
    while (!bench_is(bench, range->variant))
        range++;
    return range;
}

static void sizes_work(struct lane *lane)
{
    const struct range *range = range_find(lane->bench);
    struct block *slots = bench_map(range->live * sizeof *slots);
    for (uint64_t i = 0; i < lane->bench->count; i++) {
        struct block *slot = &slots[random_below(lane, range->live)];
        slot_clear(lane, slot);
        *slot = block_make(lane, random_size(lane, range->low, range->high));
    }
    slots_clear(lane, slots, range->live);
}

static const char *const variants[] = {"small", "medium", "large", "huge", NULL};
const struct pattern pattern = {.name = "sizes", .variants = variants, .threads_min = 1, .work = sizes_work};
