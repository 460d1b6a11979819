/* os/thread.h: the hook runs once in each watched thread, after other destructors had three rounds. */
#include "os/thread.h"
#include "unit/unit.h"
#include <pthread.h>
#include <stdatomic.h>

static _Atomic int hooks, other_rounds, rounds_before_hook;
static pthread_key_t other_key;

static void hook(void)
{
    atomic_fetch_add(&hooks, 1);
    atomic_store(&rounds_before_hook, atomic_load(&other_rounds));
}

static void *watched(void *unused)
{
    (void)unused;
    return neb_thread_watch() && neb_thread_watch() ? &hooks : NULL;
}

static void *unwatched(void *unused)
{
    return unused;
}

static void *thread_run(void *(*function)(void *))
{
    pthread_t thread;
    void *answer;
    ck_assert_int_eq(pthread_create(&thread, NULL, function, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, &answer), 0);
    return answer;
}

START_TEST(the_hook_runs_once_in_each_watched_thread)
{
    ck_assert(!neb_thread_watch()); /* not before it is asked for */
    ck_assert(neb_thread_watch_init(hook));
    for (int i = 1; i <= 50; i++) {
        ck_assert_ptr_nonnull(thread_run(watched));
        ck_assert_int_eq(atomic_load(&hooks), i);
    }
    (void)thread_run(unwatched);
    ck_assert_int_eq(atomic_load(&hooks), 50);
}
END_TEST

static void other_end(void *value)
{
    if (atomic_fetch_add(&other_rounds, 1) + 1 < 3)
        (void)pthread_setspecific(other_key, value);
}

static void *watched_with_destructor(void *unused)
{
    (void)unused;
    (void)pthread_setspecific(other_key, &other_rounds);
    return watched(NULL);
}

START_TEST(other_destructors_have_their_first_rounds_before_the_hook)
{
    ck_assert_int_eq(pthread_key_create(&other_key, other_end), 0);
    ck_assert(neb_thread_watch_init(hook));
    ck_assert_ptr_nonnull(thread_run(watched_with_destructor));
    ck_assert_int_eq(atomic_load(&hooks), 1);
    ck_assert_int_ge(atomic_load(&rounds_before_hook), 2);
    ck_assert_int_eq(atomic_load(&other_rounds), 3);
}
END_TEST

UNIT_MAIN("thread", HOLDS(the_hook_runs_once_in_each_watched_thread),
          HOLDS(other_destructors_have_their_first_rounds_before_the_hook))
