/* overflows.c - writes and reads beyond a block, where others lie around it. */
#include "corpus.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

enum { AROUND = 32 };

static unsigned char *around[AROUND];

/* The block in the middle of others; all are filled. */
static unsigned char *surrounded(size_t size)
{
    unsigned count = size > 1000000 ? 4 : AROUND;
    for (unsigned i = 0; i < count; i++)
        memset(around[i] = alloc(size), 3, size);
    return around[count / 2];
}

static void check_others(const unsigned char *mine, size_t size)
{
    for (unsigned i = 0; i < AROUND && around[i] != NULL; i++)
        if (around[i] != mine && !all_are(around[i], size, 3)) {
            harm("a victim's data changed");
            return;
        }
}

static void finish(unsigned char *p, size_t size)
{
    after();
    check_others(p, size);
    for (unsigned i = 0; i < AROUND && around[i] != NULL; i++)
        release(around[i]);
}

static void behind(size_t size, size_t amount)
{
    unsigned char *p = surrounded(size);
    memset(hide(p + size), 0, amount);
    finish(p, size);
}

static void ahead(size_t size, size_t amount)
{
    unsigned char *p = surrounded(size);
    memset(hide(p - amount), 0, amount);
    finish(p, size);
}

/* Never freed: only the end of the process can tell. */
static void behind_kept(size_t size, size_t amount)
{
    unsigned char *p = surrounded(size);
    memset(hide(p + size), 0, amount);
    after();
    check_others(p, size);
}

static void behind_resized(size_t size, size_t amount)
{
    unsigned char *p = hide(realloc(alloc(amount), size));
    memset(hide(p + size), 0, 1);
    after();
    release(p);
}

static void behind_zeroed(size_t size, size_t amount)
{
    unsigned char *p = hide(calloc(amount, size));
    memset(hide(p + size * amount), 9, 1);
    after();
    release(p);
}

static void behind_aligned(size_t size, size_t amount)
{
    unsigned char *p = hide(memalign(amount, size));
    memset(hide(p + size), 0, 1);
    after();
    release(p);
}

static void ahead_aligned(size_t size, size_t amount)
{
    unsigned char *p = hide(memalign(amount, size));
    memset(hide(p - 1), 0, 1);
    after();
    release(p);
}

static void behind_new(size_t size, size_t amount)
{
    unsigned char *p = hide(_Znam(size));
    memset(hide(p + size), 0, amount);
    after();
    _ZdaPv(hide(p));
}

static void *free_it(void *p)
{
    release(p);
    return NULL;
}

static void behind_other_thread(size_t size, size_t amount)
{
    unsigned char *p = alloc(size);
    memset(hide(p + size), 0, amount);
    after();
    in_thread(free_it, p);
}

static void behind_string(size_t size, size_t amount)
{
    char *p = alloc(size);
    memset(p, 'x', size - 1);
    p[size - 1] = '\0';
    (void)hide(strcat(hide(p), "y")); /* the end of the string is one byte too far */
    (void)amount;
    after();
    release(p);
}

#define OVER "heap-buffer-overflow"
#define UNDER "heap-buffer-underflow"
const struct bug overflows[] = {
    {"overflow_0_by_1", OVER, behind, 0, 1},
    {"overflow_1_by_1", OVER, behind, 1, 1},
    {"overflow_16_by_1", OVER, behind, 16, 1},
    {"overflow_24_by_1", OVER, behind, 24, 1},
    {"overflow_41_by_1", OVER, behind, 41, 1},
    {"overflow_128_by_1", OVER, behind, 128, 1},
    {"overflow_129_by_8", OVER, behind, 129, 8},
    {"overflow_1024_by_1", OVER, behind, 1024, 1},
    {"overflow_4096_by_1", OVER, behind, 4096, 1},
    {"overflow_32768_by_1", OVER, behind, 32768, 1},
    {"overflow_large_by_1", OVER, behind, 131072, 1},
    {"overflow_huge_by_1", OVER, behind, 3000000, 1},
    {"overflow_100_by_16", OVER, behind, 100, 16},
    {"overflow_100_by_64", OVER, behind, 100, 64},
    {"overflow_100_by_256", OVER "|" UNDER, behind, 100, 256},
    {"overflow_never_freed", OVER, behind_kept, 100, 4},
    {"overflow_realloc", OVER, behind_resized, 1000, 10},
    {"overflow_realloc_shrunk", OVER, behind_resized, 900, 1000},
    {"overflow_calloc", OVER, behind_zeroed, 33, 3},
    {"overflow_memalign", OVER, behind_aligned, 100, 64},
    {"overflow_memalign_page", OVER, behind_aligned, 100, 4096},
    {"overflow_new_array", OVER, behind_new, 40, 4},
    {"overflow_other_thread", OVER, behind_other_thread, 100, 2},
    {"overflow_string", OVER, behind_string, 32, 0},
    {"underflow_100_by_1", UNDER, ahead, 100, 1},
    {"underflow_100_by_16", UNDER, ahead, 100, 16},
    {"underflow_large_by_1", UNDER, ahead, 100000, 1},
    {"underflow_memalign", UNDER, ahead_aligned, 100, 64},
    ARRAY_END,
};
