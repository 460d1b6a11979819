/* memory_thread.c - a thread that has allocated once costs at most 64 KiB of resident memory; so does one that has
 * allocated and freed one block of each of many sizes (at most 256 KiB). Its stack counts too.
 *
 * The same threads are measured before and after they allocate, while all of them live.
 *
 * Alone: bars for the library
 */
#include "claim.h"
#include <limits.h>
#include <pthread.h>

enum { THREADS = 500 };

static pthread_barrier_t barrier;

static void meet(void)
{
    pthread_barrier_wait(&barrier);
}

static void *body(void *unused)
{
    void *block;

    (void)unused;
    meet(); /* all have started */
    meet(); /* measured */
    block = malloc(opaque_size(100));
    fill(block, 100, 1);
    meet();
    meet(); /* measured */
    for (size_t size = 16; size <= 2048; size *= 2)
        free(opaque(malloc(opaque_size(size))));
    meet();
    meet(); /* measured */
    free(block);
    return NULL;
}

int main(void)
{
    static pthread_t threads[THREADS];
    long start, once, more;

    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    free(opaque(malloc(opaque_size(100))));
    for (int i = 0; i < THREADS; i++) {
        pthread_attr_t attributes;

        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 128 * 1024);
        if (pthread_create(&threads[i], &attributes, body, NULL) != 0)
            return 1;
        pthread_attr_destroy(&attributes);
    }
    meet();
    start = resident_kib();
    meet();
    meet();
    once = resident_kib();
    meet();
    meet();
    more = resident_kib();
    meet();
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    claim_at_most("a thread that has allocated once", (once - start) / THREADS, 64, "KiB");
    claim_at_most("500 such threads", once - start, 500 * 64, "KiB");
    claim_at_most("a thread that has used eight sizes", (more - start) / THREADS, 256, "KiB");
    return 0;
}
