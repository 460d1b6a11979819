/* pair.c - malloc(64) and its free, again and again: the fast path and nothing else.
 *
 * Stresses  the most recently freed block is the next one handed out; always in the first-level cache
 * Count     pairs per lane
 */
#include "bench.h"

static void pair_work(struct lane *lane)
{
    for (uint64_t i = 0; i < lane->bench->count; i++)
        block_drop(lane, block_make(lane, 64));
}

const struct pattern pattern = {.name = "pair", .threads_min = 1, .work = pair_work};
