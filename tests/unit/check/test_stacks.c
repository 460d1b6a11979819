/* check/stacks.h: the same stack has the same number, another one another, from whichever thread. */
#include "check/stacks.h"
#include "unit/unit.h"
#include <pthread.h>

enum { STACKS = 20000, THREADS = 4, DEPTH = 9 };

static uint32_t numbers[THREADS][STACKS];

static uint32_t put(const uintptr_t *pcs, int count)
{
    return neb_stacks_put(pcs, count, neb_stacks_hash(pcs, count));
}

static void stack_fill(uintptr_t *pcs, unsigned which)
{
    for (unsigned i = 0; i < DEPTH; i++)
        pcs[i] = 0x400000 + (which >> i) * 16;
}

static void *put_all(void *into)
{
    uint32_t *number = into;
    for (unsigned i = 0; i < STACKS; i++) {
        uintptr_t pcs[DEPTH];
        stack_fill(pcs, i);
        number[i] = put(pcs, DEPTH);
    }
    return NULL;
}

START_TEST(every_stack_has_one_number_for_all_threads)
{
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, put_all, numbers[i]), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    for (unsigned i = 0; i < STACKS; i++) {
        uintptr_t pcs[DEPTH];
        const uintptr_t *kept;
        ck_assert_uint_ne(numbers[0][i], 0);
        for (int other = 1; other < THREADS; other++)
            ck_assert_uint_eq(numbers[other][i], numbers[0][i]);
        stack_fill(pcs, i);
        ck_assert_int_eq(neb_stacks_get(numbers[0][i], &kept), DEPTH);
        ck_assert_int_eq(memcmp(kept, pcs, sizeof pcs), 0);
    }
}
END_TEST

START_TEST(no_stack_and_one_that_is_too_deep_have_none)
{
    uintptr_t pcs[300] = {1};
    const uintptr_t *kept;
    ck_assert_uint_eq(put(pcs, 0), 0);
    ck_assert_uint_eq(put(pcs, 300), 0);
    ck_assert_int_eq(neb_stacks_get(0, &kept), 0);
    uint32_t one = put(pcs, 1), two = put(pcs, 2);
    ck_assert_uint_ne(one, 0);
    ck_assert_uint_ne(one, two);
}
END_TEST

UNIT_MAIN("stacks", HOLDS(every_stack_has_one_number_for_all_threads), HOLDS(no_stack_and_one_that_is_too_deep_have_none))
