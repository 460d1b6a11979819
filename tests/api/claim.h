/* claim.h - claims of the tests in this folder: the first that does not hold ends the test and says where. */
#ifndef TESTS_API_CLAIM_H
#define TESTS_API_CLAIM_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLAIM(condition)                                                                                               \
    ((condition) ? (void)0 : (fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition), exit(1)))

#define RUN(test) (test(), printf("ok %s\n", #test), (void)fflush(stdout))

static inline bool is_filled(const void *p, int value, size_t bytes)
{
    const unsigned char *at = (const unsigned char *)p;
    for (size_t i = 0; i < bytes; i++)
        if (at[i] != (unsigned char)value)
            return false;
    return true;
}

#define IS_ALIGNED(p, alignment) ((size_t)(p) % (alignment) == 0)

#endif
