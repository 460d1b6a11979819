/* base/ptr.h: alignment and distance. */
#include "base/ptr.h"
#include "unit/unit.h"

START_TEST(aligning_up_moves_less_than_the_alignment_and_never_down)
{
    static unsigned char memory[8192];
    for (size_t alignment = 1; alignment <= 4096; alignment *= 2)
        for (size_t offset = 0; offset < 4096; offset += 7) {
            unsigned char *aligned = ptr_align_up(memory + offset, alignment);
            ck_assert_uint_eq(ptr_address(aligned) % alignment, 0);
            ck_assert(aligned >= memory + offset);
            ck_assert_uint_lt(ptr_offset(aligned, memory + offset), alignment);
        }
}
END_TEST

START_TEST(sizes_are_aligned_up_to_the_next_multiple)
{
    ck_assert_uint_eq(size_align_up(0, 16), 0);
    ck_assert_uint_eq(size_align_up(1, 16), 16);
    ck_assert_uint_eq(size_align_up(16, 16), 16);
    ck_assert_uint_eq(size_align_up(17, 16), 32);
    ck_assert_uint_eq(size_align_up(65537, 65536), 131072);
}
END_TEST

START_TEST(offset_is_the_inverse_of_add)
{
    static unsigned char memory[100];
    for (size_t i = 0; i < sizeof memory; i++)
        ck_assert_uint_eq(ptr_offset(ptr_add(memory, i), memory), i);
    ck_assert_uint_eq(ptr_offset(memory, memory + 1), SIZE_MAX); /* below the base: too large for anything */
}
END_TEST

UNIT_MAIN("ptr", HOLDS(aligning_up_moves_less_than_the_alignment_and_never_down),
          HOLDS(sizes_are_aligned_up_to_the_next_multiple), HOLDS(offset_is_the_inverse_of_add))
