/* aligned.c - blocks aligned to 32 .. 4096, by posix_memalign and aligned_alloc in turn, in a table of live
 * ones.
 *
 * Stresses  how much an alignment costs in time and in memory
 * Count     replacements per lane
 */
#include "bench.h"

enum { LIVE = 1024 };

static void *aligned_get(size_t alignment, size_t size, int posix)
{
    void *at = NULL;
    if (!posix)
        return aligned_alloc(alignment, size);
    return posix_memalign(&at, alignment, size) == 0 ? at : NULL;
}

static void *aligned_mem(struct lane *lane, size_t alignment, size_t size, int posix)
{
    uint64_t start = LATENCY ? cycles_begin() : 0;
    void *at = aligned_get(alignment, size, posix);
    if (LATENCY)
        latency_add(lane->made, cycles_end() - start);
    if (at == NULL)
        bench_fail("no aligned block");
    if (((uintptr_t)at & (alignment - 1)) != 0)
        bench_fail("a block is less aligned than asked for");
    lane->operations++;
    return at;
}

/* The size is a multiple of the alignment, as aligned_alloc demanded before C17. */
static struct block aligned_make(struct lane *lane)
{
    size_t alignment = (size_t)32 << random_below(lane, 8);
    size_t size = alignment * (1 + random_below(lane, 4));
    return block_stamp(lane, aligned_mem(lane, alignment, size, random_below(lane, 2) == 0), size);
}

static void aligned_work(struct lane *lane)
{
    struct block *slots = bench_map(LIVE * sizeof *slots);
    for (uint64_t i = 0; i < lane->bench->count; i++) {
        struct block *slot = &slots[random_below(lane, LIVE)];
        slot_clear(lane, slot);
        *slot = aligned_make(lane);
    }
    slots_clear(lane, slots, LIVE);
}

const struct pattern pattern = {.name = "aligned", .threads_min = 1, .work = aligned_work};
