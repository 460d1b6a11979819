/* heap/size_class.h: the tables, for every size. */
#include "heap/size_class.h"
#include "unit/unit.h"

START_TEST(every_size_gets_the_smallest_class_that_holds_it)
{
    for (size_t size = 0; size <= SMALL_MAX; size++) {
        unsigned class_index = size_class_of(size);
        ck_assert_uint_lt(class_index, CLASS_COUNT);
        ck_assert_uint_ge(neb_size_class[class_index].size, size);
        ck_assert(class_index == 0 || neb_size_class[class_index - 1].size < size);
    }
}
END_TEST

START_TEST(waste_is_at_most_an_eighth_or_a_step)
{
    for (size_t size = 1; size <= SMALL_MAX; size++) {
        size_t waste = neb_size_class[size_class_of(size)].size - size;
        ck_assert_msg(waste < 16 || waste * 8 <= size, "%zu bytes of waste for %zu", waste, size);
    }
}
END_TEST

START_TEST(classes_ascend_in_steps_of_sixteen_and_end_at_the_largest_small_size)
{
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        ck_assert_uint_eq(neb_size_class[class_index].size % 16, 0);
        if (class_index > 0)
            ck_assert_uint_gt(neb_size_class[class_index].size, neb_size_class[class_index - 1].size);
        ck_assert_uint_eq(size_class_of(neb_size_class[class_index].size), class_index);
    }
    ck_assert_uint_eq(neb_size_class[0].size, 16);
    ck_assert_uint_eq(neb_size_class[CLASS_COUNT - 1].size, SMALL_MAX);
}
END_TEST

START_TEST(a_slab_holds_as_many_blocks_as_fit)
{
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        const struct size_class *class = &neb_size_class[class_index];
        size_t bytes = class->granules * GRANULE_BYTES;
        ck_assert_uint_ge(class->capacity, 2);
        ck_assert_uint_le(bytes - (size_t)class->capacity * class->size, bytes / 5);
        ck_assert_uint_le(class->granules, SLAB_GRANULES_MAX);
        ck_assert_uint_le((size_t) class->capacity * class->size, bytes);
        ck_assert_uint_gt(((size_t) class->capacity + 1) * class->size, bytes);
        ck_assert_uint_le(class->capacity, GRANULE_BYTES / 16);
    }
}
END_TEST

START_TEST(the_inverse_divides_every_offset_exactly)
{
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        const struct size_class *class = &neb_size_class[class_index];
        for (size_t offset = 0; offset < class->granules * GRANULE_BYTES; offset++)
            if (size_class_index(class, offset) != offset / class->size)
                ck_abort_msg("class %u, offset %zu", class_index, offset);
    }
}
END_TEST

START_TEST(an_aligned_class_is_the_smallest_whose_blocks_are_all_aligned)
{
    for (size_t alignment = 1; alignment <= 2 * SMALL_MAX; alignment *= 2)
        for (size_t size = 0; size <= SMALL_MAX + 1; size += size < 2048 ? 1 : 97) {
            unsigned expected = 0;
            while (expected < CLASS_COUNT &&
                   (neb_size_class[expected].size < size || neb_size_class[expected].size % alignment != 0))
                expected++;
            if (size_class_aligned(size, alignment) != expected)
                ck_abort_msg("size %zu, alignment %zu: %u instead of %u", size, alignment,
                             size_class_aligned(size, alignment), expected);
        }
}
END_TEST

UNIT_MAIN("size_class", HOLDS(every_size_gets_the_smallest_class_that_holds_it),
          HOLDS(waste_is_at_most_an_eighth_or_a_step),
          HOLDS(classes_ascend_in_steps_of_sixteen_and_end_at_the_largest_small_size),
          HOLDS(a_slab_holds_as_many_blocks_as_fit), HOLDS(the_inverse_divides_every_offset_exactly),
          HOLDS(an_aligned_class_is_the_smallest_whose_blocks_are_all_aligned))
