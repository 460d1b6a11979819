/* Correct: blocks are freed by a thread that never allocated, after their owner ended */
#include "faults.h"
#include <pthread.h>

enum { COUNT = 3000 };
static void *block[COUNT];

static void *make(void *unused)
{
    for (int i = 0; i < COUNT; i++)
        block[i] = alloc((size_t)(i * 7));
    return unused;
}

static void *drop(void *unused)
{
    for (int i = COUNT; i-- > 0;)
        release(block[i]);
    return unused;
}

int main(void)
{
    pthread_t thread;
    for (int round = 0; round < 20; round++) {
        pthread_create(&thread, NULL, make, NULL);
        pthread_join(thread, NULL);
        pthread_create(&thread, NULL, drop, NULL);
        pthread_join(thread, NULL);
    }
    malloc_trim(0);
    return survived();
}
