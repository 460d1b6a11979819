/* check/spans.h: the range that holds an address, or the next one. */
#include "check/spans.h"
#include "unit/unit.h"

START_TEST(an_address_finds_its_range_or_the_next_one)
{
    enum { COUNT = 9, STEP = 10, BYTES = 6 };
    char bytes[COUNT * STEP + 1];
    struct span room[COUNT];
    for (size_t count = 0; count <= COUNT; count++) {
        struct spans spans = {room, 0, COUNT};
        for (size_t i = 0; i < count; i++)
            neb_spans_add(&spans, bytes + i * 4 % count * STEP, count % 2 == 0 ? 0 : BYTES); /* 4 and odd counts: each once, but for 0 */
        for (size_t i = 0; i < count && count % 2 == 0; i++)
            neb_spans_add(&spans, bytes + (count - 1 - i) * STEP, BYTES); /* those without bytes were not kept */
        ck_assert_uint_eq(spans.count, count);
        neb_spans_sort(&spans);
        for (size_t at = 0; at < count * STEP; at++) {
            const struct span *found = neb_spans_at(&spans, (uintptr_t)(bytes + at));
            size_t wanted = at % STEP < BYTES ? at / STEP : at / STEP + 1;
            if (wanted >= count)
                ck_assert_ptr_null(found);
            else
                ck_assert_ptr_eq(found->base, bytes + wanted * STEP);
        }
    }
}
END_TEST

START_TEST(what_has_no_room_is_not_kept)
{
    char bytes[3];
    struct span room[2];
    struct spans spans = {room, 0, 2};
    for (int i = 0; i < 3; i++)
        neb_spans_add(&spans, bytes + i, 1);
    ck_assert_uint_eq(spans.count, 2);
}
END_TEST

UNIT_MAIN("spans", HOLDS(an_address_finds_its_range_or_the_next_one), HOLDS(what_has_no_room_is_not_kept))
