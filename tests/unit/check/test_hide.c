/* check/hide.h: an allowance that comes back with time, whatever the number of those who ask. */
#include "check/hide.h"

#include "os/env.h"
#include "policy/tuning.h"
#include "unit/unit.h"
#include <pthread.h>
#include <time.h>

static unsigned hidden_of(unsigned count)
{
    unsigned hidden = 0;
    for (unsigned i = 0; i < count; i++)
        hidden += neb_hide_is_due(HIDE_ALWAYS_BYTES);
    return hidden;
}

START_TEST(who_frees_few_has_all_hidden)
{
    ck_assert_uint_eq(hidden_of(HIDE_ALLOWANCE), HIDE_ALLOWANCE);
}
END_TEST

START_TEST(who_frees_many_has_one_hidden_each_millisecond)
{
    uint32_t begun = neb_clock_ms();
    unsigned hidden = hidden_of(1000000);
    ck_assert_uint_ge(hidden, HIDE_ALLOWANCE);
    ck_assert_uint_le(hidden, HIDE_ALLOWANCE + (neb_clock_ms() - begun));
}
END_TEST

START_TEST(what_is_larger_is_always_hidden)
{
    (void)hidden_of(HIDE_ALLOWANCE + 100);
    for (int i = 0; i < 10000; i++)
        ck_assert(neb_hide_is_due(HIDE_ALWAYS_BYTES + 1));
}
END_TEST

START_TEST(the_allowance_comes_back)
{
    (void)hidden_of(100000);
    ck_assert_int_eq(nanosleep(&(struct timespec){0, 100000000}, NULL), 0);
    unsigned hidden = hidden_of(100);
    ck_assert_uint_ge(hidden, 90);
}
END_TEST

static void *ask(void *argument)
{
    *(unsigned *)argument = hidden_of(100000);
    return NULL;
}

START_TEST(threads_share_it)
{
    enum { THREADS = 4 };
    pthread_t thread[THREADS];
    unsigned hidden[THREADS], sum = 0;
    uint32_t begun = neb_clock_ms();
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, ask, &hidden[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
        sum += hidden[i];
    }
    ck_assert_uint_ge(sum, HIDE_ALLOWANCE);
    ck_assert_uint_le(sum, HIDE_ALLOWANCE + (neb_clock_ms() - begun));
}
END_TEST

UNIT_MAIN("hide", HOLDS(who_frees_few_has_all_hidden), HOLDS(who_frees_many_has_one_hidden_each_millisecond),
          HOLDS(what_is_larger_is_always_hidden), HOLDS(the_allowance_comes_back), HOLDS(threads_share_it))
