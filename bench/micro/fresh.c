/* fresh.c - malloc(64), never freed: how fast an allocator makes use of new memory.
 *
 *   newest -> next -> ... -> oldest     each block holds the address of the one before it
 *
 * Stresses  bump allocation, page faults, what is done ahead of need
 * Count     blocks per lane. In the end the chain is walked once: every block still holds what was written.
 */
#include "bench.h"

struct link {
    uint32_t tag;
    uint32_t unused;
    struct block next;
};

static void fresh_work(struct lane *lane)
{
    struct block newest = {0};
    for (uint64_t i = 0; i < lane->bench->count; i++) {
        struct block block = block_make(lane, 64);
        memcpy(block.at + offsetof(struct link, next), &newest, sizeof newest);
        newest = block;
    }
    while (newest.at != NULL) {
        block_verify(lane, newest);
        memcpy(&newest, newest.at + offsetof(struct link, next), sizeof newest);
    }
}

const struct pattern pattern = {.name = "fresh", .threads_min = 1, .work = fresh_work};
