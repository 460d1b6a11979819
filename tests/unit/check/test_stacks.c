/* check/stacks.h and stack.h: the same stack has the same number, another one another, from whichever thread. */
#include "check/stack.h"
#include "check/stacks.h"
#include "front/alloc.h"
#include "policy/policy.h"
#include "unit/unit.h"
#include <pthread.h>

enum { STACKS = 20000, THREADS = 4, DEPTH = 9 };

static uint32_t numbers[THREADS][STACKS];

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
        number[i] = neb_stacks_put(pcs, DEPTH);
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
    ck_assert_uint_eq(neb_stacks_put(pcs, 0), 0);
    ck_assert_uint_eq(neb_stacks_put(pcs, 300), 0);
    ck_assert_int_eq(neb_stacks_get(0, &kept), 0);
    uint32_t one = neb_stacks_put(pcs, 1), two = neb_stacks_put(pcs, 2);
    ck_assert_uint_ne(one, 0);
    ck_assert_uint_ne(one, two);
}
END_TEST

static __attribute__((noinline)) uint32_t number_at(int depth)
{
    uint32_t number = depth == 0 ? neb_stack_number(30) : number_at(depth - 1);
    __asm__ volatile("" : "+r"(number)); /* no tail call */
    return number;
}

enum { DEPTHS = 10, ROUNDS = 3 };
static uint32_t taken[ROUNDS][DEPTHS];

static __attribute__((noinline)) void numbers_take(uint32_t *number, volatile int *depths)
{
    for (int depth = 0; depth < *depths; depth++) /* volatile: one call, not one for each time */
        number[depth] = number_at(depth);
}

START_TEST(a_stack_that_is_remembered_is_the_one_that_is_captured)
{
    volatile int rounds = ROUNDS, depths = DEPTHS;
    if (!POLICY_STACKS) {
        ck_assert_uint_eq(number_at(3), 0);
        return;
    }
    (void)neb_malloc(1); /* what is remembered is the heap's */
    for (int round = 0; round < rounds; round++)
        numbers_take(taken[round], &depths);
    for (int depth = 0; depth < DEPTHS; depth++) {
        ck_assert_uint_ne(taken[0][depth], 0);
        ck_assert_uint_eq(taken[1][depth], taken[0][depth]);
        ck_assert_uint_eq(taken[2][depth], taken[0][depth]);
        for (int other = 0; other < depth; other++)
            ck_assert_uint_ne(taken[0][depth], taken[0][other]);
    }
    const uintptr_t *short_one, *long_one;
    ck_assert_int_eq(neb_stacks_get(taken[0][5], &long_one), neb_stacks_get(taken[0][4], &short_one) + 1);
}
END_TEST

UNIT_MAIN("stacks", HOLDS(every_stack_has_one_number_for_all_threads), HOLDS(no_stack_and_one_that_is_too_deep_have_none),
          HOLDS(a_stack_that_is_remembered_is_the_one_that_is_captured))
