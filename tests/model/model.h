/* model.h - what the C models share. They are plain C11 and small enough for a stateless model checker, which
 * runs main once and tries every execution that the C11 memory model allows; run as ordinary programs they
 * repeat their scene many times, for TSan.
 *
 *   GENMC defined    one scene, waits are assumptions
 *   else             SCENES scenes, waits yield */
#ifndef NEB_MODEL_H
#define NEB_MODEL_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef GENMC
#define SCENES 1
void __VERIFIER_assume(int);
#define WAIT_UNTIL(condition) __VERIFIER_assume(condition)
#define WIDEN() ((void)0)
#else
#ifndef SCENES
#define SCENES 500
#endif
#define WAIT_UNTIL(condition)                                                                                 \
    do {                                                                                                      \
        while (!(condition))                                                                                  \
            sched_yield();                                                                                    \
    } while (0)
#define WIDEN() sched_yield() /* where a mutant's window is, so that it is met on one core too */
#endif

/* Not assert: it stays on whatever NDEBUG says. */
#define MUST(claim)                                                                                           \
    do {                                                                                                      \
        if (!(claim)) {                                                                                       \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #claim);                               \
            abort();                                                                                          \
        }                                                                                                     \
    } while (0)

static inline void threads_run(void *(*const body[])(void *), int count)
{
    pthread_t thread[3];
    for (int i = 0; i < count; i++)
        MUST(pthread_create(&thread[i], NULL, body[i], NULL) == 0);
    for (int i = 0; i < count; i++)
        MUST(pthread_join(thread[i], NULL) == 0);
}

#endif
