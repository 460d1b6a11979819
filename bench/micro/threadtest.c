/* threadtest.c - the same number of small objects is allocated and freed again and again, divided among the
 * lanes.
 *
 * Re-created from threadtest in Berger, McKinley, Blumofe, Wilson, "Hoard: a scalable memory allocator for
 * multithreaded applications" (ASPLOS 2000): 100,000 objects of 8 bytes, divided by the number of threads.
 *
 * Stresses  scaling of bulk allocation without any sharing
 * Count     rounds; the total work does not depend on the number of lanes
 */
#include "bench.h"

enum { OBJECTS = 100000, SIZE = 8 };

static void threadtest_work(struct lane *lane)
{
    uint32_t share = OBJECTS / lane->bench->threads;
    struct block *blocks = bench_map(share * sizeof *blocks);
    for (uint64_t round = 0; round < lane->bench->count; round++) {
        for (uint32_t i = 0; i < share; i++)
            blocks[i] = block_make(lane, SIZE);
        slots_clear(lane, blocks, share);
    }
}

const struct pattern pattern = {.name = "threadtest", .threads_min = 1, .work = threadtest_work};
