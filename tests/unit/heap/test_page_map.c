/* heap/page_map.h: entries in the window, outside of it, and across its borders.
 *
 * Covering an address does not touch it, so the tests use address space that is only reserved. */
#include "heap/page_map.h"
#include "os/vm.h"
#include "unit/unit.h"

enum { VALUE = 0x1234567 };

/* An address to ask about; nothing is ever read from it. */
static unsigned char *at(uintptr_t address)
{
    return (unsigned char *)address;
}

static unsigned char *reserve(size_t granules)
{
    unsigned char *base = neb_vm_reserve_aligned(granules << GRANULE_SHIFT, GRANULE_BYTES);
    ck_assert_ptr_nonnull(base);
    return base;
}

/* Covers, fills, reads back; the neighbours stay as they are. */
static void check_range(unsigned char *base, size_t granules)
{
    ck_assert(neb_page_map_cover(base, granules << GRANULE_SHIFT));
    uint32_t below = page_map_load(base - 1), above = page_map_load(base + (granules << GRANULE_SHIFT));
    for (size_t i = 0; i < granules; i++)
        ck_assert_uint_eq(page_map_load(base + (i << GRANULE_SHIFT)), ENTRY_NONE);
    neb_page_map_fill(base, granules, VALUE);
    for (size_t i = 0; i < granules; i++) {
        ck_assert_uint_eq(page_map_load(base + (i << GRANULE_SHIFT)), VALUE);
        ck_assert_uint_eq(page_map_load(base + ((i + 1) << GRANULE_SHIFT) - 1), VALUE);
    }
    ck_assert_uint_eq(page_map_load(base - 1), below);
    ck_assert_uint_eq(page_map_load(base + (granules << GRANULE_SHIFT)), above);
    neb_page_map_fill(base, granules, ENTRY_NONE);
}

START_TEST(nothing_is_ours_before_the_first_mapping)
{
    int local = 0;
    ck_assert_uint_eq(page_map_load(&local), ENTRY_NONE);
    ck_assert_uint_eq(page_map_load(NULL), ENTRY_NONE);
    ck_assert_uint_eq(page_map_load(at(UINTPTR_MAX)), ENTRY_NONE);
    ck_assert_ptr_null(page_map_entry(&local));
}
END_TEST

START_TEST(entries_near_the_first_mapping_are_in_the_window)
{
    unsigned char *base = reserve(100);
    check_range(base, 100);
    check_range(base + GRANULE_BYTES, 1);
    ck_assert_uint_lt(window_index(base), atomic_load(&neb_window_count));
    ck_assert_uint_eq(page_map_load(NULL), ENTRY_NONE);
}
END_TEST

START_TEST(entries_far_from_the_first_mapping_are_in_leaves)
{
    check_range(reserve(1), 1);
    for (unsigned shift = 35; shift < ADDRESS_BITS; shift++) {
        unsigned char *base = at((uintptr_t)1 << shift);
        if (window_index(base) >= WINDOW_GRANULES)
            check_range(base - 3 * GRANULE_BYTES, 7); /* across the border of two leaves */
    }
}
END_TEST

START_TEST(a_range_may_cross_the_borders_of_the_window)
{
    check_range(reserve(1), 1);
    unsigned char *end = at(atomic_load(&neb_window_last) + 1);
    unsigned char *begin = end - (WINDOW_GRANULES << GRANULE_SHIFT);
    check_range(end - 2 * GRANULE_BYTES, 4);
    check_range(begin - 2 * GRANULE_BYTES, 4);
    check_range(end, 1);
    check_range(begin - GRANULE_BYTES, 1);
}
END_TEST

START_TEST(a_growing_window_hides_no_entry)
{
    unsigned char *base = reserve(1);
    check_range(base, 1);
    for (unsigned steps = 1; steps < 10; steps++) {
        unsigned char *lower = base - steps * (WINDOW_STEP_GRANULES << GRANULE_SHIFT);
        ck_assert(neb_page_map_cover(lower, GRANULE_BYTES));
        neb_page_map_fill(lower, 1, VALUE + steps);
        for (unsigned i = 1; i <= steps; i++)
            ck_assert_uint_eq(page_map_load(base - i * (WINDOW_STEP_GRANULES << GRANULE_SHIFT)), VALUE + i);
    }
}
END_TEST

START_TEST(an_old_copy_of_the_window_knows_no_newer_entries_and_reads_old_ones)
{
    unsigned char *base = reserve(1), *lower = base - 2 * (WINDOW_STEP_GRANULES << GRANULE_SHIFT);
    ck_assert(neb_page_map_cover(base, GRANULE_BYTES));
    struct window old = window_copy();
    ck_assert(neb_page_map_cover(lower, GRANULE_BYTES));
    neb_page_map_fill(base, 1, VALUE);
    neb_page_map_fill(lower, 1, VALUE);
    ck_assert_uint_eq(window_load(&old, base), VALUE);
    ck_assert_uint_eq(window_load(&old, lower), ENTRY_NONE);
    struct window new = window_copy();
    ck_assert_uint_eq(window_load(&new, lower), VALUE);
    ck_assert_uint_eq(window_load(&new, NULL), ENTRY_NONE);
    ck_assert_uint_eq(window_load(&new, at(new.last + 1)), ENTRY_NONE);
}
END_TEST

START_TEST(addresses_beyond_the_map_are_refused)
{
    check_range(reserve(1), 1);
    const unsigned char *end = at((uintptr_t)1 << ADDRESS_BITS);
    ck_assert(!neb_page_map_cover(end, GRANULE_BYTES));
    ck_assert(!neb_page_map_cover(end - GRANULE_BYTES, 2 * GRANULE_BYTES));
    ck_assert_uint_eq(page_map_load(end), ENTRY_NONE);
}
END_TEST

START_TEST(a_chunk_is_found_from_every_address_in_it)
{
    static char first_chunk, second_chunk;
    struct chunk *first = (struct chunk *)(void *)&first_chunk,
                 *second = (struct chunk *)(void *)&second_chunk;
    unsigned char *base = neb_vm_reserve_aligned(2 * CHUNK_BYTES, CHUNK_BYTES);
    ck_assert(neb_page_map_set_chunk(base, first));
    ck_assert(neb_page_map_set_chunk(base + CHUNK_BYTES, second));
    for (size_t offset = 0; offset < CHUNK_BYTES; offset += 4093) {
        ck_assert_ptr_eq(page_map_chunk(base + offset), first);
        ck_assert_ptr_eq(page_map_chunk(base + CHUNK_BYTES + offset), second);
    }
}
END_TEST

START_TEST(kinds_of_entries_are_told_apart)
{
    uint32_t pooled = UINT32_C(77) << ENTRY_OFFSET_BITS | 560, ownerless = 560, huge = ENTRY_HUGE | 5;
    ck_assert(entry_is_pooled(pooled) && entry_is_pooled(ownerless));
    ck_assert(!entry_is_pooled(huge) && entry_is_huge(huge) && !entry_is_huge(pooled));
    ck_assert(!entry_is_pooled(ENTRY_NONE) && !entry_is_pooled(ENTRY_LARGE_HEAD) &&
              !entry_is_pooled(ENTRY_LARGE_BODY));
    ck_assert_uint_eq(entry_owner(pooled), 77);
    ck_assert_uint_eq(entry_owner(ownerless), 0);
}
END_TEST

UNIT_MAIN("page_map", HOLDS(nothing_is_ours_before_the_first_mapping),
          HOLDS(entries_near_the_first_mapping_are_in_the_window),
          HOLDS(entries_far_from_the_first_mapping_are_in_leaves),
          HOLDS(a_range_may_cross_the_borders_of_the_window), HOLDS(a_growing_window_hides_no_entry),
          HOLDS(an_old_copy_of_the_window_knows_no_newer_entries_and_reads_old_ones),
          HOLDS(addresses_beyond_the_map_are_refused), HOLDS(a_chunk_is_found_from_every_address_in_it),
          HOLDS(kinds_of_entries_are_told_apart))
