/* heap/meta.h: memory for metadata is zeroed, aligned, guarded, and arrays serve again. */
#define _GNU_SOURCE
#include "base/ptr.h"
#include "heap/meta.h"
#include "os/vm.h"
#include "policy/tuning.h"
#include "unit/unit.h"

START_TEST(structures_are_zeroed_aligned_and_apart)
{
    enum { COUNT = 500 };
    unsigned char *taken[COUNT];
    size_t sizes[COUNT];
    uint64_t state = 4;
    for (unsigned i = 0; i < COUNT; i++) {
        size_t alignment = (size_t)1 << unit_random(&state) % 13;
        sizes[i] = 1 + (size_t)(unit_random(&state) % (i % 50 == 0 ? 400000 : 5000));
        taken[i] = neb_meta_take(sizes[i], alignment);
        ck_assert_ptr_nonnull(taken[i]);
        ck_assert_uint_eq(ptr_address(taken[i]) % alignment, 0);
        ck_assert(all_bytes_are(taken[i], sizes[i], 0));
        memset(taken[i], (int)(i % 255 + 1), sizes[i]);
    }
    for (unsigned i = 0; i < COUNT; i++)
        ck_assert(all_bytes_are(taken[i], sizes[i], i % 255 + 1));
}
END_TEST

START_TEST(what_is_taken_is_counted)
{
    size_t before = neb_meta_bytes();
    (void)neb_meta_take(1000, 64);
    void *array = neb_meta_array_take(9);
    ck_assert_uint_eq(neb_meta_bytes() - before, 1512);
    neb_meta_array_give(array, 9);
    (void)neb_meta_array_take(9);
    ck_assert_uint_eq(neb_meta_bytes() - before, 1512);
}
END_TEST

START_TEST(arrays_serve_again_in_their_order_only)
{
    for (unsigned order = 8; order <= 20; order++) {
        unsigned char *a = neb_meta_array_take(order), *b = neb_meta_array_take(order);
        memset(a, 1, (size_t)1 << order);
        memset(b, 2, (size_t)1 << order);
        ck_assert(all_bytes_are(a, (size_t)1 << order, 1));
        neb_meta_array_give(a, order);
        neb_meta_array_give(b, order);
        if (order > 8)
            ck_assert_ptr_ne(neb_meta_array_take(order - 1), b);
        ck_assert_ptr_eq(neb_meta_array_take(order), b);
        ck_assert_ptr_eq(neb_meta_array_take(order), a);
    }
}
END_TEST

START_TEST(zeroed_arrays_are_zero_whether_they_served_before_or_not)
{
    enum { BYTES = 5000 };
    unsigned char *fresh = neb_meta_array_take_zeroed(13, BYTES);
    ck_assert(all_bytes_are(fresh, BYTES, 0));
    memset(fresh, 1, BYTES);
    neb_meta_array_give(fresh, 13);
    unsigned char *again = neb_meta_array_take_zeroed(13, BYTES);
    ck_assert_ptr_eq(again, fresh);
    ck_assert(all_bytes_are(again, BYTES, 0));
}
END_TEST

START_TEST(an_order_that_does_not_exist_aborts)
{
    (void)neb_meta_array_take(21);
}
END_TEST

/* An overflow of blocks or of metadata runs into a page without access. */
START_TEST(a_region_has_an_inaccessible_page_on_each_side)
{
    size_t page = neb_vm_page_size();
    unsigned char *first = neb_meta_take(16, page);
    ck_assert(!can_be_read(first - 1));
    ck_assert(!can_be_read(first + META_REGION_BYTES_FIRST));
    ck_assert(can_be_read(first) && can_be_read(first + META_REGION_BYTES_FIRST - 1));
}
END_TEST

UNIT_MAIN("meta", HOLDS(structures_are_zeroed_aligned_and_apart), HOLDS(what_is_taken_is_counted),
          HOLDS(arrays_serve_again_in_their_order_only), HOLDS(zeroed_arrays_are_zero_whether_they_served_before_or_not), ABORTS(an_order_that_does_not_exist_aborts),
          HOLDS(a_region_has_an_inaccessible_page_on_each_side))
