/* false_passive.c - the main thread allocates neighbouring 8-byte objects and gives one to each lane, which
 * frees it and then allocates, writes 500 times and frees its own.
 *
 *   main:  | a | b |  one cache line        lane 0 frees a, gets a back;  lane 1 frees b, gets b back
 *
 * Re-created from cache-scratch in Berger, McKinley, Blumofe, Wilson, "Hoard: a scalable memory allocator for
 * multithreaded applications" (ASPLOS 2000).
 *
 * Stresses  passive false sharing: a line that was divided by the program stays divided by the allocator
 * Count     objects per lane
 */
#include "bench.h"

enum { WRITES = 500 };

static struct block *gifts;

static void false_passive_setup(struct bench *bench)
{
    gifts = bench_map(bench->threads * sizeof *gifts);
    for (unsigned i = 0; i < bench->threads; i++)
        gifts[i] = block_make(&bench->lanes[0], 8);
}

static void object_write(struct block block)
{
    volatile unsigned char *byte = block.at + 3;
    unsigned char was = *byte;
    for (unsigned i = 0; i < WRITES; i++)
        *byte = (unsigned char)(*byte + 1);
    *byte = was;
}

static void false_passive_work(struct lane *lane)
{
    block_drop(lane, gifts[lane->index]);
    for (uint64_t i = 0; i < lane->bench->count; i++) {
        struct block block = block_make(lane, 8);
        object_write(block);
        block_drop(lane, block);
    }
}

const struct pattern pattern = {
    .name = "false_passive", .threads_min = 1, .setup = false_passive_setup, .work = false_passive_work};
