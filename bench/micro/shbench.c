/* shbench.c - many sizes, small ones far more often; a third is freed at once newest first, a third oldest
 * first, and a third stays for several rounds.
 *
 * Re-created from the description of the SmartHeap benchmark (MicroQuill, 1990s), known as shbench: sizes up
 * to 1,000 bytes with the small ones favoured, and a mixture of lifetimes.
 *
 * Stresses  all small size classes at once, with mixed orders of free
 * Count     rounds per lane
 */
#include "bench.h"

enum { SIZE_MAX_LOG = 10, PER_ROUND = 3000, KEPT_ROUNDS = 8 };

/* One round's blocks, by what becomes of them. */
struct round {
    struct block kept[PER_ROUND / 3];
    struct block lifo[PER_ROUND / 3];
    struct block fifo[PER_ROUND / 3];
};

/* The smaller of two log-uniform sizes: half of all blocks are below 64 bytes. */
static uint32_t size_pick(struct lane *lane)
{
    uint32_t a = random_size(lane, 3, SIZE_MAX_LOG);
    uint32_t b = random_size(lane, 3, SIZE_MAX_LOG);
    return a < b ? a : b;
}

static void round_run(struct lane *lane, struct round *round)
{
    enum { THIRD = PER_ROUND / 3 };
    slots_clear(lane, round->kept, THIRD);
    for (unsigned i = 0; i < THIRD; i++) {
        round->lifo[i] = block_make(lane, size_pick(lane));
        round->kept[i] = block_make(lane, size_pick(lane));
        round->fifo[i] = block_make(lane, size_pick(lane));
    }
    for (unsigned i = THIRD; i > 0; i--)
        block_drop(lane, round->lifo[i - 1]);
    for (unsigned i = 0; i < THIRD; i++)
        block_drop(lane, round->fifo[i]);
}

static void shbench_work(struct lane *lane)
{
    struct round *rounds = bench_map(KEPT_ROUNDS * sizeof *rounds);
    for (uint64_t i = 0; i < lane->bench->count; i++)
        round_run(lane, &rounds[i % KEPT_ROUNDS]);
    for (unsigned i = 0; i < KEPT_ROUNDS; i++)
        slots_clear(lane, rounds[i].kept, PER_ROUND / 3);
}

const struct pattern pattern = {.name = "shbench", .threads_min = 1, .work = shbench_work};
