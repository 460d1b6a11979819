/* base/bits.h against the slow and obvious way. */
#include "base/bits.h"
#include "unit/unit.h"

static unsigned slow_count(uint64_t word)
{
    unsigned count = 0;
    for (unsigned i = 0; i < 64; i++)
        count += (unsigned)(word >> i & 1);
    return count;
}

static bool is_run(uint64_t word, unsigned first, unsigned count)
{
    if (first + count > 64)
        return false;
    for (unsigned i = first; i < first + count; i++)
        if ((word >> i & 1) == 0)
            return false;
    return true;
}

/* Words of every density, and the corners. */
static uint64_t word_number(unsigned i, uint64_t *state)
{
    static const uint64_t corners[] = {
        0, 1, ~UINT64_C(0), UINT64_C(1) << 63, ~UINT64_C(1), ~UINT64_C(0) >> 1};
    if (i < sizeof corners / sizeof corners[0])
        return corners[i];
    uint64_t a = unit_random(state), b = unit_random(state), c = unit_random(state);
    return i % 3 == 0 ? a : i % 3 == 1 ? a & b & c : a | b | c;
}

START_TEST(lowest_and_logarithms_agree_with_shifting)
{
    for (unsigned i = 0; i < 64; i++) {
        uint64_t bit = UINT64_C(1) << i;
        ck_assert_uint_eq(bits_lowest(bit), i);
        ck_assert_uint_eq(bits_lowest(bit | UINT64_C(1) << 63), i);
        ck_assert_uint_eq(bits_log2_floor(bit), i);
        ck_assert_uint_eq(bits_log2_ceil(bit), i);
        ck_assert_uint_eq(bits_log2_floor(bit + (bit - 1)), i);
        if (i > 0 && i < 63)
            ck_assert_uint_eq(bits_log2_ceil(bit + 1), i + 1);
        ck_assert(bits_is_power_of_two(bit));
        ck_assert(i < 2 || !bits_is_power_of_two(bit - 1));
        ck_assert(i < 1 || !bits_is_power_of_two(bit + 1));
    }
    ck_assert(!bits_is_power_of_two(0));
}
END_TEST

START_TEST(a_range_has_exactly_its_bits)
{
    for (unsigned first = 0; first < 64; first++)
        for (unsigned count = 1; first + count <= 64; count++) {
            uint64_t range = bits_range(first, count);
            ck_assert_uint_eq(slow_count(range), count);
            ck_assert(is_run(range, first, count));
        }
}
END_TEST

START_TEST(run_starts_are_where_runs_start)
{
    uint64_t state = 1;
    for (unsigned i = 0; i < 300; i++) {
        uint64_t word = word_number(i, &state);
        for (unsigned count = 1; count <= 64; count++) {
            uint64_t starts = bits_run_starts(word, count);
            for (unsigned first = 0; first < 64; first++)
                ck_assert_msg((starts >> first & 1) == is_run(word, first, count),
                              "word %#lx count %u first %u", (unsigned long)word, count, first);
        }
    }
}
END_TEST

START_TEST(the_longest_run_is_the_longest_that_starts_somewhere)
{
    uint64_t state = 2;
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t word = word_number(i, &state);
        unsigned longest = bits_longest_run(word);
        ck_assert(longest == 0 || bits_run_starts(word, longest) != 0);
        ck_assert(longest == 64 || bits_run_starts(word, longest + 1) == 0);
        ck_assert_uint_eq(bits_count(word), slow_count(word));
    }
}
END_TEST

UNIT_MAIN("bits", HOLDS(lowest_and_logarithms_agree_with_shifting), HOLDS(a_range_has_exactly_its_bits),
          HOLDS(run_starts_are_where_runs_start), HOLDS(the_longest_run_is_the_longest_that_starts_somewhere))
