/* Bug:     a block is written after another thread freed it, among the last that it did; that thread still runs when the program ends, which
 *          is when it is noticed
 * Says:    nebmalloc: ERROR: write\(0x[0-9a-f]+\): written after free: byte 8 of a block of 100 bytes
 * Signal:  SIGABRT
 * Policy:  checked */
#include "elsewhere.h"
#include <semaphore.h>
#include <stdbool.h>
#include <unistd.h>

static sem_t freed;

static void *release_and_stay(void *p)
{
    (void)release_it(p);
    sem_post(&freed);
    while (true)
        pause();
    return NULL;
}

int main(void)
{
    pthread_t thread;
    char *p = alloc(100);
    sem_init(&freed, 0, 0);
    pthread_create(&thread, NULL, release_and_stay, p);
    sem_wait(&freed);
    p[8] = 1;
    return 0;
}
