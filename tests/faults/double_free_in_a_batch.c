/* Bug:     another thread frees the block twice; its owner notices when the batch arrives
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): double free: the block is already free
 * Signal:  SIGABRT */
#include "faults.h"
#include <pthread.h>

static void *free_it_twice(void *p)
{
    for (size_t size = 0; size < 1000; size++) /* it has a heap of its own by then */
        release(alloc(size));
    release(p);
    release(p);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    char *p = alloc(100), *q = alloc(100);
    (void)q;
    pthread_create(&thread, NULL, free_it_twice, p);
    pthread_join(thread, NULL);
    malloc_trim(0);
    return survived();
}
