/* census.c - see census.h. */
#include "trace/census.h"

#include "base/ptr.h"
#include "base/sort.h"
#include "heap/chunk.h"
#include "heap/page_map.h"
#include "os/lock.h"
#include "trace/block.h"
#include <string.h>

enum { BLOCKS_MAX = GRANULE_BYTES >> STEP_SHIFT };

struct tally {
    uint32_t session;
    uint64_t *live_bytes;
    size_t count;
    unsigned class_index;
    uint32_t name[BLOCKS_MAX]; /* one for each block of the slab */
};

static struct tally tally; /* 16 KiB: too much for a small stack */

static void granule_count(const void *granule)
{
    neb_lock_take(&neb_locks[LOCK_TRACE_BLOCKS]);
    struct block_records records = neb_block_records_locked(granule);
    for (size_t i = 0; i < records.count && tally.count < BLOCKS_MAX; i++) {
        struct block_slot slot = {&records.record[i], false, 0};
        struct block_birth birth;
        if (!block_get(&slot, tally.session, &birth))
            continue;
        tally.name[tally.count++] = birth.stack;
        tally.live_bytes[records.class_index] += birth.size;
    }
    tally.class_index = records.class_index;
    neb_lock_give(&neb_locks[LOCK_TRACE_BLOCKS]);
}

static bool is_less(const void *a, const void *b)
{
    return *(const uint32_t *)a < *(const uint32_t *)b;
}

/* Among the CENSUS_STACKS with most blocks, if it is. */
static void stack_add(struct census_slab *slab, uint32_t name, uint32_t blocks)
{
    size_t at = slab->stack_count;
    if (at == CENSUS_STACKS && slab->stack[at - 1].blocks >= blocks)
        return;
    if (at < CENSUS_STACKS)
        slab->stack_count++;
    else
        at--;
    for (; at > 0 && slab->stack[at - 1].blocks < blocks; at--)
        slab->stack[at] = slab->stack[at - 1];
    slab->stack[at].name = name;
    slab->stack[at].blocks = blocks;
}

/* The slab whose granules were counted; then nothing is. */
static void slab_finish(void (*visit)(void *argument, const struct census_slab *slab), void *argument)
{
    struct census_slab slab = {.class_index = tally.class_index, .used = tally.count};
    neb_sort(tally.name, tally.count, sizeof *tally.name, is_less);
    for (size_t first = 0, i = 1; i <= tally.count; i++) {
        if (i < tally.count && tally.name[i] == tally.name[first])
            continue;
        stack_add(&slab, tally.name[first], (uint32_t)(i - first));
        first = i;
    }
    if (tally.count > 0)
        visit(argument, &slab);
    tally.count = 0;
}

struct census {
    void (*visit)(void *argument, const struct census_slab *slab);
    void *argument;
};

static bool chunk_count(void *argument, struct chunk *chunk)
{
    const struct census *to = argument;
    uint8_t head[CHUNK_GRANULES];
    neb_lock_take(&neb_locks[LOCK_CHUNK]);
    memcpy(head, chunk->head, sizeof head);
    neb_lock_give(&neb_locks[LOCK_CHUNK]);
    for (unsigned granule = 0; granule < CHUNK_GRANULES; granule++) {
        if (granule > 0 && head[granule] != head[granule - 1])
            slab_finish(to->visit, to->argument);
        granule_count(ptr_add(chunk->base, (size_t)granule << GRANULE_SHIFT));
    }
    slab_finish(to->visit, to->argument);
    return true;
}

void neb_census(uint32_t session, void (*visit)(void *argument, const struct census_slab *slab), void *argument,
                uint64_t live_bytes[CLASS_COUNT])
{
    struct census to = {visit, argument};
    memset(live_bytes, 0, CLASS_COUNT * sizeof *live_bytes);
    tally.session = session;
    tally.live_bytes = live_bytes;
    tally.count = 0;
    (void)neb_chunks_walk(chunk_count, &to);
}
