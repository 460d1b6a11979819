/* check/check.h through front/alloc.h: what is asked of every call where all checks are on, also among threads. */
#include "check/check.h"
#include "front/alloc.h"
#include "heap/large.h"
#include "heap/record.h"
#include "policy/tuning.h"
#include "unit/in_reach.h"
#include "unit/unit.h"
#include <pthread.h>

static void enable(uint32_t features, size_t quarantine_bytes)
{
    neb_check_enable(&(struct check_options){.features = features,
                                             .on_error = ON_ERROR_ABORT,
                                             .fill_alloc = 0xA5,
                                             .fill_free = 0x5A,
                                             .quarantine_bytes = quarantine_bytes,
                                             .stack_depth = 8});
    neb_huge_set_keep(0);
    if (!POLICY_EVERY_CALL_SLOW)
        neb_heap_harden();
}

enum { ALL = CHECK_STATE | CHECK_CANARY | CHECK_FILL | CHECK_QUARANTINE | CHECK_ORIGIN };

static const size_t sizes[] = {0, 1, 15, 16, 17, 41, 100, 1024, 4097, 32000, 32768, 40000, 65519, 65520, 65536, 200000, 3000000};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

START_TEST(a_block_has_exactly_the_bytes_that_were_asked_for)
{
    enable(ALL, 1 << 20);
    for (unsigned i = 0; i < SIZES; i++)
        for (size_t alignment = 16; alignment <= 1 << 20; alignment *= 4) {
            unsigned char *p = neb_memalign(alignment, sizes[i]);
            ck_assert_ptr_nonnull(p);
            ck_assert_uint_eq(ptr_address(p) % alignment, 0);
            ck_assert_uint_eq(neb_usable_size(p), sizes[i]);
            memset(p, 0, sizes[i]);
            neb_free(p);
        }
    neb_verify();
}
END_TEST

START_TEST(contents_are_kept_when_a_block_moves_and_calloc_is_zero)
{
    enable(ALL, 1 << 20);
    for (unsigned i = 0; i < SIZES; i++)
        for (unsigned j = 1; j < SIZES; j++) {
            unsigned char *p = neb_calloc(1, sizes[i]);
            ck_assert(all_bytes_are(p, sizes[i], 0));
            memset(p, 0x33, sizes[i]);
            unsigned char *q = neb_realloc(p, sizes[j]);
            ck_assert_ptr_ne(q, p);
            ck_assert(all_bytes_are(q, sizes[i] < sizes[j] ? sizes[i] : sizes[j], 0x33));
            neb_free(q);
        }
    neb_verify();
}
END_TEST

/* Resizes by steps until the block has the size; how often it moved. Every byte is the old one, or what
 * fresh memory is filled with. */
static unsigned resized_by_steps(unsigned char **p, size_t from, size_t to, size_t step)
{
    unsigned moves = 0;
    for (size_t size = from; size != to;) {
        size_t next = to > from ? size + step : size - step, common = size < next ? size : next;
        unsigned char *q = neb_realloc(*p, next);
        ck_assert_uint_eq(neb_usable_size(q), next);
        ck_assert(all_bytes_are(q, common, 0x33));
        ck_assert(next > FILL_BYTES_MAX || all_bytes_are(q + common, next - common, 0xA5));
        memset(q, 0x33, next);
        moves += q != *p;
        *p = q;
        size = next;
    }
    return moves;
}

START_TEST(a_block_that_is_resized_by_little_moves_the_first_time_and_then_seldom)
{
    static const size_t steps[] = {1, 8, 100, 1000, 8192};
    enable(ALL, 1 << 20);
    for (unsigned i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        size_t small = 20 * steps[i], large = 2000 * steps[i];
        unsigned char *first = neb_malloc(small), *p = memset(first, 0x33, small);
        (void)resized_by_steps(&p, small, small + steps[i], steps[i]);
        ck_assert_ptr_ne(p, first);
        ck_assert_uint_le(resized_by_steps(&p, small + steps[i], large, steps[i]), 30);
        neb_verify();
        ck_assert_uint_le(resized_by_steps(&p, large, small, steps[i]), 15);
        neb_free(p);
    }
    neb_verify();
}
END_TEST

static unsigned char *resized_in_place(size_t from, size_t to)
{
    enable(ALL, 1 << 16);
    unsigned char *p = neb_realloc(neb_malloc(1000), from), *q = neb_realloc(p, to);
    ck_assert_ptr_eq(p, q);
    return q;
}

START_TEST(a_byte_behind_a_block_that_grew_in_place_is_noticed)
{
    unsigned char *p = resized_in_place(1010, 1100);
    p[1100] = 0;
    neb_free(p);
}
END_TEST

START_TEST(a_byte_behind_a_block_that_shrank_in_place_is_noticed)
{
    unsigned char *p = resized_in_place(1100, 1010);
    p[1010] = 0;
    neb_free(p);
}
END_TEST

START_TEST(a_byte_behind_a_block_is_noticed_when_it_grows_over_it)
{
    unsigned char *p = resized_in_place(1010, 1020);
    p[1020] = 0;
    (void)neb_realloc(p, 1100);
}
END_TEST

START_TEST(freed_blocks_wait_and_then_serve_again)
{
    enable(ALL, 1 << 16);
    void *first = neb_malloc(100);
    neb_free(first);
    for (int i = 0; i < 100; i++) {
        void *p = neb_malloc(100);
        ck_assert_ptr_ne(p, first);
        neb_free(p);
    }
    size_t used = neb_chunk_counts().granules_used;
    for (int i = 0; i < 20000; i++)
        neb_free(neb_malloc(100));
    ck_assert_uint_le(neb_chunk_counts().granules_used, used + 4);
}
END_TEST

/* Each of these must end the process. */
START_TEST(a_byte_behind_the_block_is_noticed)
{
    enable(ALL, 1 << 16);
    unsigned char *p = neb_malloc(41);
    p[41] = 0;
    neb_free(p);
}
END_TEST

START_TEST(a_byte_before_the_block_is_noticed)
{
    enable(ALL, 1 << 16);
    unsigned char *p = neb_malloc(41);
    p[-1] = 0;
    neb_free(p);
}
END_TEST

START_TEST(a_write_after_free_is_noticed_when_the_quarantine_is_drained)
{
    enable(ALL, 1 << 16);
    unsigned char *p = neb_malloc(41);
    neb_free(p);
    p[40] = 0;
    (void)neb_trim();
}
END_TEST

START_TEST(of_large_blocks_that_are_freed_by_the_thousand_some_wait_in_reach_and_are_filled)
{
    enable(ALL, 1 << 20);
    unsigned char *p = waiting_in_reach();
    ck_assert(all_bytes_are(p, 100000, 0x5A));
    unsigned char *q = neb_malloc(100000);
    ck_assert_ptr_ne(q, p);
    neb_verify();
    neb_free(q);
    (void)neb_trim();
}
END_TEST

START_TEST(a_write_into_a_large_block_that_waits_in_reach_is_noticed)
{
    enable(ALL, 1 << 20);
    waiting_in_reach()[70000] = 1;
    (void)neb_trim();
}
END_TEST

enum { THREADS = 4, BLOCKS = 2000 };
static void *shared[BLOCKS];
static size_t thread_numbers[THREADS] = {0, 1, 2, 3};

static void *mixed(void *argument)
{
    size_t number = *(const size_t *)argument;
    uint64_t random = number;
    void *mine[64] = {NULL};
    for (int i = 0; i < 20000; i++) {
        size_t at = unit_random(&random) % 64, size = unit_random(&random) % 2000;
        neb_free(mine[at]);
        mine[at] = neb_malloc(size);
        memset(mine[at], 1, size);
        if (i % 10 == 0 && i / 10 < BLOCKS && (size_t)(i / 10) % THREADS == number)
            neb_free(shared[i / 10]);
    }
    for (int i = 0; i < 64; i++)
        neb_free(mine[i]);
    neb_heap_end();
    return NULL;
}

START_TEST(threads_that_free_their_own_and_others_blocks_are_left_alone)
{
    pthread_t thread[THREADS];
    enable(ALL, 1 << 18);
    for (int i = 0; i < BLOCKS; i++)
        shared[i] = neb_malloc((size_t)i % 500);
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, mixed, &thread_numbers[i]), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    neb_verify();
    ck_assert_uint_eq(neb_large_counts().large_blocks, 0);
}
END_TEST

UNIT_MAIN("block", HOLDS(a_block_has_exactly_the_bytes_that_were_asked_for),
          HOLDS(contents_are_kept_when_a_block_moves_and_calloc_is_zero), HOLDS(freed_blocks_wait_and_then_serve_again),
          HOLDS(of_large_blocks_that_are_freed_by_the_thousand_some_wait_in_reach_and_are_filled),
          ABORTS(a_write_into_a_large_block_that_waits_in_reach_is_noticed),
          HOLDS(a_block_that_is_resized_by_little_moves_the_first_time_and_then_seldom),
          ABORTS(a_byte_behind_a_block_that_grew_in_place_is_noticed),
          ABORTS(a_byte_behind_a_block_that_shrank_in_place_is_noticed), ABORTS(a_byte_behind_a_block_is_noticed_when_it_grows_over_it),
          ABORTS(a_byte_behind_the_block_is_noticed), ABORTS(a_byte_before_the_block_is_noticed),
          ABORTS(a_write_after_free_is_noticed_when_the_quarantine_is_drained),
          HOLDS(threads_that_free_their_own_and_others_blocks_are_left_alone))
