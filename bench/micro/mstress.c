/* mstress.c - every lane replaces its own blocks at random and now and then swaps one with a table all lanes
 * share; in several generations of threads.
 *
 *   lane 0 [slots] --swap--\                 /--swap-- lane 1 [slots]
 *                           [ shared table ]
 *
 * Re-created from the stress test described in Leijen, Zorn, de Moura, "Mimalloc: free list sharding in
 * action" (APLAS 2019): objects with few large ones among many small ones, migrating between threads.
 *
 * Stresses  asymmetric frees at a moderate rate, together with threads that end
 * Count     generations of threads per lane, each with 20,000 replacements
 */
#include <pthread.h>
#include <stdatomic.h>

#include "bench.h"

enum { SLOTS = 2000, REPLACEMENTS = 20000, SHARED = 1000 };

struct holder {
    struct lane lane;
    struct block slots[SLOTS];
};

/* A block in transit describes itself: M1 publishes it, M2 takes it. */
struct header {
    uint32_t tag;
    uint32_t size;
};

static _Atomic(unsigned char *) shared[SHARED];

static uint32_t size_pick(struct lane *lane)
{
    uint32_t dice = random_below(lane, 1000);
    if (dice == 0)
        return random_size(lane, 14, 17);
    return dice < 50 ? random_size(lane, 9, 14) : random_size(lane, 4, 9);
}

static unsigned char *header_write(struct block block)
{
    memcpy(block.at + offsetof(struct header, size), &block.size, sizeof block.size);
    return block.at;
}

static struct block header_read(unsigned char *at)
{
    struct block block = {.at = at};
    if (at == NULL)
        return block;
    memcpy(&block.tag, at + offsetof(struct header, tag), sizeof block.tag);
    memcpy(&block.size, at + offsetof(struct header, size), sizeof block.size);
    return block;
}

/* What comes back depends on the other lanes, but which blocks exist in all does not. */
static void slot_swap(struct lane *lane, struct block *slot)
{
    unsigned char *given = slot->at == NULL ? NULL : header_write(*slot);
    unsigned char *taken = atomic_exchange_explicit(&shared[random_below(lane, SHARED)], given,
                                                    memory_order_acq_rel); /* M1, M2 */
    *slot = header_read(taken);
}

static void *generation_main(void *argument)
{
    struct holder *holder = argument;
    struct lane *lane = &holder->lane;
    for (unsigned i = 0; i < REPLACEMENTS; i++) {
        struct block *slot = &holder->slots[random_below(lane, SLOTS)];
        slot_clear(lane, slot);
        *slot = block_make(lane, size_pick(lane));
        if (random_below(lane, 4) == 0)
            slot_swap(lane, slot);
    }
    return NULL;
}

static void mstress_work(struct lane *lane)
{
    struct holder *holder = bench_map(sizeof *holder);
    pthread_t thread;
    lane_init(&holder->lane, lane->bench, lane->index, random_next(lane));
    for (uint64_t i = 0; i < lane->bench->count; i++) {
        if (pthread_create(&thread, NULL, generation_main, holder) != 0)
            bench_fail("pthread_create failed");
        pthread_join(thread, NULL);
    }
    slots_clear(&holder->lane, holder->slots, SLOTS);
    lane_merge(lane, &holder->lane);
}

static void mstress_finish(struct bench *bench)
{
    for (unsigned i = 0; i < SHARED; i++) {
        struct block block =
            header_read(atomic_load_explicit(&shared[i], memory_order_relaxed)); /* after the join */
        slot_clear(&bench->lanes[0], &block);
    }
}

const struct pattern pattern = {
    .name = "mstress", .threads_min = 1, .work = mstress_work, .finish = mstress_finish};
