/* os/vm.h: mappings do what their comments say. */
#define _GNU_SOURCE
#include "base/ptr.h"
#include "os/vm.h"
#include "unit/unit.h"
#include <sys/mman.h>
#include <sys/resource.h>

START_TEST(the_page_size_is_a_power_of_two)
{
    size_t page = neb_vm_page_size();
    ck_assert_uint_ge(page, 4096);
    ck_assert_uint_le(page, 65536);
    ck_assert_uint_eq(page & (page - 1), 0);
}
END_TEST

START_TEST(aligned_mappings_are_aligned_zero_and_writable)
{
    for (size_t alignment = neb_vm_page_size(); alignment <= (size_t)64 << 20; alignment *= 2) {
        size_t bytes = 3 * neb_vm_page_size();
        unsigned char *base = neb_vm_map_aligned(bytes, alignment);
        ck_assert_ptr_nonnull(base);
        ck_assert_uint_eq(ptr_address(base) % alignment, 0);
        ck_assert(all_bytes_are(base, bytes, 0));
        memset(base, 0xFF, bytes);
        ck_assert(neb_vm_unmap(base, bytes));
    }
}
END_TEST

START_TEST(aligned_mappings_leave_no_slack_behind)
{
    enum { COUNT = 64 };
    size_t bytes = (size_t)1 << 20;
    unsigned char *base[COUNT];
    struct vm_counts before = neb_vm_counts();
    for (int i = 0; i < COUNT; i++)
        ck_assert_ptr_nonnull(base[i] = neb_vm_map_aligned(bytes, 4 * bytes));
    ck_assert_uint_eq(neb_vm_counts().mapped_bytes - before.mapped_bytes, COUNT * bytes);
    for (int i = 0; i < COUNT; i++) { /* what lies before each is not mapped, or another one */
        unsigned char answer;
        bool is_other = false;
        for (int j = 0; j < COUNT; j++)
            is_other |= base[j] + bytes == base[i];
        ck_assert(is_other || mincore(base[i] - neb_vm_page_size(), neb_vm_page_size(), &answer) != 0);
    }
}
END_TEST

START_TEST(too_much_is_refused)
{
    size_t page = neb_vm_page_size();
    ck_assert_ptr_null(neb_vm_map(SIZE_MAX / page / 2 * page));
    ck_assert_ptr_null(neb_vm_map_aligned((SIZE_MAX / page - 1) * page, page * 2));
}
END_TEST

START_TEST(committed_parts_of_a_reservation_are_zero_and_the_rest_cannot_be_touched)
{
    size_t page = neb_vm_page_size();
    unsigned char *base = neb_vm_reserve_aligned(16 * page, 16 * page);
    ck_assert_ptr_nonnull(base);
    ck_assert(neb_vm_commit(base + 4 * page, 2 * page));
    ck_assert(all_bytes_are(base + 4 * page, 2 * page, 0));
    memset(base + 4 * page, 1, 2 * page);
    ck_assert(!can_be_read(base));
    ck_assert(can_be_read(base + 6 * page - 1));
    ck_assert(!can_be_read(base + 6 * page));
}
END_TEST

START_TEST(purged_pages_read_as_zero_and_their_neighbours_keep_their_contents)
{
    size_t page = neb_vm_page_size();
    unsigned char *base = neb_vm_map(5 * page);
    memset(base, 0xAB, 5 * page);
    struct vm_counts before = neb_vm_counts();
    ck_assert(neb_vm_purge(base + page, 2 * page));
    ck_assert(all_bytes_are(base, page, 0xAB));
    ck_assert(all_bytes_are(base + page, 2 * page, 0));
    ck_assert(all_bytes_are(base + 3 * page, 2 * page, 0xAB));
    ck_assert_uint_eq(neb_vm_counts().purged_bytes - before.purged_bytes, 2 * page);
    ck_assert_uint_eq(neb_vm_counts().purges - before.purges, 1);
}
END_TEST

START_TEST(a_mapping_shrinks_and_grows_where_it_is)
{
    size_t page = neb_vm_page_size();
    unsigned char *base = neb_vm_map(8 * page);
    memset(base, 0xCD, 8 * page);
    ck_assert(neb_vm_resize_in_place(base, 8 * page, 3 * page));
    ck_assert(all_bytes_are(base, 3 * page, 0xCD));
    ck_assert(neb_vm_resize_in_place(base, 3 * page, 6 * page));
    ck_assert(all_bytes_are(base, 3 * page, 0xCD));
    ck_assert(all_bytes_are(base + 3 * page, 3 * page, 0));
}
END_TEST

START_TEST(a_mapping_does_not_grow_over_its_neighbour)
{
    size_t page = neb_vm_page_size();
    unsigned char *base = neb_vm_map(4 * page);
    memset(base, 0xEF, 4 * page);
    ck_assert(!neb_vm_resize_in_place(base, 2 * page, 3 * page));
    ck_assert(all_bytes_are(base, 4 * page, 0xEF));
}
END_TEST

START_TEST(pages_move_with_their_contents)
{
    size_t page = neb_vm_page_size();
    unsigned char *base = neb_vm_map(4 * page), *target = neb_vm_reserve(16 * page);
    for (size_t i = 0; i < 4 * page; i++)
        base[i] = (unsigned char)(i % 251);
    struct vm_counts before = neb_vm_counts();
    ck_assert(neb_vm_move(base, 4 * page, target, 16 * page));
    for (size_t i = 0; i < 4 * page; i++)
        ck_assert_uint_eq(target[i], i % 251);
    ck_assert(all_bytes_are(target + 4 * page, 12 * page, 0));
    memset(target, 1, 16 * page);
    ck_assert_uint_eq(neb_vm_counts().moves - before.moves, 1);
    ck_assert_uint_eq(neb_vm_counts().mapped_bytes - before.mapped_bytes, 12 * page);
    unsigned char answer;
    ck_assert(mincore(base, page, &answer) != 0);
}
END_TEST

START_TEST(the_peak_is_the_most_that_was_mapped_at_one_time)
{
    size_t bytes = (size_t)1 << 20;
    struct vm_counts before = neb_vm_counts();
    void *a = neb_vm_map(bytes), *b = neb_vm_map(bytes);
    ck_assert(neb_vm_unmap(a, bytes) && neb_vm_unmap(b, bytes));
    ck_assert(neb_vm_unmap(neb_vm_map(bytes), bytes));
    struct vm_counts after = neb_vm_counts();
    ck_assert_uint_eq(after.mapped_peak_bytes, before.mapped_bytes - before.unmapped_bytes + 2 * bytes);
    ck_assert_uint_eq(after.mapped_bytes - after.unmapped_bytes, before.mapped_bytes - before.unmapped_bytes);
}
END_TEST

START_TEST(a_limit_of_address_space_is_an_answer_and_no_abort)
{
    struct rlimit limit = {(rlim_t)1 << 30, (rlim_t)1 << 30};
    if (UNIT_SANITIZED)
        return; /* it maps terabytes, so that no limit can be set */
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    ck_assert_ptr_null(neb_vm_map((size_t)2 << 30));
    ck_assert_ptr_null(neb_vm_map_aligned((size_t)2 << 30, (size_t)4 << 20));
    ck_assert_ptr_null(neb_vm_reserve((size_t)2 << 30));
    ck_assert_ptr_nonnull(neb_vm_map((size_t)1 << 20));
}
END_TEST

UNIT_MAIN("vm", HOLDS(the_page_size_is_a_power_of_two), HOLDS(aligned_mappings_are_aligned_zero_and_writable),
          HOLDS(aligned_mappings_leave_no_slack_behind), HOLDS(too_much_is_refused),
          HOLDS(committed_parts_of_a_reservation_are_zero_and_the_rest_cannot_be_touched),
          HOLDS(purged_pages_read_as_zero_and_their_neighbours_keep_their_contents),
          HOLDS(a_mapping_shrinks_and_grows_where_it_is), HOLDS(a_mapping_does_not_grow_over_its_neighbour),
          HOLDS(pages_move_with_their_contents), HOLDS(the_peak_is_the_most_that_was_mapped_at_one_time),
          HOLDS(a_limit_of_address_space_is_an_answer_and_no_abort))
