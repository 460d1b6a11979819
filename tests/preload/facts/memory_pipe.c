/* memory_pipe.c - a producer that allocates and a consumer that frees pass 10 GB through a queue of 1,000 blocks, and
 * the process stays under 64 MiB: blocks flow back to the thread that allocates.
 *
 * one-size: blocks of 1,000 bytes; two-pairs: two such pairs at once, each 5 GB; mixed: 16 bytes to 64 KiB.
 *
 * Variants: one-size two-pairs mixed
 * Alone: bars for the library
 */
#include "claim.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { QUEUE = 1000 };

struct block {
    uint64_t size;
    uint64_t number;
};

struct pair {
    void *queue[QUEUE];
    atomic_ulong put, taken; /* blocks so far */
    uint64_t bytes_max;
    bool mixed;
    bool good; /* the consumer's, read after it was joined */
};

static struct pair pairs[2];

static void *produce(void *argument)
{
    struct pair *pair = argument;
    uint64_t bytes = 0, number = 0;
    unsigned x = 1;

    while (bytes < pair->bytes_max) {
        size_t size = 1000;
        struct block *block;

        if (pair->mixed) {
            x = x * 1664525u + 1013904223u;
            size = 16 + (x >> 8) % (x % 8 == 0 ? 65536u - 16u : 2000u);
        }
        block = malloc(size);
        if (block == NULL)
            return NULL;
        memset(block, (int)number & 0xff, size);
        block->size = size;
        block->number = number;
        while (number - atomic_load_explicit(&pair->taken, memory_order_acquire) >= QUEUE)
            sched_yield();
        pair->queue[number % QUEUE] = block;
        atomic_store_explicit(&pair->put, ++number, memory_order_release);
        bytes += size;
    }
    while (number - atomic_load_explicit(&pair->taken, memory_order_acquire) >= QUEUE)
        sched_yield();
    pair->queue[number % QUEUE] = NULL;
    atomic_store_explicit(&pair->put, number + 1, memory_order_release);
    return argument;
}

static void *consume(void *argument)
{
    struct pair *pair = argument;
    bool good = true;

    for (uint64_t number = 0;; number++) {
        struct block *block;

        while (atomic_load_explicit(&pair->put, memory_order_acquire) == number)
            sched_yield();
        block = pair->queue[number % QUEUE];
        atomic_store_explicit(&pair->taken, number + 1, memory_order_release);
        if (block == NULL)
            break;
        good = good && block->number == number &&
               (block->size == sizeof *block ||
                ((const unsigned char *)block)[block->size - 1] == (unsigned char)number);
        free(block);
    }
    pair->good = good;
    return NULL;
}

int main(int argc, char **argv)
{
    const char *variant = argc > 1 ? argv[1] : "";
    int count = strcmp(variant, "two-pairs") == 0 ? 2 : 1;
    pthread_t threads[4];
    bool good = true;
    void *produced;

    for (int i = 0; i < count; i++) {
        pairs[i].bytes_max = 10000000000u / (unsigned)count;
        pairs[i].mixed = strcmp(variant, "mixed") == 0;
        pthread_create(&threads[2 * i], NULL, produce, &pairs[i]);
        pthread_create(&threads[2 * i + 1], NULL, consume, &pairs[i]);
    }
    for (int i = 0; i < count; i++) {
        pthread_join(threads[2 * i], &produced);
        pthread_join(threads[2 * i + 1], NULL);
        good = good && produced != NULL && pairs[i].good;
    }
    claim_holds("10 GB arrive as they were sent", good);
    claim_at_most("peak resident memory", resident_peak_kib(), 64 * 1024, "KiB");
    return 0;
}
