/* scalability.c - every lane makes and frees blocks of 512 B, in groups of 16, and shares nothing.
 *
 * Re-created from the first benchmark of Lever and Boreham, "malloc() performance in a multithreaded Linux
 * environment" (USENIX 2000), which runs a loop of malloc(512) and free in each of n threads.
 *
 * Stresses  locks and shared cache lines on the way of threads that have nothing to do with each other
 * Count     groups per lane
 */
#include "bench.h"

enum { GROUP = 16, SIZE = 512 };

static void scalability_work(struct lane *lane)
{
    struct block group[GROUP];
    for (uint64_t i = 0; i < lane->bench->count; i++) {
        for (unsigned j = 0; j < GROUP; j++)
            group[j] = block_make(lane, SIZE);
        slots_clear(lane, group, GROUP);
    }
}

const struct pattern pattern = {.name = "scalability", .threads_min = 1, .work = scalability_work};
