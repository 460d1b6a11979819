/* base/fmt.h against printf, and at the end of the buffer. */
#include "base/fmt.h"
#include "unit/unit.h"
#include <stdio.h>

static const uint64_t numbers[] = {0,   1,    9,     10,    99,         100,       255,
                                   256, 4095, 65535, 65536, UINT32_MAX, INT64_MAX, UINT64_MAX};
enum { NUMBERS = sizeof numbers / sizeof numbers[0] };

START_TEST(numbers_look_as_printf_writes_them)
{
    char buffer[64], expected[64];
    for (unsigned i = 0; i < NUMBERS; i++) {
        struct text text = neb_text_in(buffer, sizeof buffer);
        neb_text_decimal(&text, numbers[i]);
        neb_text_string(&text, "|");
        neb_text_hex(&text, numbers[i]);
        neb_text_string(&text, "|");
        neb_text_decimal_padded(&text, numbers[i], 10);
        int length = snprintf(expected, sizeof expected, "%lu|0x%lx|%10lu", (unsigned long)numbers[i],
                              (unsigned long)numbers[i], (unsigned long)numbers[i]);
        ck_assert_str_eq(buffer, expected);
        ck_assert_uint_eq(text.length, (size_t)length);
    }
}
END_TEST

START_TEST(strings_are_padded_on_the_left)
{
    char buffer[32];
    struct text text = neb_text_in(buffer, sizeof buffer);
    neb_text_string_padded(&text, "ab", 5);
    neb_text_string_padded(&text, "abcdef", 3);
    ck_assert_str_eq(buffer, "   ababcdef");
}
END_TEST

START_TEST(text_is_cut_off_at_the_end_of_its_buffer_and_terminated)
{
    for (size_t capacity = 1; capacity < 12; capacity++) {
        char buffer[16];
        memset(buffer, '#', sizeof buffer);
        struct text text = neb_text_in(buffer, capacity);
        neb_text_string(&text, "abc");
        neb_text_decimal(&text, 12345);
        neb_text_bytes(&text, "xyz", 3);
        size_t length = capacity - 1 < 11 ? capacity - 1 : 11;
        ck_assert_uint_eq(text.length, length);
        ck_assert_uint_eq(strlen(buffer), length);
        ck_assert(memcmp(buffer, "abc12345xyz", length) == 0);
        ck_assert(all_bytes_are(buffer + capacity, sizeof buffer - capacity, '#'));
    }
}
END_TEST

START_TEST(sizes_have_a_unit_and_a_tenth)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {{0, "0 B"},
                 {1023, "1023 B"},
                 {1024, "1.0 KiB"},
                 {1536, "1.5 KiB"},
                 {1048575, "1023.9 KiB"},
                 {1048576, "1.0 MiB"},
                 {(uint64_t)3 << 30, "3.0 GiB"},
                 {UINT64_MAX, "15.9 EiB"}};
    char buffer[32];
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct text text = neb_text_in(buffer, sizeof buffer);
        neb_text_size(&text, cases[i].bytes);
        ck_assert_str_eq(buffer, cases[i].text);
    }
}
END_TEST

UNIT_MAIN("fmt", HOLDS(numbers_look_as_printf_writes_them), HOLDS(strings_are_padded_on_the_left),
          HOLDS(text_is_cut_off_at_the_end_of_its_buffer_and_terminated),
          HOLDS(sizes_have_a_unit_and_a_tenth))
