/* check/fill.h: every changed byte shows, at either end. */
#include "check/fill.h"
#include "unit/unit.h"

START_TEST(a_canary_that_nobody_touched_is_whole)
{
    unsigned char bytes[300];
    for (size_t from = 0; from < 20; from++)
        for (size_t count = 0; from + count <= sizeof bytes; count += 7) {
            canary_write(bytes + from, count);
            ck_assert_uint_eq(neb_canary_verify(bytes + from, count), count);
            ck_assert_uint_eq(neb_canary_verify_back(bytes + from, count), 0);
        }
}
END_TEST

START_TEST(every_changed_byte_is_found_from_both_sides)
{
    unsigned char bytes[64];
    for (size_t at = 0; at < sizeof bytes; at++)
        for (unsigned value = 0; value < 256; value++) {
            canary_write(bytes, sizeof bytes);
            if (bytes[at] == value)
                continue;
            bytes[at] = (unsigned char)value;
            ck_assert_uint_eq(neb_canary_verify(bytes, sizeof bytes), at);
            ck_assert_uint_eq(neb_canary_verify_back(bytes, sizeof bytes), at + 1);
        }
}
END_TEST

START_TEST(a_changed_byte_is_found_whatever_the_number_of_bytes_and_the_address)
{
    unsigned char bytes[80];
    for (size_t from = 0; from < 17; from++)
        for (size_t count = 1; count < 40; count++)
            for (size_t at = 0; at < count; at++) {
                canary_write(bytes + from, count);
                bytes[from + at] ^= 0x10;
                ck_assert_uint_eq(neb_canary_verify(bytes + from, count), at);
            }
}
END_TEST

START_TEST(no_canary_contains_zero_whether_random_or_not)
{
    unsigned char bytes[64];
    for (int round = 0; round < 50; round++) {
        canary_write(bytes, sizeof bytes);
        for (size_t i = 0; i < sizeof bytes; i++)
            ck_assert_uint_ne(bytes[i], 0);
        neb_canary_init(true);
    }
}
END_TEST

START_TEST(one_byte_that_differs_from_the_fill_is_found_wherever_it_is)
{
    unsigned char bytes[400];
    for (size_t from = 0; from < 9; from++)
        for (size_t at = from; at < sizeof bytes; at++) {
            memset(bytes, 0x5A, sizeof bytes);
            ck_assert_uint_eq(neb_fill_verify(bytes + from, sizeof bytes - from, 0x5A), sizeof bytes - from);
            bytes[at] = 0x5B;
            ck_assert_uint_eq(neb_fill_verify(bytes + from, sizeof bytes - from, 0x5A), at - from);
        }
}
END_TEST

START_TEST(a_fill_covers_its_bytes_and_no_others_and_each_that_changed_shows)
{
    enum { MARGIN = 16, BYTES_MAX = 200 };
    unsigned char bytes[BYTES_MAX + 2 * MARGIN], *begin = bytes + MARGIN;
    for (size_t count = 0; count <= BYTES_MAX; count++) {
        memset(bytes, 0x11, sizeof bytes);
        fill_write(begin, count, 0xA5);
        ck_assert(all_bytes_are(bytes, MARGIN, 0x11));
        ck_assert(all_bytes_are(begin, count, 0xA5));
        ck_assert(all_bytes_are(begin + count, MARGIN, 0x11));
        ck_assert(fill_is_whole(begin, count, 0xA5));
        for (size_t at = 0; at < count; at++) {
            begin[at] ^= 0x80;
            ck_assert(!fill_is_whole(begin, count, 0xA5));
            begin[at] ^= 0x80;
        }
    }
}
END_TEST

START_TEST(a_front_of_several_periods_is_whole_until_a_byte_of_it_changed)
{
    NEB_ALIGNED(16) unsigned char bytes[256];
    for (size_t count = 16; count <= sizeof bytes; count *= 2) {
        unsigned char *block = bytes + sizeof bytes;
        canary_write(block - count, count);
        ck_assert(canary_front_is_whole(block, count));
        for (size_t at = 1; at <= count; at++) {
            block[-(ptrdiff_t)at] ^= 1;
            ck_assert(!canary_front_is_whole(block, count));
            block[-(ptrdiff_t)at] ^= 1;
        }
    }
}
END_TEST

UNIT_MAIN("fill", HOLDS(a_canary_that_nobody_touched_is_whole), HOLDS(every_changed_byte_is_found_from_both_sides),
          HOLDS(a_changed_byte_is_found_whatever_the_number_of_bytes_and_the_address),
          HOLDS(no_canary_contains_zero_whether_random_or_not),
          HOLDS(one_byte_that_differs_from_the_fill_is_found_wherever_it_is),
          HOLDS(a_fill_covers_its_bytes_and_no_others_and_each_that_changed_shows),
          HOLDS(a_front_of_several_periods_is_whole_until_a_byte_of_it_changed))
