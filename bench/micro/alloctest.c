/* alloctest.c - slots picked with a strong preference for few, sizes likewise, contents written through.
 *
 * Re-created from the test described by Ivanov and Hirschel in "Testing memory allocators" (Overload 2018):
 * real programs free what they allocated recently, so slots and sizes follow a Pareto-like law instead of a
 * uniform one, and what is allocated is also used.
 *
 * Stresses  a mixture of short and very long lifetimes; caches, since all bytes are written and read
 * Count     replacements per lane
 */
#include "bench.h"

enum { SLOT_BITS = 16 };

/* 80 % of the draws fall into 20 % of [0, 2^bits), and so on within those. */
static uint32_t pareto(struct lane *lane, unsigned bits)
{
    uint32_t below = UINT32_C(1) << bits;
    while (below > 16 && random_below(lane, 10) < 8)
        below /= 5;
    return random_below(lane, below);
}

static struct block filled_make(struct lane *lane, uint32_t size)
{
    struct block block = block_make(lane, size);
    if (size > 16)
        memset(block.at + 8, (int)(block.tag & 0xFF), size - 16);
    return block;
}

static void filled_verify(struct block block)
{
    for (uint32_t i = 8; i + 8 < block.size; i += 64)
        if (block.at[i] != (block.tag & 0xFF))
            bench_fail("the contents of a live block have changed");
}

static void slot_replace(struct lane *lane, struct block *slot)
{
    if (slot->at != NULL)
        filled_verify(*slot);
    slot_clear(lane, slot);
    *slot = filled_make(lane, 16 + pareto(lane, 12));
}

static void alloctest_work(struct lane *lane)
{
    struct block *slots = bench_map((sizeof *slots) << SLOT_BITS);
    for (uint64_t i = 0; i < lane->bench->count; i++)
        slot_replace(lane, &slots[pareto(lane, SLOT_BITS)]);
    slots_clear(lane, slots, (size_t)1 << SLOT_BITS);
}

const struct pattern pattern = {.name = "alloctest", .threads_min = 1, .work = alloctest_work};
