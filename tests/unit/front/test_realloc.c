/* front/alloc.h: realloc keeps the contents from every kind of block to every other. */
#include "front/alloc.h"
#include "heap/large.h"
#include "unit/unit.h"
#include <errno.h>

static const size_t sizes[] = {1,     7,      16,      17,      100,     128,     129,    500,   1024,
                               1025,  2000,   8192,    8193,    20000,   32768,   32769,  60000, 65536,
                               65537, 200000, 1000000, 2097152, 2097153, 3000000, 6000000};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static unsigned char byte_at(size_t offset)
{
    return (unsigned char)((offset * 2654435761u) >> 13);
}

static void fill(unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        p[i] = byte_at(i);
}

static void check(const unsigned char *p, size_t size, size_t from, size_t to)
{
    for (size_t i = 0; i < size; i++)
        if (p[i] != byte_at(i))
            ck_abort_msg("from %zu to %zu: byte %zu differs", from, to, i);
}

START_TEST(contents_survive_every_change_of_size)
{
    for (unsigned i = 0; i < SIZES; i++)
        for (unsigned j = 0; j < SIZES; j++) {
            unsigned char *p = neb_malloc(sizes[i]);
            fill(p, sizes[i]);
            unsigned char *q = neb_realloc(p, sizes[j]);
            ck_assert_ptr_nonnull(q);
            ck_assert_uint_eq(ptr_address(q) % 16, 0);
            ck_assert_uint_ge(neb_usable_size(q), sizes[j]);
            check(q, sizes[i] < sizes[j] ? sizes[i] : sizes[j], sizes[i], sizes[j]);
            memset(q, 0xEE, neb_usable_size(q));
            neb_free(q);
        }
    ck_assert_uint_eq(neb_large_counts().large_blocks + neb_large_counts().huge_blocks, 0);
}
END_TEST

START_TEST(a_buffer_that_grows_by_steps_keeps_its_contents)
{
    static const size_t steps[] = {1, 16, 1000, 4096, 70000, 3000000};
    for (unsigned i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        unsigned char *p = NULL;
        for (size_t size = 0, count = 0; count < 40; count++) {
            size_t next = size + steps[i];
            ck_assert_ptr_nonnull(p = neb_realloc(p, next));
            for (size_t at = size; at < next; at++)
                p[at] = byte_at(at);
            size = next;
            if (count % 13 == 0)
                check(p, size, size, next);
        }
        check(p, 40 * steps[i], 0, 40 * steps[i]);
        neb_free(p);
    }
}
END_TEST

START_TEST(a_block_that_still_fits_stays_where_it_is)
{
    for (size_t size = 32; size <= SMALL_MAX; size *= 2) {
        void *p = neb_malloc(size);
        ck_assert_ptr_eq(neb_realloc(p, size - 1), p);
        ck_assert_ptr_eq(neb_realloc(p, neb_usable_size(p) / 2), p);
        ck_assert_ptr_eq(neb_realloc(p, size), p);
        neb_free(p);
    }
}
END_TEST

/* Whoever asks for less of the smallest class would only get the same kind of block again. */
START_TEST(a_buffer_that_grows_by_little_moves_seldom)
{
    unsigned char *p = neb_malloc(1000);
    unsigned moves = 0;
    for (size_t size = 1000; size <= SMALL_MAX; size += 16) {
        unsigned char *q = neb_realloc(p, size);
        moves += q != p;
        p = q;
    }
    /* 1.25^18 is 64 kilobytes over one */
    ck_assert_uint_le(moves, POLICY_FREE_EXACT ? 4097 : 20);
}
END_TEST

START_TEST(a_block_of_the_right_class_already_is_not_copied)
{
    for (size_t size = 1; size <= 16; size++) {
        void *p = neb_malloc(16);
        ck_assert_ptr_eq(neb_realloc(p, size), p);
        neb_free(p);
    }
}
END_TEST

START_TEST(realloc_of_null_allocates_and_to_zero_frees)
{
    void *p = neb_realloc(NULL, 100);
    ck_assert_ptr_nonnull(p);
    ck_assert_ptr_null(neb_realloc(p, 0));
    ck_assert_ptr_nonnull(p = neb_realloc(NULL, 0));
    neb_free(p);
    p = neb_malloc(1000000);
    ck_assert_ptr_null(neb_realloc(p, 0));
    ck_assert_uint_eq(neb_large_counts().large_blocks, 0);
}
END_TEST

START_TEST(a_refused_realloc_leaves_the_block_as_it_was)
{
    for (unsigned i = 0; i < SIZES; i++) {
        unsigned char *p = neb_malloc(sizes[i]);
        size_t usable = neb_usable_size(p);
        fill(p, sizes[i]);
        static const size_t too_large[] = {SIZE_MAX, (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX, (size_t)1 << 50};
        for (unsigned j = 0; j < 4; j++) {
            errno = 0;
            ck_assert_ptr_null(neb_realloc(p, too_large[j]));
            ck_assert_int_eq(errno, ENOMEM);
        }
        ck_assert_ptr_null(neb_reallocarray(p, SIZE_MAX / 2, 3));
        ck_assert_int_eq(errno, ENOMEM);
        ck_assert_uint_eq(neb_usable_size(p), usable);
        check(p, sizes[i], sizes[i], 0);
        neb_free(p);
    }
}
END_TEST

START_TEST(reallocarray_multiplies)
{
    unsigned char *p = neb_reallocarray(NULL, 10, 100);
    ck_assert_uint_ge(neb_usable_size(p), 1000);
    fill(p, 1000);
    p = neb_reallocarray(p, 100, 100);
    ck_assert_uint_ge(neb_usable_size(p), 10000);
    check(p, 1000, 1000, 10000);
    neb_free(p);
}
END_TEST

UNIT_MAIN("realloc", HOLDS(contents_survive_every_change_of_size),
          HOLDS(a_buffer_that_grows_by_steps_keeps_its_contents),
          HOLDS(a_block_that_still_fits_stays_where_it_is),
          HOLDS(a_buffer_that_grows_by_little_moves_seldom),
          HOLDS(a_block_of_the_right_class_already_is_not_copied),
          HOLDS(realloc_of_null_allocates_and_to_zero_frees),
          HOLDS(a_refused_realloc_leaves_the_block_as_it_was), HOLDS(reallocarray_multiplies))
