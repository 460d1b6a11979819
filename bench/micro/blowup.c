/* blowup.c - the lanes take turns: each frees everything the lane before it has allocated, then allocates as
 * much.
 *
 *   lane 0 allocates -> lane 1 frees, allocates -> lane 2 frees, allocates -> lane 0 ...      live memory:
 * constant
 *
 * Re-created from the discussion of blowup in Berger, McKinley, Blumofe, Wilson, "Hoard: a scalable memory
 * allocator for multithreaded applications" (ASPLOS 2000): an allocator that keeps freed memory for the
 * thread which freed it needs as many times the memory as there are threads.
 *
 * Stresses  how free memory gets from thread to thread; look at the peak RSS
 * Count     turns per lane, each of 20,000 blocks of 32 .. 512 B
 */
#include <pthread.h>

#include "bench.h"

enum { BLOCKS = 20000 };

static struct block *blocks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static uint64_t turn;

static void blowup_setup(struct bench *bench)
{
    (void)bench;
    blocks = bench_map(BLOCKS * sizeof *blocks);
}

static void turn_await(uint64_t mine)
{
    pthread_mutex_lock(&lock);
    while (turn != mine)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void turn_pass(void)
{
    pthread_mutex_lock(&lock);
    turn++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void blowup_work(struct lane *lane)
{
    for (uint64_t i = 0; i < lane->bench->count; i++) {
        turn_await(i * lane->bench->threads + lane->index);
        slots_clear(lane, blocks, BLOCKS);
        for (unsigned j = 0; j < BLOCKS; j++)
            blocks[j] = block_make(lane, random_size(lane, 5, 9));
        turn_pass();
    }
}

static void blowup_finish(struct bench *bench)
{
    slots_clear(&bench->lanes[0], blocks, BLOCKS);
}

const struct pattern pattern = {
    .name = "blowup", .threads_min = 1, .setup = blowup_setup, .work = blowup_work, .finish = blowup_finish};
