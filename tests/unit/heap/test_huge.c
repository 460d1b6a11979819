/* heap/large.h: blocks that are mappings of their own: kept, reused, resized, moved. */
#define _GNU_SOURCE
#include "heap/large.h"
#include "os/env.h"
#include "os/vm.h"
#include "unit/unit.h"
#include <sys/mman.h>

#define MIB ((size_t)1 << 20)

static unsigned char *take(size_t size, size_t alignment)
{
    unsigned char *p = neb_large_alloc(size, alignment, NULL);
    ck_assert_ptr_nonnull(p);
    ck_assert(entry_is_huge(page_map_load(p)));
    ck_assert_uint_eq(ptr_address(p) % alignment, 0);
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

static unsigned char *resize(void *p, size_t size)
{
    return neb_large_resize(p, page_map_load(p), size);
}

/* A mark on every page, so that pages that moved wrongly show. */
static void stamp(unsigned char *p, size_t bytes, unsigned mark)
{
    for (size_t i = 0; i < bytes; i += 4096)
        p[i] = (unsigned char)(mark + i / 4096 % 200);
}

static bool is_stamped(const unsigned char *p, size_t bytes, unsigned mark)
{
    for (size_t i = 0; i < bytes; i += 4096)
        if (p[i] != (unsigned char)(mark + i / 4096 % 200))
            return false;
    return true;
}

static bool is_mapped(unsigned char *p)
{
    unsigned char answer[16];
    return mincore(p, neb_vm_page_size(), answer) == 0;
}

START_TEST(blocks_are_zero_whole_and_apart)
{
    enum { COUNT = 20 };
    unsigned char *p[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        bool zeroed = false;
        size_t size = LARGE_MAX + 1 + i * 700001;
        p[i] = neb_large_alloc(size, 16, &zeroed);
        ck_assert_ptr_nonnull(p[i]);
        ck_assert(zeroed);
        ck_assert_uint_ge(usable(p[i]), size);
        ck_assert_uint_lt(usable(p[i]), size + GRANULE_BYTES);
        ck_assert(all_bytes_are(p[i], usable(p[i]), 0));
        stamp(p[i], usable(p[i]), i);
    }
    for (unsigned i = 0; i < COUNT; i++)
        ck_assert(is_stamped(p[i], usable(p[i]), i));
}
END_TEST

START_TEST(every_alignment_is_served)
{
    for (size_t alignment = 2 * GRANULE_BYTES; alignment <= 256 * MIB; alignment *= 2)
        for (size_t size = 1; size <= 3 * MIB; size += MIB)
            ck_assert(give(take(size, alignment)));
}
END_TEST

START_TEST(a_freed_mapping_serves_the_next_block_of_its_size)
{
    unsigned char *p = take(5 * MIB, 16);
    stamp(p, 5 * MIB, 1);
    ck_assert(give(p));
    ck_assert_uint_eq(neb_large_counts().kept_bytes, 5 * MIB);
    bool zeroed = true;
    ck_assert_ptr_eq(neb_large_alloc(5 * MIB, 16, &zeroed), p);
    ck_assert(!zeroed);
    ck_assert_uint_eq(neb_large_counts().kept_hits, 1);
    ck_assert_uint_eq(neb_large_counts().kept_bytes, 0);
}
END_TEST

START_TEST(the_smallest_kept_mapping_serves_unless_it_wastes_a_quarter)
{
    unsigned char *big = take(12 * MIB, 16), *middle = take(10 * MIB, 16), *little = take(9 * MIB, 16);
    ck_assert(give(big) && give(little) && give(middle));
    ck_assert_ptr_eq(neb_large_alloc(9 * MIB + 1, 16, NULL), middle);
    ck_assert_ptr_eq(neb_large_alloc(9 * MIB - GRANULE_BYTES, 16, NULL), little);
    ck_assert_uint_eq(neb_large_counts().kept_bytes, 12 * MIB);
}
END_TEST

START_TEST(a_kept_mapping_of_another_size_is_cut_or_stretched)
{
    bool zeroed = true;
    unsigned char *p = take(12 * MIB, 16);
    stamp(p, 12 * MIB, 9);
    ck_assert(give(p));
    unsigned char *cut = neb_large_alloc(4 * MIB, 16, &zeroed);
    ck_assert_ptr_eq(cut, p);
    ck_assert(!zeroed);
    ck_assert_uint_eq(usable(cut), 4 * MIB);
    ck_assert(!is_mapped(p + 4 * MIB) || page_map_load(p + 4 * MIB) == ENTRY_NONE);
    ck_assert(give(cut));
    unsigned char *stretched = neb_large_alloc(40 * MIB, 16, &zeroed);
    ck_assert_uint_eq(usable(stretched), 40 * MIB);
    ck_assert(!zeroed || all_bytes_are(stretched, 40 * MIB, 0));
    stamp(stretched, 40 * MIB, 1);
    struct large_counts counts = neb_large_counts();
    ck_assert_uint_eq(counts.huge_blocks, 1);
    ck_assert_uint_eq(counts.huge_bytes, 40 * MIB);
    ck_assert_uint_eq(counts.kept_bytes, 0);
    ck_assert(give(stretched));
}
END_TEST

START_TEST(what_is_cut_off_serves_too_and_is_joined_again)
{
    unsigned char *p = take(30 * MIB, 16);
    stamp(p, 30 * MIB, 9);
    ck_assert(give(p));
    unsigned char *first = take(4 * MIB, 16), *second = take(6 * MIB, 16);
    ck_assert_ptr_eq(first, p);
    ck_assert_ptr_eq(second, p + 4 * MIB);
    ck_assert_uint_eq(neb_large_counts().kept_bytes, 20 * MIB);
    ck_assert_uint_eq(second[6 * MIB], 9 + 10 * MIB / 4096 % 200); /* warm still */
    stamp(second, 6 * MIB, 2);
    ck_assert(give(first)); /* no part beside it is free */
    ck_assert(is_stamped(second, 6 * MIB, 2));
    ck_assert(give(second));
    ck_assert_uint_eq(neb_large_counts().kept_bytes, 30 * MIB);
    ck_assert_ptr_eq(take(30 * MIB, 16), p);
    ck_assert_uint_eq(neb_large_counts().kept_bytes, 0);
    ck_assert(give(p));
    ck_assert_uint_eq(neb_huge_trim(), 30 * MIB);
}
END_TEST

START_TEST(a_rest_that_serves_nobody_goes)
{
    unsigned char *p = take(6 * MIB, 16);
    ck_assert(give(p));
    ck_assert_ptr_eq(take(4 * MIB + GRANULE_BYTES, 16), p);
    ck_assert_uint_eq(neb_large_counts().kept_bytes, 0);
    ck_assert(!is_mapped(p + 5 * MIB));
    ck_assert(give(p));
}
END_TEST

START_TEST(a_block_grows_into_what_is_kept_behind_it)
{
    unsigned char *p = take(30 * MIB, 16);
    ck_assert(give(p));
    ck_assert_ptr_eq(take(4 * MIB, 16), p);
    stamp(p, 4 * MIB, 7);
    uint64_t moves = neb_vm_counts().moves;
    ck_assert_ptr_eq(resize(p, 10 * MIB), p);
    ck_assert_uint_eq(usable(p), 10 * MIB);
    ck_assert_uint_eq(neb_large_counts().kept_bytes, 20 * MIB);
    ck_assert_uint_eq(neb_large_counts().huge_bytes, 10 * MIB);
    ck_assert_ptr_eq(resize(p, 29 * MIB), p); /* a MiB is not worth keeping */
    ck_assert_uint_eq(usable(p), 29 * MIB);
    ck_assert_uint_eq(neb_large_counts().kept_bytes, 0);
    ck_assert(is_stamped(p, 4 * MIB, 7));
    ck_assert_uint_eq(neb_vm_counts().moves, moves);
    ck_assert(give(p));
}
END_TEST

START_TEST(a_block_above_half_of_what_may_be_kept_is_kept_once_it_came_back)
{
    neb_huge_set_keep(20 * MIB);
    for (unsigned i = 0; i <= HUGE_OVERSIZE_FREES; i++) {
        ck_assert_uint_eq(neb_large_counts().kept_bytes, 0);
        ck_assert(give(take(15 * MIB, 16)));
    }
    ck_assert_uint_eq(neb_large_counts().kept_bytes, 15 * MIB);
    unsigned char *p = take(25 * MIB, 16);
    ck_assert(give(p));
    ck_assert(!is_mapped(p));
}
END_TEST

START_TEST(kept_mappings_go_when_they_are_old_or_too_many_or_trimmed)
{
    unsigned char *p = take(5 * MIB, 16);
    ck_assert(give(p));
    uint32_t now = neb_clock_ms();
    neb_huge_decay(now, 100000);
    ck_assert(is_mapped(p));
    neb_huge_decay(now + 100001, 100000);
    ck_assert(!is_mapped(p));

    neb_huge_set_keep(20 * MIB);
    unsigned char *many[6];
    for (unsigned i = 0; i < 6; i++)
        many[i] = take(5 * MIB, 16);
    for (unsigned i = 0; i < 6; i++)
        ck_assert(give(many[i]));
    ck_assert_uint_eq(neb_large_counts().kept_bytes, 20 * MIB);
    ck_assert(!is_mapped(many[0]) && !is_mapped(many[1])); /* the oldest ones went */
    ck_assert_uint_eq(neb_huge_trim(), 20 * MIB);
    for (unsigned i = 0; i < 6; i++)
        ck_assert(!is_mapped(many[i]));

    p = take(15 * MIB, 16); /* more than half of what may be kept */
    ck_assert(give(p));
    ck_assert(!is_mapped(p));
    ck_assert_uint_eq(neb_large_counts().kept_bytes, 0);
}
END_TEST

START_TEST(only_the_beginning_of_a_block_in_use_can_be_freed)
{
    unsigned char *p = take(3 * MIB, 16), *q = take(3 * MIB, 16);
    ck_assert(!give(p + 16));
    ck_assert(!give(p + GRANULE_BYTES));
    ck_assert_uint_eq(usable(p + 16), 0);
    ck_assert(give(p));
    ck_assert(!give(p));
    ck_assert(!neb_large_free(q, page_map_load(q) + 1)); /* another block's number */
    ck_assert(give(q));
}
END_TEST

START_TEST(a_block_shrinks_and_grows_with_its_contents)
{
    unsigned char *p = take(16 * MIB, 16);
    stamp(p, 16 * MIB, 3);
    ck_assert_ptr_eq(resize(p, 5 * MIB), p);
    ck_assert_uint_eq(usable(p), 5 * MIB);
    ck_assert(is_stamped(p, 5 * MIB, 3));
    unsigned char *grown = resize(p, 40 * MIB);
    ck_assert_ptr_nonnull(grown);
    ck_assert_uint_eq(usable(grown), 40 * MIB);
    ck_assert(is_stamped(grown, 5 * MIB, 3));
    ck_assert(all_bytes_are(grown + 5 * MIB, 35 * MIB, 0));
    ck_assert(give(grown));
}
END_TEST

START_TEST(a_block_that_cannot_grow_in_place_moves_without_a_copy)
{
    unsigned char *p = take(8 * MIB, 16);
    stamp(p, 8 * MIB, 5);
    void *fence =
        mmap(p + 8 * MIB, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    (void)fence; /* taken already, by whatever: just as good */
    uint64_t moves = neb_vm_counts().moves;
    unsigned char *moved = resize(p, 24 * MIB);
    ck_assert_ptr_nonnull(moved);
    ck_assert_ptr_ne(moved, p);
    ck_assert_uint_eq(neb_vm_counts().moves, moves + 1);
    ck_assert_uint_eq(neb_large_counts().moved, 1);
    ck_assert(is_stamped(moved, 8 * MIB, 5));
    ck_assert_uint_eq(page_map_load(p), ENTRY_NONE);
    ck_assert(!give(p));
    ck_assert(give(moved));
    ck_assert_uint_eq(neb_large_counts().huge_bytes, 0);
}
END_TEST

START_TEST(a_block_that_would_be_large_has_to_be_copied)
{
    unsigned char *p = take(3 * MIB, 16);
    ck_assert_ptr_null(resize(p, LARGE_MAX));
    ck_assert_ptr_null(resize(p, PTRDIFF_MAX));
    ck_assert_uint_eq(usable(p), 3 * MIB);
}
END_TEST

START_TEST(what_no_system_has_is_refused_and_changes_nothing)
{
    unsigned char *p = take(3 * MIB, 16);
    struct large_counts before = neb_large_counts();
    ck_assert_ptr_null(neb_large_alloc(PTRDIFF_MAX, 16, NULL));
    ck_assert_ptr_null(neb_large_alloc((size_t)1 << 47, 16, NULL));
    ck_assert_ptr_null(neb_large_alloc(1, (size_t)1 << 62, NULL));
    ck_assert_ptr_null(resize(p, (size_t)1 << 47));
    struct large_counts after = neb_large_counts();
    ck_assert_mem_eq(&before, &after, sizeof before);
    ck_assert(give(p));
}
END_TEST

START_TEST(the_block_around_an_address_is_found)
{
    const void *base;
    size_t bytes;
    unsigned char *p = take(3 * MIB, 16);
    ck_assert(neb_huge_around(p + 2 * MIB, &base, &bytes));
    ck_assert_ptr_eq(base, p);
    ck_assert_uint_eq(bytes, 3 * MIB);
    ck_assert(!neb_huge_around(&base, &base, &bytes));
    ck_assert(give(p));
    ck_assert(!neb_huge_around(p, &base, &bytes));
}
END_TEST

START_TEST(numbers_of_blocks_serve_again)
{
    unsigned char *p[300];
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 300; i++)
            p[i] = take(LARGE_MAX + 1, 16);
        for (unsigned i = 0; i < 300; i++)
            ck_assert_uint_lt(page_map_load(p[i]) & ~ENTRY_HUGE, 300);
        for (unsigned i = 0; i < 300; i++)
            ck_assert(give(p[i]));
        (void)neb_huge_trim();
    }
}
END_TEST

UNIT_MAIN("huge", HOLDS(blocks_are_zero_whole_and_apart), HOLDS(every_alignment_is_served),
          HOLDS(a_freed_mapping_serves_the_next_block_of_its_size),
          HOLDS(the_smallest_kept_mapping_serves_unless_it_wastes_a_quarter),
          HOLDS(a_kept_mapping_of_another_size_is_cut_or_stretched),
          HOLDS(what_is_cut_off_serves_too_and_is_joined_again), HOLDS(a_rest_that_serves_nobody_goes),
          HOLDS(a_block_grows_into_what_is_kept_behind_it),
          HOLDS(a_block_above_half_of_what_may_be_kept_is_kept_once_it_came_back), HOLDS(kept_mappings_go_when_they_are_old_or_too_many_or_trimmed),
          HOLDS(only_the_beginning_of_a_block_in_use_can_be_freed),
          HOLDS(a_block_shrinks_and_grows_with_its_contents),
          HOLDS(a_block_that_cannot_grow_in_place_moves_without_a_copy),
          HOLDS(a_block_that_would_be_large_has_to_be_copied),
          HOLDS(what_no_system_has_is_refused_and_changes_nothing),
          HOLDS(the_block_around_an_address_is_found), HOLDS(numbers_of_blocks_serve_again))
