/* base/sort.h: every order of a few elements, and many elements of any size. */
#include "base/sort.h"
#include "unit/unit.h"

static bool int_is_less(const void *a, const void *b)
{
    int one, other;
    memcpy(&one, a, sizeof one);
    memcpy(&other, b, sizeof other);
    return one < other;
}

/* Each of the count^count rows of count small numbers. */
START_TEST(every_row_of_up_to_six_numbers_is_sorted)
{
    for (int count = 0; count <= 6; count++) {
        int rows = 1;
        for (int i = 0; i < count; i++)
            rows *= count;
        for (int row = 0; row < rows; row++) {
            int numbers[6], had[6] = {0}, rest = row;
            for (int i = 0; i < count; i++, rest /= count)
                had[numbers[i] = rest % count]++;
            neb_sort(numbers, (size_t)count, sizeof *numbers, int_is_less);
            for (int i = 0; i < count; i++) {
                had[numbers[i]]--;
                ck_assert(i == 0 || numbers[i - 1] <= numbers[i]);
            }
            for (int i = 0; i < count; i++)
                ck_assert_int_eq(had[i], 0);
        }
    }
}
END_TEST

struct odd {
    int key;
    char rest[9];
};

START_TEST(what_belongs_to_a_key_moves_with_it)
{
    enum { COUNT = 5000 };
    static struct odd odd[COUNT];
    for (int i = 0; i < COUNT; i++) {
        odd[i].key = i * 3571 % COUNT;
        memset(odd[i].rest, odd[i].key % 251, sizeof odd[i].rest);
    }
    neb_sort(odd, COUNT, sizeof *odd, int_is_less);
    for (int i = 0; i < COUNT; i++) {
        ck_assert_int_eq(odd[i].key, i);
        for (size_t at = 0; at < sizeof odd[i].rest; at++)
            ck_assert_int_eq((unsigned char)odd[i].rest[at], i % 251);
    }
}
END_TEST

UNIT_MAIN("sort", HOLDS(every_row_of_up_to_six_numbers_is_sorted), HOLDS(what_belongs_to_a_key_moves_with_it))
