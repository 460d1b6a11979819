/* memory_threads_many.c - 1,500 threads at the same time, each with one small block: at most 20 MB.
 *
 * Seconds: 120
 */
#include "claim.h"
#include <pthread.h>

enum { THREADS = 1500 };

static pthread_barrier_t all_have_one, all_may_end;

static void *thread_body(void *argument)
{
    void *block = malloc(64);

    fill(block, 64, 3);
    *(void **)argument = block;
    pthread_barrier_wait(&all_have_one);
    pthread_barrier_wait(&all_may_end);
    return NULL;
}

int main(void)
{
    static pthread_t threads[THREADS];
    static void *blocks[THREADS];
    pthread_attr_t attributes;
    bool good = true;

    pthread_barrier_init(&all_have_one, NULL, THREADS + 1);
    pthread_barrier_init(&all_may_end, NULL, THREADS + 1);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 * 1024);
    long before = resident_kib();
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], &attributes, thread_body, &blocks[i]) != 0)
            return 1;
    pthread_barrier_wait(&all_have_one);
    claim_at_most("resident memory, stacks included", resident_kib() - before, 20 * 1000 * 1000 / 1024, "KiB");
    pthread_barrier_wait(&all_may_end);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        good = good && is_filled(blocks[i], 64, 3);
        free(blocks[i]);
    }
    claim_holds("each has its contents", good);
    return 0;
}
