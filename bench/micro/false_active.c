/* false_active.c - each lane allocates an 8-byte object, writes to it 500 times, frees it.
 *
 *   | lane 0's object | lane 1's object |   one cache line: every write takes the line from the other core
 *
 * Re-created from cache-thrash in Berger, McKinley, Blumofe, Wilson, "Hoard: a scalable memory allocator for
 * multithreaded applications" (ASPLOS 2000).
 *
 * Stresses  active false sharing: the allocator itself gives parts of one cache line to two threads
 * Count     objects per lane
 */
#include "bench.h"

enum { WRITES = 500 };

static void object_write(struct block block)
{
    volatile unsigned char *byte = block.at + 3;
    unsigned char was = *byte;
    for (unsigned i = 0; i < WRITES; i++)
        *byte = (unsigned char)(*byte + 1);
    *byte = was;
}

static void false_active_work(struct lane *lane)
{
    for (uint64_t i = 0; i < lane->bench->count; i++) {
        struct block block = block_make(lane, 8);
        object_write(block);
        block_drop(lane, block);
    }
}

const struct pattern pattern = {.name = "false_active", .threads_min = 1, .work = false_active_work};
