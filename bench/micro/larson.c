/* larson.c - a server: threads come and go, and each inherits the live objects of its predecessor.
 *
 *   lane: [slots]  thread 1 replaces at random, ends -> thread 2 goes on with the same slots -> thread 3 ...
 *
 * Re-created from the simulation in Larson and Krishnan, "Memory allocation for long-running server
 * applications" (ISMM 1998): 1,000 objects for each connection, sizes 10 .. 500 B, replaced at random; then
 * the work is handed to a new thread.
 *
 * Stresses  blocks that outlive the thread which allocated them and are freed by another one; the owner is
 * dead Count     threads one after the other in each lane, each with 50,000 replacements
 */
#include <pthread.h>

#include "bench.h"

enum { SLOTS = 1000, REPLACEMENTS = 50000, SIZE_MIN = 10, SIZE_SPAN = 491 };

struct connection {
    struct lane lane;
    struct block slots[SLOTS];
};

static void *server_main(void *argument)
{
    struct connection *connection = argument;
    struct lane *lane = &connection->lane;
    for (unsigned i = 0; i < REPLACEMENTS; i++) {
        struct block *slot = &connection->slots[random_below(lane, SLOTS)];
        slot_clear(lane, slot);
        *slot = block_make(lane, SIZE_MIN + random_below(lane, SIZE_SPAN));
    }
    return NULL;
}

static void server_run(struct connection *connection)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, server_main, connection) != 0)
        bench_fail("pthread_create failed");
    pthread_join(thread, NULL);
}

static void larson_work(struct lane *lane)
{
    struct connection *connection = bench_map(sizeof *connection);
    lane_init(&connection->lane, lane->bench, lane->index, random_next(lane));
    for (uint64_t i = 0; i < lane->bench->count; i++)
        server_run(connection);
    slots_clear(&connection->lane, connection->slots, SLOTS);
    lane_merge(lane, &connection->lane);
}

const struct pattern pattern = {.name = "larson", .threads_min = 1, .work = larson_work};
