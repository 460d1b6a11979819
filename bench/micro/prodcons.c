/* prodcons.c - even lanes allocate, odd lanes free what their neighbour has allocated.
 *
 *   lane 0 --ring--> lane 1      lane 2 --ring--> lane 3      ...
 *
 * Stresses  blocks freed by another thread than the one that allocated them, all in one direction: memory
 * must flow back to the producer (the pattern of a pipeline, of a logger, of a network server's worker) Count
 * blocks per pair of lanes, 16 .. 512 B; a lane without a neighbour frees its own
 */
#include "ring.h"

static struct ring *rings;

static void prodcons_setup(struct bench *bench)
{
    rings = bench_map((bench->threads / 2 + 1) * sizeof *rings);
}

static void produce(struct lane *lane, struct ring *ring)
{
    for (uint64_t i = 0; i < lane->bench->count; i++)
        ring_put(ring, block_make(lane, random_size(lane, 4, 9)));
}

static void consume(struct lane *lane, struct ring *ring)
{
    for (uint64_t i = 0; i < lane->bench->count; i++)
        block_drop(lane, ring_take(ring));
}

static void both(struct lane *lane)
{
    for (uint64_t i = 0; i < lane->bench->count; i++)
        block_drop(lane, block_make(lane, random_size(lane, 4, 9)));
}

static void prodcons_work(struct lane *lane)
{
    struct ring *ring = &rings[lane->index / 2];
    if (lane->index % 2 == 1)
        consume(lane, ring);
    else if (lane->index + 1 < lane->bench->threads)
        produce(lane, ring);
    else
        both(lane);
}

const struct pattern pattern = {
    .name = "prodcons", .threads_min = 1, .setup = prodcons_setup, .work = prodcons_work};
