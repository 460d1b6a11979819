/* epoch.c - nodes removed from a shared table are kept by the thread that removed them and freed in large
 * batches later, as epoch-based reclamation does.
 *
 *   lane: new node --exchange--> [ shared table ] --old node--> [ limbo bag ] --full--> all freed at once
 *
 * Re-created from the pattern in Kim, Brown, Singh, "Are your epochs too epic? Batch free can be harmful"
 * (PPoPP 2024): a batch holds nodes allocated by every thread, and overflows the allocator's caches.
 *
 * Stresses  bursts of frees of other threads' blocks
 * Count     replacements per lane; a bag holds 4,096 nodes
 */
#include <stdatomic.h>

#include "bench.h"

enum { TABLE = 1 << 15, BAG = 4096, NODE = 96 };

static _Atomic(unsigned char *) table[TABLE];

/* The tag stands in the node itself, in its first bytes (block_stamp). */
static struct block node_block(unsigned char *at)
{
    struct block block = {at, NODE, 0};
    memcpy(&block.tag, at, sizeof block.tag);
    return block;
}

static void bag_empty(struct lane *lane, unsigned char **bag, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        block_drop(lane, node_block(bag[i]));
}

/* E1: the exchange publishes the node's contents and takes those of the old one. */
static unsigned char *node_replace(struct lane *lane)
{
    unsigned char *node = block_make(lane, NODE).at;
    return atomic_exchange_explicit(&table[random_below(lane, TABLE)], node, memory_order_acq_rel);
}

static void epoch_work(struct lane *lane)
{
    unsigned char **bag = bench_map(BAG * sizeof *bag);
    uint32_t bagged = 0;
    for (uint64_t i = 0; i < lane->bench->count; i++) {
        unsigned char *old = node_replace(lane);
        if (old != NULL)
            bag[bagged++] = old;
        if (bagged < BAG)
            continue;
        bag_empty(lane, bag, bagged);
        bagged = 0;
    }
    bag_empty(lane, bag, bagged);
}

static void epoch_finish(struct bench *bench)
{
    for (unsigned i = 0; i < TABLE; i++) {
        unsigned char *node = atomic_load_explicit(&table[i], memory_order_relaxed); /* after the join */
        if (node != NULL)
            block_drop(&bench->lanes[0], node_block(node));
    }
}

const struct pattern pattern = {
    .name = "epoch", .threads_min = 1, .work = epoch_work, .finish = epoch_finish};
