/* test_emergency.c - claims about the blocks for handlers that must not wait for a lock. */
#include "heap/emergency.h"

#include "heap/page_map.h"
#include "unit/unit.h"

enum { CELL = 1 << EMERGENCY_CELL_SHIFT, LARGEST = 64 * CELL, CELLS = (EMERGENCY_GRANULES << GRANULE_SHIFT) / CELL };

START_TEST(nothing_is_had_before_it_was_prepared)
{
    ck_assert_ptr_null(neb_emergency_alloc(10, 16));
    neb_emergency_prepare();
    ck_assert_ptr_nonnull(neb_emergency_alloc(10, 16));
}
END_TEST

START_TEST(blocks_are_apart_aligned_and_known_to_the_page_map)
{
    unsigned char *blocks[200];
    neb_emergency_prepare();
    for (size_t i = 0; i < 200; i++) {
        size_t size = i * 7;
        blocks[i] = neb_emergency_alloc(size, CELL);
        ck_assert_ptr_nonnull(blocks[i]);
        ck_assert_uint_eq((uintptr_t)blocks[i] % CELL, 0);
        ck_assert_uint_eq(page_map_load(blocks[i]), ENTRY_EMERGENCY);
        ck_assert_uint_ge(neb_emergency_usable(blocks[i]), size);
        memset(blocks[i], (int)i, neb_emergency_usable(blocks[i]));
    }
    for (size_t i = 0; i < 200; i++)
        ck_assert(all_bytes_are(blocks[i], neb_emergency_usable(blocks[i]), (unsigned)i));
}
END_TEST

START_TEST(what_is_freed_is_had_again)
{
    neb_emergency_prepare();
    for (int turn = 0; turn < 10 * CELLS; turn++) {
        void *block = neb_emergency_alloc((size_t)turn % LARGEST, 16);
        ck_assert_ptr_nonnull(block);
        ck_assert(neb_emergency_free(block));
    }
}
END_TEST

START_TEST(all_of_the_region_can_be_had_and_no_more)
{
    neb_emergency_prepare();
    for (int i = 0; i < CELLS; i++)
        ck_assert_ptr_nonnull(neb_emergency_alloc(CELL, 16));
    ck_assert_ptr_null(neb_emergency_alloc(1, 16));
}
END_TEST

START_TEST(sizes_up_to_sixty_four_cells_are_served)
{
    neb_emergency_prepare();
    void *largest = neb_emergency_alloc(LARGEST, 16);
    ck_assert_ptr_nonnull(largest);
    ck_assert_uint_eq(neb_emergency_usable(largest), LARGEST);
    ck_assert_ptr_null(neb_emergency_alloc(LARGEST + 1, 16));
    ck_assert_ptr_null(neb_emergency_alloc(SIZE_MAX, 16));
    ck_assert_ptr_null(neb_emergency_alloc(10, 2 * CELL));
}
END_TEST

START_TEST(what_is_no_block_is_not_freed)
{
    neb_emergency_prepare();
    unsigned char *block = neb_emergency_alloc(3 * CELL, 16);
    ck_assert(!neb_emergency_free(block + 1));
    ck_assert(!neb_emergency_free(block + CELL));
    ck_assert_uint_eq(neb_emergency_usable(block + CELL), 0);
    ck_assert(neb_emergency_free(block));
    ck_assert(!neb_emergency_free(block));
    ck_assert_uint_eq(neb_emergency_usable(block), 0);
}
END_TEST

START_TEST(preparing_twice_changes_nothing)
{
    neb_emergency_prepare();
    void *block = neb_emergency_alloc(1, 16);
    neb_emergency_prepare();
    ck_assert(neb_emergency_free(block));
}
END_TEST

UNIT_MAIN("emergency", HOLDS(nothing_is_had_before_it_was_prepared), HOLDS(blocks_are_apart_aligned_and_known_to_the_page_map),
          HOLDS(what_is_freed_is_had_again), HOLDS(all_of_the_region_can_be_had_and_no_more),
          HOLDS(sizes_up_to_sixty_four_cells_are_served), HOLDS(what_is_no_block_is_not_freed), HOLDS(preparing_twice_changes_nothing))
