/* Bug:     a block is freed by another thread, and again by the one that allocated it; noticed at once, since few of its size were freed before
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): double free: the block is already free
 * Signal:  SIGABRT */
#include "faults.h"
#include <pthread.h>

static void *free_it(void *p)
{
    for (size_t size = 200; size < 1000; size++) /* it has a heap of its own by then */
        release(alloc(size));
    release(p);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    char *p = alloc(100), *q = alloc(100);
    (void)q;
    pthread_create(&thread, NULL, free_it, p);
    pthread_join(thread, NULL);
    release(p);
    _Exit(survived());
}
