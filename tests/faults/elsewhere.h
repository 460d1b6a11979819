/* elsewhere.h - blocks that another thread frees. */
#ifndef NEB_TESTS_FAULTS_ELSEWHERE_H
#define NEB_TESTS_FAULTS_ELSEWHERE_H

#include "faults.h"
#include <pthread.h>

static inline void *release_it(void *p)
{
    for (size_t size = 0; size < 1000; size++) /* it has a heap of its own by then */
        release(alloc(size));
    release(p);
    return NULL;
}

static inline void *release_it_twice(void *p)
{
    (void)release_it(p);
    release(p);
    return NULL;
}

/* In a thread of its own, until it ends. */
static inline void elsewhere(void *(*function)(void *p), void *p)
{
    pthread_t thread;
    pthread_create(&thread, NULL, function, p);
    pthread_join(thread, NULL);
}

#endif
