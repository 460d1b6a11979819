/* versus.h - runs the same work with malloc and with the opt-in API, demands the same answer, and says what each took. */
#ifndef TESTS_EXAMPLES_VERSUS_H
#define TESTS_EXAMPLES_VERSUS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline double versus_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

enum { VERSUS_ROUNDS = 5 };

/* work(true): with the opt-in API; the answer is a checksum. Rounds alternate, the fastest of each counts. */
static inline int versus(const char *name, const char *with, uint64_t (*work)(int use_neb))
{
    double best[2] = {1e9, 1e9};
    uint64_t answer[2] = {0, 0};
    for (int round = 0; round < VERSUS_ROUNDS; round++)
        for (int use_neb = 0; use_neb < 2; use_neb++) {
            double start = versus_seconds();
            answer[use_neb] = work(use_neb);
            double took = versus_seconds() - start;
            best[use_neb] = took < best[use_neb] ? took : best[use_neb];
        }
    printf("%s: malloc %.1f ms, %s %.1f ms: %.2f times as fast\n", name, best[0] * 1e3, with, best[1] * 1e3, best[0] / best[1]);
    if (answer[0] != answer[1] || answer[0] == 0) {
        printf("%s: the answers differ: %#llx and %#llx\n", name, (unsigned long long)answer[0], (unsigned long long)answer[1]);
        return 1;
    }
    return 0;
}

static inline void *or_die(void *p)
{
    if (p == NULL) {
        fputs("out of memory\n", stderr);
        exit(1);
    }
    return p;
}

static inline uint32_t versus_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

#endif
