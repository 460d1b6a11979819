/* bulk.c - 10,000 times malloc(64), then all are freed, in one of three orders.
 *
 *   lifo    newest first: what a stack-like program does, and the easiest for a list of free blocks
 *   fifo    oldest first: ascending addresses
 *   random  a fixed random order: what a hash table leaves behind
 *
 * Stresses  caches of free blocks of bounded size: they overflow and run dry in every round
 * Count     rounds per lane
 */
#include "bench.h"

enum { BULK = 10000 };

static void identity_fill(uint32_t *order)
{
    for (uint32_t i = 0; i < BULK; i++)
        order[i] = i;
}

static void order_reverse(uint32_t *order)
{
    for (uint32_t i = 0; i < BULK; i++)
        order[i] = BULK - 1 - i;
}

/* Fisher and Yates. */
static void order_shuffle(struct lane *lane, uint32_t *order)
{
    for (uint32_t i = BULK - 1; i > 0; i--) {
        uint32_t j = random_below(lane, i + 1);
        uint32_t other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
}

static void order_fill(struct lane *lane, uint32_t *order)
{
    identity_fill(order);
    if (bench_is(lane->bench, "lifo"))
        order_reverse(order);
    else if (bench_is(lane->bench, "random"))
        order_shuffle(lane, order);
}

static void bulk_work(struct lane *lane)
{
    struct block *blocks = bench_map(BULK * sizeof *blocks);
    uint32_t *order = bench_map(BULK * sizeof *order);
    order_fill(lane, order);
    for (uint64_t round = 0; round < lane->bench->count; round++) {
        for (uint32_t i = 0; i < BULK; i++)
            blocks[i] = block_make(lane, 64);
        for (uint32_t i = 0; i < BULK; i++)
            block_drop(lane, blocks[order[i]]);
    }
}

static const char *const variants[] = {"lifo", "fifo", "random", NULL};
const struct pattern pattern = {.name = "bulk", .variants = variants, .threads_min = 1, .work = bulk_work};
