/* unit.h - what every test program begins with: Check, and one main for a list of claims.
 *
 * Each claim runs in a process of its own (Check forks), so that it finds the core as a program's first
 * malloc does. */
#ifndef NEB_TESTS_UNIT_H
#define NEB_TESTS_UNIT_H

#include <check.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { UNIT_SECONDS = 300 }; /* only a hang reaches it */

/* Whether a sanitizer watches: some things cannot be tried then. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define UNIT_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define UNIT_SANITIZED 1
#endif
#endif
#ifndef UNIT_SANITIZED
#define UNIT_SANITIZED 0
#endif

struct unit_claim {
    const TTest *test;
    int signal; /* that must end it; 0: none */
};

#define HOLDS(test)                                                                                          \
    {                                                                                                        \
        test, 0                                                                                              \
    }
#define ABORTS(test)                                                                                         \
    {                                                                                                        \
        test, SIGABRT                                                                                        \
    }

static inline int unit_run(const char *name, const struct unit_claim *claims, size_t count)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, UNIT_SECONDS);
    for (size_t i = 0; i < count; i++) {
        if (claims[i].signal == 0)
            tcase_add_test(tcase, claims[i].test);
        else
            tcase_add_test_raise_signal(tcase, claims[i].test, claims[i].signal);
    }
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failures = srunner_ntests_failed(runner), ran = srunner_ntests_run(runner);
    srunner_free(runner);
    return failures == 0 && ran == (int)count ? 0 : 1;
}

#define UNIT_MAIN(name, ...)                                                                                 \
    int main(void)                                                                                           \
    {                                                                                                        \
        const struct unit_claim claims[] = {__VA_ARGS__};                                                    \
        return unit_run(name, claims, sizeof claims / sizeof claims[0]);                                     \
    }

/* A reproducible sequence; every test seeds its own. */
static inline uint64_t unit_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* Asked of the kernel, which answers where a load would be a fault. */
static inline bool can_be_read(const void *p)
{
    int ends[2];
    if (pipe(ends) != 0)
        return false;
    bool answer = write(ends[1], p, 1) == 1;
    (void)close(ends[0]);
    (void)close(ends[1]);
    return answer;
}

static inline bool all_bytes_are(const void *memory, size_t bytes, unsigned value)
{
    const unsigned char *p = memory;
    for (size_t i = 0; i < bytes; i++)
        if (p[i] != value)
            return false;
    return true;
}

#endif
