/* xmalloc.c - some lanes allocate batches, other lanes free them; any of these may get any batch.
 *
 *   even lanes: 100 blocks each --> [ pool of up to 64 batches ] --> odd lanes: free them
 *
 * Re-created from the second benchmark (xmalloc-test) of Lever and Boreham, "malloc() performance in a
 * multithreaded Linux environment" (USENIX 2000), which shows what happens when allocation and free are on
 * different threads.
 *
 * Stresses  frees from many threads into the memory of many others at once
 * Count     batches per allocating lane; block sizes 16 .. 1 KiB
 */
#include <pthread.h>

#include "bench.h"

enum { BATCH = 100, BATCHES_MAX = 64 };

struct batch {
    struct batch *next;
    struct block blocks[BATCH];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct batch *full, *empty;
static unsigned producers_left;

static void list_push(struct batch **list, struct batch *batch)
{
    batch->next = *list;
    *list = batch;
}

static struct batch *list_pop(struct batch **list)
{
    struct batch *batch = *list;
    *list = batch->next;
    return batch;
}

static void xmalloc_setup(struct bench *bench)
{
    struct batch *batches = bench_map(BATCHES_MAX * sizeof *batches);
    for (unsigned i = 0; i < BATCHES_MAX; i++)
        list_push(&empty, &batches[i]);
    producers_left = (bench->threads + 1) / 2;
}

/* Moves a batch to a list and wakes whoever waits for it. */
static void batch_put(struct batch **list, struct batch *batch)
{
    pthread_mutex_lock(&lock);
    list_push(list, batch);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static struct batch *batch_take_empty(void)
{
    pthread_mutex_lock(&lock);
    while (empty == NULL)
        pthread_cond_wait(&changed, &lock);
    struct batch *batch = list_pop(&empty);
    pthread_mutex_unlock(&lock);
    return batch;
}

/* NULL when all producers have ended and nothing is left. */
static struct batch *batch_take_full(void)
{
    pthread_mutex_lock(&lock);
    while (full == NULL && producers_left > 0)
        pthread_cond_wait(&changed, &lock);
    struct batch *batch = full == NULL ? NULL : list_pop(&full);
    pthread_mutex_unlock(&lock);
    return batch;
}

static void producer_end(void)
{
    pthread_mutex_lock(&lock);
    producers_left--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void batch_fill(struct lane *lane, struct batch *batch)
{
    for (unsigned i = 0; i < BATCH; i++)
        batch->blocks[i] = block_make(lane, random_size(lane, 4, 10));
}

/* With one lane only there is nobody to free: it does so itself. */
static void produce(struct lane *lane)
{
    for (uint64_t i = 0; i < lane->bench->count; i++) {
        struct batch *batch = batch_take_empty();
        batch_fill(lane, batch);
        if (lane->bench->threads == 1)
            slots_clear(lane, batch->blocks, BATCH);
        batch_put(lane->bench->threads == 1 ? &empty : &full, batch);
    }
    producer_end();
}

static void consume(struct lane *lane)
{
    struct batch *batch;
    while ((batch = batch_take_full()) != NULL) {
        slots_clear(lane, batch->blocks, BATCH);
        batch_put(&empty, batch);
    }
}

static void xmalloc_work(struct lane *lane)
{
    if (lane->index % 2 == 0)
        produce(lane);
    else
        consume(lane);
}

const struct pattern pattern = {
    .name = "xmalloc", .threads_min = 1, .setup = xmalloc_setup, .work = xmalloc_work};
