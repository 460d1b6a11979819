/* front/pick.h through front/traced.h: how often an allocation is guarded, and where none may be. */
#include "front/pick.h"

#include "check/guard.h"
#include "front/alloc.h"
#include "front/scope.h"
#include "front/traced.h"
#include "trace/state.h"
#include "unit/unit.h"
#include <errno.h>
#include <pthread.h>

static void begin(uint64_t mean)
{
    ck_assert(neb_guard_init(&(struct guard_options){.side = GUARD_AT_RANDOM, .alignment = 16, .is_sample = true}));
    neb_pick_begin(mean);
}

/* As a program's malloc does. */
static void *malloc_of_program(size_t size)
{
    return alloc_is_traced(trace_watch(), size) ? neb_traced_malloc(size) : neb_malloc(size);
}

static uint64_t guarded_of(unsigned calls, void *(*allocate)(size_t size))
{
    uint64_t before = neb_guard_counts().served;
    for (unsigned i = 0; i < calls; i++)
        neb_free(allocate(100));
    return neb_guard_counts().served - before;
}

START_TEST(one_of_so_many_allocations_is_guarded)
{
    begin(100);
    ck_assert(trace_watch() != 0 && !trace_is_on());
    uint64_t guarded = guarded_of(400000, malloc_of_program);
    ck_assert_uint_gt(guarded, 3600); /* six deviations from 4,000 */
    ck_assert_uint_lt(guarded, 4400);
}
END_TEST

START_TEST(so_it_is_where_each_allocation_comes_to_the_recorder)
{
    begin(100);
    uint64_t guarded = guarded_of(400000, neb_traced_malloc);
    ck_assert_uint_gt(guarded, 3600);
    ck_assert_uint_lt(guarded, 4400);
}
END_TEST

START_TEST(a_mean_longer_than_the_countdown_is_kept)
{
    begin(1000);
    uint64_t guarded = guarded_of(2000000, malloc_of_program);
    ck_assert_uint_gt(guarded, 1730);
    ck_assert_uint_lt(guarded, 2270);
}
END_TEST

START_TEST(one_in_one_is_every_one_whatever_is_called)
{
    void *p[8] = {NULL};
    begin(1);
    errno = 7;
    p[0] = neb_traced_malloc(0);
    p[1] = neb_traced_calloc(10, 10);
    p[2] = neb_traced_memalign(256, 10);
    ck_assert_int_eq(neb_traced_posix_memalign(&p[3], 64, 10), 0);
    p[4] = neb_traced_realloc(NULL, 10);
    p[5] = neb_traced_reallocarray(NULL, 2, 5);
    p[6] = neb_traced_realloc(neb_traced_malloc(10), 11); /* it moves to an ordinary block */
    p[7] = neb_traced_malloc(100000);
    ck_assert_int_eq(errno, 7);
    for (int i = 0; i < 6; i++) {
        ck_assert(neb_guard_knows(p[i]));
        ck_assert_uint_eq(page_map_load(p[i]), ENTRY_NONE);
    }
    for (int i = 0; i < 8; i++)
        neb_free(p[i]);
    ck_assert(!neb_guard_knows(p[6]) && !neb_guard_knows(p[7]));
    ck_assert_uint_eq(neb_guard_counts().live, 0);
}
END_TEST

START_TEST(without_the_option_nothing_is_watched_or_guarded)
{
    neb_pick_begin(0);
    ck_assert_uint_eq(trace_watch(), 0);
    ck_assert_uint_eq(guarded_of(1000, malloc_of_program), 0);
}
END_TEST

static void *first_of_a_thread(void *guarded)
{
    void *p = neb_traced_malloc(100);
    *(unsigned *)guarded += neb_guard_knows(p);
    neb_free(p);
    neb_heap_end();
    return NULL;
}

START_TEST(the_first_allocation_of_a_thread_is_like_any_other)
{
    enum { STARTED = 2000 };
    unsigned guarded = 0;
    begin(10);
    for (int i = 0; i < STARTED; i++) {
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, first_of_a_thread, &guarded), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
    }
    ck_assert_uint_gt(guarded, STARTED / 20);
    ck_assert_uint_lt(guarded, STARTED / 5);
}
END_TEST

START_TEST(a_scopes_blocks_are_the_scopes)
{
    begin(1);
    neb_tls.state = THREAD_AMBIENT;
    ck_assert(!neb_pick_slow());
    neb_tls.state = THREAD_YOUNG;
    ck_assert(neb_pick_slow());
}
END_TEST

UNIT_MAIN("pick", HOLDS(one_of_so_many_allocations_is_guarded), HOLDS(so_it_is_where_each_allocation_comes_to_the_recorder),
          HOLDS(a_mean_longer_than_the_countdown_is_kept),
          HOLDS(one_in_one_is_every_one_whatever_is_called), HOLDS(without_the_option_nothing_is_watched_or_guarded),
          HOLDS(the_first_allocation_of_a_thread_is_like_any_other), HOLDS(a_scopes_blocks_are_the_scopes))
