/* requests.c - a server's requests: each allocates about 150 blocks that end with it, changes one of 256
 * sessions that live on, and fills an output buffer that grows.
 *
 * Re-created after the region-like programs (apache, lcc) in Berger, Zorn, McKinley, "Reconsidering custom
 * memory allocation" (OOPSLA 2002): nearly everything dies with the request, little survives it.
 *
 * Stresses  phases of allocation followed by phases of free, with survivors among them
 * Count     requests per lane
 */
#include "bench.h"

enum { BLOCKS = 100, BLOCKS_SPAN = 100, SESSIONS = 256, OUTPUT_START = 256, OUTPUT_END = 32 << 10 };

static struct block output_grow(struct lane *lane, struct block output)
{
    block_verify(lane, output);
    void *at = realloc(output.at, output.size * 2);
    if (at == NULL)
        bench_fail("realloc returned NULL");
    return block_stamp(lane, at, output.size * 2);
}

static void session_change(struct lane *lane, struct block *sessions)
{
    struct block *session = &sessions[random_below(lane, SESSIONS)];
    slot_clear(lane, session);
    *session = block_make(lane, random_size(lane, 6, 11));
}

static void request_run(struct lane *lane, struct block *sessions)
{
    struct block blocks[BLOCKS + BLOCKS_SPAN];
    uint32_t count = BLOCKS + random_below(lane, BLOCKS_SPAN);
    struct block output = block_make(lane, OUTPUT_START);
    for (uint32_t i = 0; i < count; i++) {
        blocks[i] = block_make(lane, random_size(lane, 4, 9));
        if (i % 25 == 24 && output.size < OUTPUT_END)
            output = output_grow(lane, output);
    }
    session_change(lane, sessions);
    slots_clear(lane, blocks, count);
    block_drop(lane, output);
}

static void requests_work(struct lane *lane)
{
    struct block *sessions = bench_map(SESSIONS * sizeof *sessions);
    for (uint64_t i = 0; i < lane->bench->count; i++)
        request_run(lane, sessions);
    slots_clear(lane, sessions, SESSIONS);
}

const struct pattern pattern = {.name = "requests", .threads_min = 1, .work = requests_work};
