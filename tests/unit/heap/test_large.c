/* heap/large.h: blocks that are runs of granules. */
#include "heap/chunk.h"
#include "heap/large.h"
#include "unit/unit.h"

static unsigned char *take(size_t size)
{
    unsigned char *p = neb_large_alloc(size, 16, NULL);
    ck_assert_ptr_nonnull(p);
    return p;
}

static bool give(void *p)
{
    return neb_large_free(p, page_map_load(p));
}

static size_t usable(const void *p)
{
    return neb_large_usable(p, page_map_load(p));
}

static size_t granules(size_t size)
{
    return (size + GRANULE_BYTES - 1) >> GRANULE_SHIFT;
}

START_TEST(blocks_are_whole_granules_and_aligned_to_one)
{
    for (size_t size = SMALL_MAX + 1; size <= LARGE_MAX; size += 12345) {
        unsigned char *p = take(size);
        ck_assert_uint_eq(ptr_address(p) % GRANULE_BYTES, 0);
        ck_assert_uint_eq(usable(p), granules(size) << GRANULE_SHIFT);
        ck_assert(all_bytes_are(p, usable(p), 0)); /* fresh, or handed out twice */
        memset(p, 0xFF, usable(p));
    }
}
END_TEST

START_TEST(only_the_beginning_of_a_block_in_use_can_be_freed)
{
    unsigned char *p = take(3 * GRANULE_BYTES);
    ck_assert(!give(p + 1));
    ck_assert(!give(p + GRANULE_BYTES));
    ck_assert(!give(p + 3 * GRANULE_BYTES));
    ck_assert_uint_eq(usable(p + GRANULE_BYTES), 0);
    ck_assert_uint_eq(usable(p + 16), 0);
    ck_assert(give(p));
    ck_assert(!give(p));
    for (unsigned i = 0; i < 3; i++)
        ck_assert_uint_eq(page_map_load(p + i * GRANULE_BYTES), ENTRY_NONE);
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
}
END_TEST

START_TEST(zeroed_is_the_truth)
{
    bool zeroed = false;
    unsigned char *p = neb_large_alloc(100000, 16, &zeroed);
    ck_assert(zeroed);
    ck_assert(all_bytes_are(p, usable(p), 0));
    memset(p, 0xFF, usable(p));
    ck_assert(give(p));
    unsigned char *again = neb_large_alloc(100000, 16, &zeroed);
    ck_assert_ptr_eq(again, p);
    ck_assert(!zeroed);
    ck_assert(give(again));
    ck_assert_uint_gt(neb_chunk_trim(), 0);
    ck_assert_ptr_eq(neb_large_alloc(100000, 16, &zeroed), p);
    ck_assert(zeroed);
    ck_assert(all_bytes_are(p, usable(p), 0));
}
END_TEST

START_TEST(a_block_grows_in_place_into_free_granules_and_not_into_its_neighbour)
{
    ck_assert(give(take(LARGE_MAX))); /* the first chunk is usable part by part */
    unsigned char *p = take(2 * GRANULE_BYTES), *next = take(GRANULE_BYTES);
    ck_assert_ptr_eq(next, p + 2 * GRANULE_BYTES);
    memset(p, 1, 2 * GRANULE_BYTES);
    memset(next, 2, GRANULE_BYTES);
    ck_assert_ptr_null(neb_large_resize(p, page_map_load(p), 3 * GRANULE_BYTES));
    ck_assert_ptr_eq(neb_large_resize(next, page_map_load(next), 5 * GRANULE_BYTES), next);
    ck_assert_uint_eq(usable(next), 5 * GRANULE_BYTES);
    for (unsigned i = 1; i < 5; i++)
        ck_assert_uint_eq(page_map_load(next + i * GRANULE_BYTES), ENTRY_LARGE_BODY);
    ck_assert(all_bytes_are(p, 2 * GRANULE_BYTES, 1));
    ck_assert(all_bytes_are(next, GRANULE_BYTES, 2));
    memset(next, 3, 5 * GRANULE_BYTES);
    unsigned char *other = take(GRANULE_BYTES);
    ck_assert(other < p || other >= next + 5 * GRANULE_BYTES);
    ck_assert(give(next) && give(p) && give(other));
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
}
END_TEST

START_TEST(a_block_shrinks_in_place_and_what_it_left_is_free)
{
    unsigned char *p = take(10 * GRANULE_BYTES);
    memset(p, 7, 10 * GRANULE_BYTES);
    ck_assert_ptr_eq(neb_large_resize(p, page_map_load(p), 3 * GRANULE_BYTES - 5), p);
    ck_assert_uint_eq(usable(p), 3 * GRANULE_BYTES);
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 3);
    for (unsigned i = 3; i < 10; i++)
        ck_assert_uint_eq(page_map_load(p + i * GRANULE_BYTES), ENTRY_NONE);
    ck_assert(all_bytes_are(p, 3 * GRANULE_BYTES, 7));
    bool zeroed = true;
    ck_assert_ptr_eq(neb_large_alloc(7 * GRANULE_BYTES, 16, &zeroed), p + 3 * GRANULE_BYTES);
    ck_assert(!zeroed);
    ck_assert(give(p));
}
END_TEST

START_TEST(a_block_that_would_be_small_or_huge_has_to_be_copied)
{
    unsigned char *p = take(GRANULE_BYTES);
    ck_assert_ptr_null(neb_large_resize(p, page_map_load(p), SMALL_MAX));
    ck_assert_ptr_null(neb_large_resize(p, page_map_load(p), LARGE_MAX + 1));
    ck_assert_uint_eq(usable(p), GRANULE_BYTES);
    ck_assert_ptr_eq(neb_large_resize(p, page_map_load(p), SMALL_MAX + 1), p);
}
END_TEST

START_TEST(counts_are_those_of_the_blocks_in_use)
{
    unsigned char *a = take(SMALL_MAX + 1), *b = take(LARGE_MAX);
    struct large_counts counts = neb_large_counts();
    ck_assert_uint_eq(counts.large_blocks, 2);
    ck_assert_uint_eq(counts.large_bytes, 2 * GRANULE_BYTES + LARGE_MAX);
    ck_assert_uint_eq(counts.large_allocs, 2);
    ck_assert_ptr_eq(neb_large_resize(b, page_map_load(b), 5 * GRANULE_BYTES), b);
    ck_assert_uint_eq(neb_large_counts().large_bytes, 7 * GRANULE_BYTES);
    ck_assert_uint_eq(neb_large_counts().resized, 1);
    ck_assert(give(a) && give(b));
    counts = neb_large_counts();
    ck_assert_uint_eq(counts.large_blocks + counts.large_bytes, 0);
    ck_assert_uint_eq(counts.huge_blocks + counts.huge_bytes, 0);
}
END_TEST

UNIT_MAIN("large", HOLDS(blocks_are_whole_granules_and_aligned_to_one),
          HOLDS(only_the_beginning_of_a_block_in_use_can_be_freed), HOLDS(zeroed_is_the_truth),
          HOLDS(a_block_grows_in_place_into_free_granules_and_not_into_its_neighbour),
          HOLDS(a_block_shrinks_in_place_and_what_it_left_is_free),
          HOLDS(a_block_that_would_be_small_or_huge_has_to_be_copied),
          HOLDS(counts_are_those_of_the_blocks_in_use))
