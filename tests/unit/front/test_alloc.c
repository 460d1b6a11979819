/* front/alloc.h: what malloc, calloc and free promise. */
#include "front/alloc.h"
#include "heap/large.h"
#include "heap/upkeep.h"
#include "os/env.h"
#include "unit/unit.h"
#include <errno.h>
#include <pthread.h>

/* Around every border where another part of the allocator takes over. */
static const size_t sizes[] = {0,     1,      8,       15,      16,      17,      127,     128,     129,
                               255,   256,    257,     511,     512,     513,     1023,    1024,    1025,
                               4096,  4097,   8192,    8193,    16384,   32767,   32768,   32769,   65536,
                               65537, 131072, 1000000, 2097151, 2097152, 2097153, 4194304, 4194305, 9000000};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

START_TEST(blocks_are_distinct_aligned_and_large_enough)
{
    enum { EACH = 20 };
    unsigned char *p[SIZES][EACH];
    for (unsigned i = 0; i < SIZES; i++)
        for (unsigned j = 0; j < EACH; j++) {
            ck_assert_ptr_nonnull(p[i][j] = neb_malloc(sizes[i]));
            ck_assert_uint_eq(ptr_address(p[i][j]) % 16, 0);
            ck_assert_uint_ge(neb_usable_size(p[i][j]), sizes[i]);
            ck_assert_uint_ge(neb_usable_size(p[i][j]), 1);
            memset(p[i][j], (int)(i * EACH + j) % 256, neb_usable_size(p[i][j]));
        }
    for (unsigned i = 0; i < SIZES; i++)
        for (unsigned j = 0; j < EACH; j++) {
            ck_assert(all_bytes_are(p[i][j], neb_usable_size(p[i][j]), (i * EACH + j) % 256));
            neb_free(p[i][j]);
        }
}
END_TEST

START_TEST(every_small_size_wastes_at_most_an_eighth)
{
    for (size_t size = 1; size <= SMALL_MAX; size += size < 4096 ? 1 : 13) {
        void *p = neb_malloc(size);
        size_t waste = neb_usable_size(p) - size;
        ck_assert(waste < 16 || waste * 8 <= size);
        neb_free(p);
    }
}
END_TEST

/* What is checked ends at the byte that was asked for. */
START_TEST(blocks_above_a_kibibyte_have_a_byte_to_spare)
{
    for (size_t size = 2 * FAST_MAX; size <= 4 * LARGE_MAX && !POLICY_ORIGIN; size *= 2) {
        if (size == SMALL_MAX) /* it would take another granule */
            continue;
        void *p = neb_malloc(size), *q = neb_calloc(size / 8, 8), *r = neb_realloc(neb_malloc(size / 4), size);
        ck_assert_uint_gt(neb_usable_size(p), size);
        ck_assert_uint_gt(neb_usable_size(q), size);
        ck_assert_uint_gt(neb_usable_size(r), size);
        neb_free(p);
        neb_free(q);
        neb_free(r);
    }
    ck_assert_uint_eq(ptr_address(neb_memalign(FAST_MAX * 4, FAST_MAX * 4)) % (FAST_MAX * 4), 0);
}
END_TEST

START_TEST(calloc_is_zero_after_its_memory_was_dirty)
{
    enum { EACH = 40 };
    void *p[EACH];
    for (int round = 0; round < 3; round++)
        for (unsigned i = 0; i < SIZES; i++) {
            unsigned each = sizes[i] > 100000 ? 3 : EACH;
            for (unsigned j = 0; j < each; j++) {
                ck_assert_ptr_nonnull(p[j] = j % 2 == 0 ? neb_calloc(1, sizes[i]) : neb_calloc(sizes[i], 1));
                ck_assert_msg(all_bytes_are(p[j], sizes[i], 0), "size %zu, block %u, round %d", sizes[i], j,
                              round);
                memset(p[j], 0xFF, neb_usable_size(p[j]));
            }
            for (unsigned j = 0; j < each; j++)
                neb_free(p[j]);
            if (round == 1)
                (void)neb_trim();
        }
}
END_TEST

START_TEST(calloc_multiplies_and_refuses_an_overflow)
{
    static const size_t factors[][2] = {{SIZE_MAX / 2 + 2, 2}, {2, SIZE_MAX / 2 + 2},
                                        {SIZE_MAX, SIZE_MAX},  {(size_t)1 << 32, (size_t)1 << 32},
                                        {SIZE_MAX, 1},         {PTRDIFF_MAX, 2}};
    for (unsigned i = 0; i < sizeof factors / sizeof factors[0]; i++) {
        errno = 0;
        ck_assert_ptr_null(neb_calloc(factors[i][0], factors[i][1]));
        ck_assert_int_eq(errno, ENOMEM);
    }
    void *p = neb_calloc(7, 100);
    ck_assert_uint_ge(neb_usable_size(p), 700);
    ck_assert_ptr_nonnull(neb_calloc(0, 0));
    ck_assert_ptr_nonnull(neb_calloc(0, SIZE_MAX));
    neb_free(p);
}
END_TEST

START_TEST(what_cannot_be_had_is_null_and_enomem)
{
    static const size_t too_large[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX,    SIZE_MAX - 15,
                                       SIZE_MAX - 65535,        PTRDIFF_MAX, (size_t)1 << 50};
    for (unsigned i = 0; i < sizeof too_large / sizeof too_large[0]; i++) {
        errno = 0;
        ck_assert_ptr_null(neb_malloc(too_large[i]));
        ck_assert_int_eq(errno, ENOMEM);
        errno = 0;
        ck_assert_ptr_null(neb_memalign(64, too_large[i]));
        ck_assert_int_eq(errno, ENOMEM);
        errno = 0;
        ck_assert_ptr_null(neb_realloc(NULL, too_large[i]));
        ck_assert_int_eq(errno, ENOMEM);
    }
}
END_TEST

START_TEST(success_leaves_errno_alone)
{
    for (unsigned i = 0; i < SIZES; i++) {
        errno = 77;
        void *p = neb_malloc(sizes[i]), *q = neb_calloc(1, sizes[i]);
        p = neb_realloc(p, sizes[i] + 100000);
        ck_assert_int_eq(errno, 77);
        neb_free(p);
        neb_free(q);
        neb_free(NULL);
        ck_assert_int_eq(errno, 77);
    }
    (void)neb_trim();
    ck_assert_int_eq(errno, 77);
}
END_TEST

START_TEST(free_of_null_does_nothing_and_null_has_no_size)
{
    neb_free(NULL);
    ck_assert_uint_eq(neb_usable_size(NULL), 0);
    neb_free(neb_malloc(1));
    neb_free(NULL);
}
END_TEST

/* A freed block is served again: repeated use of a few sizes needs no more memory. */
START_TEST(what_is_freed_serves_again)
{
    size_t used = 0;
    for (int round = 0; round < 200; round++) {
        for (unsigned i = 0; i < SIZES; i++) {
            void *p = neb_malloc(sizes[i]);
            memset(p, 1, sizes[i]);
            neb_free(p);
        }
        if (round == 10)
            used = neb_chunk_counts().granules_used_peak;
    }
    ck_assert_uint_le(neb_chunk_counts().granules_used_peak, used + 1);
}
END_TEST

static void *free_all(void *argument)
{
    void **p = argument;
    for (unsigned i = 0; i < SIZES; i++)
        neb_free(p[i]);
    neb_heap_end();
    return NULL;
}

START_TEST(any_thread_may_free)
{
    void *p[SIZES];
    for (int round = 0; round < 50; round++) {
        pthread_t thread;
        for (unsigned i = 0; i < SIZES; i++)
            ck_assert_ptr_nonnull(p[i] = neb_malloc(sizes[i]));
        ck_assert_int_eq(pthread_create(&thread, NULL, free_all, p), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
    }
    ck_assert_uint_eq(neb_large_counts().large_blocks + neb_large_counts().huge_blocks, 0);
}
END_TEST

START_TEST(after_everything_is_freed_a_trim_gives_everything_back)
{
    enum { COUNT = 2000 };
    static void *p[COUNT];
    for (unsigned i = 0; i < COUNT; i++)
        memset(p[i] = neb_malloc(i * 37), 1, i * 37);
    for (unsigned i = 0; i < COUNT; i++)
        neb_free(p[i]);
    ck_assert_uint_gt(neb_trim(), (size_t)1 << 20);
    struct chunk_counts counts = neb_chunk_counts();
    ck_assert_uint_eq(counts.granules_used, 0);
    ck_assert_uint_eq(counts.granules_clean, counts.granules_free);
    ck_assert_uint_eq(neb_trim(), 0);
}
END_TEST

START_TEST(the_watch_after_a_slow_free_ends_when_mallocs_come_at_once)
{
    if (POLICY_EVERY_CALL_SLOW)
        return;
    void *p = neb_malloc(100);
    struct heap *heap = heap_current();
    neb_free(p);
    heap->watched = 0;
    heap_watch();
    for (unsigned i = 0; i < WATCHED_BUSY; i++) {
        ck_assert_ptr_eq(heap_source(), &neb_heap_none);
        heap->woken_ms = neb_clock_ms();
        neb_free(neb_malloc(100));
    }
    ck_assert_ptr_eq(heap_source(), heap);
}
END_TEST

START_TEST(a_watched_malloc_that_comes_late_gives_back_what_is_idle)
{
    if (POLICY_EVERY_CALL_SLOW)
        return;
    void *blocks[64];
    for (unsigned i = 0; i < 64; i++)
        blocks[i] = neb_malloc(60000);
    void *small = neb_malloc(100);
    for (unsigned i = 0; i < 64; i++)
        neb_free(blocks[i]);
    neb_free(small);
    neb_heap_set_decay(0);
    heap_watch();
    for (unsigned i = 0; i < 4; i++) { /* the pools that are idle, then the granules that came from them */
        heap_current()->woken_ms = neb_clock_ms() - RESTING_MS;
        neb_free(neb_malloc(100));
        ck_assert_ptr_eq(heap_source(), &neb_heap_none);
    }
    ck_assert_uint_eq(heap_current()->watched, WATCHED_RESTING);
    ck_assert_uint_eq(neb_chunk_counts().granules_clean, neb_chunk_counts().granules_free);
}
END_TEST

START_TEST(sized_frees_free)
{
    for (unsigned i = 0; i < SIZES; i++)
        neb_free_sized(neb_malloc(sizes[i]), sizes[i], "free_sized");
    neb_free_sized(NULL, 5, "free_sized");
    (void)neb_trim();
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
}
END_TEST

UNIT_MAIN("alloc", HOLDS(blocks_are_distinct_aligned_and_large_enough),
          HOLDS(every_small_size_wastes_at_most_an_eighth), HOLDS(blocks_above_a_kibibyte_have_a_byte_to_spare),
          HOLDS(calloc_is_zero_after_its_memory_was_dirty),
          HOLDS(calloc_multiplies_and_refuses_an_overflow), HOLDS(what_cannot_be_had_is_null_and_enomem),
          HOLDS(success_leaves_errno_alone), HOLDS(free_of_null_does_nothing_and_null_has_no_size),
          HOLDS(what_is_freed_serves_again), HOLDS(any_thread_may_free),
          HOLDS(after_everything_is_freed_a_trim_gives_everything_back), HOLDS(the_watch_after_a_slow_free_ends_when_mallocs_come_at_once),
          HOLDS(a_watched_malloc_that_comes_late_gives_back_what_is_idle), HOLDS(sized_frees_free))
