/* api.h - the allocator under stress, by one set of names.
 *
 *   plain:        malloc and its relatives, whoever serves them: the library by LD_PRELOAD, or the system
 *   STRESS_CORE:  the core's own functions, linked directly, so that a sanitizer sees the core and keeps its
 * own malloc */
#ifndef NEB_TESTS_STRESS_API_H
#define NEB_TESTS_STRESS_API_H

#include <stdbool.h>
#include <stddef.h>

#ifdef STRESS_CORE
#include "front/alloc.h"
#include "front/init.h"
#include "front/stats.h"

extern char **environ;

/* Rounds of a thread's destructors that use the allocator. A sanitizer takes a thread's state away in the
 * fourth, where a heap that was made in the second would be given up. */
enum { API_LATE_ROUNDS = 1 };
#define API_NAME "core " POLICY_NAME
#define api_malloc neb_malloc
#define api_calloc neb_calloc
#define api_realloc neb_realloc
#define api_reallocarray neb_reallocarray
#define api_memalign neb_memalign
#define api_free neb_free
#define api_usable_size neb_usable_size

static inline void api_start(void)
{
    neb_init(environ);
}

static inline void api_trim(void)
{
    (void)neb_trim();
}

/* Bytes that the allocator says are in use. */
static inline size_t api_bytes_in_use(void)
{
    struct stats stats;
    neb_stats_take(&stats);
    return (size_t)stats.live_bytes;
}

static inline bool api_is_from(const char *library)
{
    (void)library;
    return true;
}
#else
#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

enum { API_LATE_ROUNDS = 4 }; /* all of them: the last one comes after the heap was given up */
#define API_NAME "malloc"
#define api_malloc malloc
#define api_calloc calloc
#define api_realloc realloc
#define api_reallocarray reallocarray
#define api_free free
#define api_usable_size malloc_usable_size

static inline void api_start(void)
{
}

/* Each name for aligned memory in turn. */
static inline void *api_memalign(size_t alignment, size_t size)
{
    void *block = NULL;
    switch (size % 3) {
    case 0:
        return aligned_alloc(alignment, size);
    case 1:
        return memalign(alignment, size);
    default:
        return posix_memalign(&block, alignment < sizeof(void *) ? sizeof(void *) : alignment, size) == 0
                   ? block
                   : NULL;
    }
}

static inline void api_trim(void)
{
    (void)malloc_trim(0);
}

static inline size_t api_bytes_in_use(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* Whether malloc is served by a library whose path contains this word. */
static inline bool api_is_from(const char *library)
{
    void *(*function)(size_t) = malloc;
    void *address;
    Dl_info info;
    memcpy(&address, &function, sizeof address);
    return dladdr(address, &info) != 0 && strstr(info.dli_fname, library) != NULL;
}
#endif

#endif
