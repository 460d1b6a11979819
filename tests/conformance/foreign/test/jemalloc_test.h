/* jemalloc_test.h - what jemalloc's integration tests want of their harness, for any malloc: no control interface, whose questions
 * are answered here. */
#ifndef NEB_TESTS_JEMALLOC_TEST_H
#define NEB_TESTS_JEMALLOC_TEST_H

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LG_SIZEOF_PTR 3
#define SIZE_T_MAX SIZE_MAX
#define BUFERROR_BUF 64
#define TEST_MALLOC_SIZE malloc_usable_size
#define JEMALLOC_DIAGNOSTIC_PUSH
#define JEMALLOC_DIAGNOSTIC_POP
#define JEMALLOC_DIAGNOSTIC_IGNORE_ALLOC_SIZE_LARGER_THAN

typedef void test_t(void);
static int failures;

__attribute__((format(printf, 1, 2))) static inline void test_fail(const char *format, ...)
{
    va_list rest;
    va_start(rest, format);
    (void)vprintf(format, rest);
    va_end(rest);
    (void)putchar('\n');
    failures++;
}

#define TEST_BEGIN(name) static void name(void) {
#define TEST_END }
#define expect_true(condition, ...) do { if (!(condition)) test_fail(__VA_ARGS__); } while (0)
#define expect_false(condition, ...) expect_true(!(condition), __VA_ARGS__)
#define expect_d_eq(a, b, ...) expect_true((a) == (b), __VA_ARGS__)
#define expect_ptr_null(p, ...) expect_true((p) == NULL, __VA_ARGS__)
#define expect_ptr_not_null(p, ...) expect_true((p) != NULL, __VA_ARGS__)
#define assert_ptr_not_null expect_ptr_not_null

static inline int get_errno(void)
{
    return errno;
}

static inline void set_errno(int number)
{
    errno = number;
}

static inline void buferror(int number, char *text, size_t bytes)
{
    (void)snprintf(text, bytes, "%s", strerror(number));
}

/* One class of sizes, the largest that C allows; pages go back when malloc_trim says so. */
static inline int mallctl(const char *name, void *old, size_t *old_bytes, void *new, size_t new_bytes)
{
    (void)old_bytes, (void)new, (void)new_bytes;
    if (strcmp(name, "arenas.nlextents") == 0)
        *(unsigned *)old = 1;
    else
        (void)malloc_trim(0);
    return 0;
}

static inline int mallctlnametomib(const char *name, size_t *path, size_t *length)
{
    (void)name, (void)path, (void)length;
    return 0;
}

static inline int mallctlbymib(const size_t *path, size_t length, void *old, size_t *old_bytes, void *new, size_t new_bytes)
{
    (void)path, (void)length, (void)old_bytes, (void)new, (void)new_bytes;
    *(size_t *)old = PTRDIFF_MAX;
    return 0;
}

static inline int tests_run(test_t *const *tests)
{
    for (; *tests != NULL; tests++)
        (*tests)();
    return failures != 0;
}

#define test_no_reentrancy test
#define test(...) tests_run((test_t *const[]){__VA_ARGS__, NULL})

#endif
