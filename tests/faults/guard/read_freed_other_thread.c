/* Bug:     another thread reads a block that was freed
 * Says:    nebmalloc: ERROR: read\(0x[0-9a-f]+\): 5 bytes inside a freed block of 3000000 bytes
 * Signal:  SIGSEGV
 * Options: guard
 * Policy:  checked */
#include "faults.h"
#include <pthread.h>

static void *reader(void *p)
{
    (void)look((char *)p + 5);
    return NULL;
}

int main(void)
{
    pthread_t thread;
    char *p = alloc(3000000);
    release(p);
    if (pthread_create(&thread, NULL, reader, p) == 0)
        (void)pthread_join(thread, NULL);
    return survived();
}
