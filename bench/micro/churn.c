/* churn.c - short-lived threads: each allocates 200 blocks, frees half of them and leaves half to its parent.
 *
 * Stresses  what a thread's first malloc costs, what becomes of its caches when it ends, and whether memory
 * freed after the owner's death is found again Count     threads started by each lane, one after the other
 */
#include <pthread.h>

#include "bench.h"

enum { BLOCKS = 200, KEPT = BLOCKS / 2 };

struct guest {
    struct lane lane;
    struct block left[KEPT];
};

static void *guest_main(void *argument)
{
    struct guest *guest = argument;
    struct block blocks[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++)
        blocks[i] = block_make(&guest->lane, random_size(&guest->lane, 4, 10));
    for (unsigned i = 0; i < KEPT; i++)
        guest->left[i] = blocks[2 * i];
    for (unsigned i = 0; i < KEPT; i++)
        block_drop(&guest->lane, blocks[2 * i + 1]);
    return NULL;
}

static void guest_run(struct lane *lane, struct guest *guest)
{
    pthread_t thread;
    lane_init(&guest->lane, lane->bench, lane->index, random_next(lane));
    if (pthread_create(&thread, NULL, guest_main, guest) != 0)
        bench_fail("pthread_create failed");
    pthread_join(thread, NULL);
    lane_merge(lane, &guest->lane);
    slots_clear(lane, guest->left, KEPT);
}

static void churn_work(struct lane *lane)
{
    struct guest *guest = bench_map(sizeof *guest);
    for (uint64_t i = 0; i < lane->bench->count; i++)
        guest_run(lane, guest);
}

const struct pattern pattern = {.name = "churn", .threads_min = 1, .work = churn_work};
