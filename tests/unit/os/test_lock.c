/* os/lock.h: mutual exclusion, sleepers that wake, and what fork does. */
#include "os/lock.h"
#include "os/thread.h"
#include "unit/unit.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, ROUNDS = 20000 };

static struct lock lock;
static uint64_t guarded; /* not atomic: a sanitizer or a lost update tells when the lock does not exclude */
static _Atomic bool is_over;

static void *count_up(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        neb_lock_take(&lock);
        guarded++;
        if (i % 1000 == 0)
            (void)usleep(100); /* so that others have to sleep */
        neb_lock_give(&lock);
    }
    return NULL;
}

START_TEST(no_update_is_lost_under_contention)
{
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, count_up, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    ck_assert_uint_eq(guarded, THREADS * ROUNDS);
    ck_assert_uint_eq(atomic_load(&lock.state), 0);
}
END_TEST

static _Atomic int errno_after; /* of a thread that had to wait; -1: it waits still */

static void *wait_with_errno(void *unused)
{
    (void)unused;
    errno = 77;
    neb_lock_take(&lock);
    neb_lock_give(&lock);
    atomic_store(&errno_after, errno);
    return NULL;
}

static void ignore(int number)
{
    (void)number;
}

/* Each signal that finds the thread asleep ends its system call with EINTR. */
START_TEST(whoever_waits_keeps_errno)
{
    pthread_t thread;
    struct sigaction action = {.sa_handler = ignore};
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    atomic_store(&errno_after, -1);
    neb_lock_take(&lock);
    ck_assert_int_eq(pthread_create(&thread, NULL, wait_with_errno, NULL), 0);
    for (int i = 0; i < 200; i++) {
        (void)usleep(1000);
        ck_assert_int_eq(pthread_kill(thread, SIGUSR1), 0);
    }
    ck_assert_int_eq(atomic_load(&errno_after), -1);
    neb_lock_give(&lock);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(atomic_load(&errno_after), 77);
}
END_TEST

START_TEST(a_try_fails_while_the_lock_is_held)
{
    ck_assert(neb_lock_try(&lock));
    ck_assert(!neb_lock_try(&lock));
    neb_lock_give(&lock);
    ck_assert(neb_lock_try(&lock));
    neb_lock_reset(&lock);
    ck_assert(neb_lock_try(&lock));
}
END_TEST

static void *hold_in_turn(void *unused)
{
    (void)unused;
    for (unsigned i = 0; !atomic_load_explicit(&is_over, memory_order_relaxed); i++) {
        struct lock *first = &neb_locks[i % LOCK_COUNT], *last = &neb_locks[LOCK_COUNT - 1];
        neb_lock_take(first);
        if (first != last) {
            neb_lock_take(last);
            neb_lock_give(last);
        }
        neb_lock_give(first);
    }
    return NULL;
}

/* In the child every lock is free; whoever waits for ever here was forked with a lock held. */
static void child_takes_each(void)
{
    alarm(UNIT_SECONDS / 2);
    for (unsigned rank = 0; rank < LOCK_COUNT; rank++)
        neb_lock_take(&neb_locks[rank]);
    _exit(7);
}

START_TEST(locks_are_free_in_the_child_of_a_threaded_process)
{
    pthread_t thread[2];
    neb_thread_at_fork(neb_locks_take_all, neb_locks_give_all, neb_locks_reset_all);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, hold_in_turn, NULL), 0);
    for (int i = 0; i < 100; i++) {
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0)
            child_takes_each();
        int status;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert(WIFEXITED(status));
        ck_assert_int_eq(WEXITSTATUS(status), 7);
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    for (unsigned rank = 0; rank < LOCK_COUNT; rank++)
        ck_assert(neb_lock_try(&neb_locks[rank]));
}
END_TEST

START_TEST(who_holds_all_locks_can_take_and_give_any)
{
    neb_locks_take_all();
    for (unsigned rank = 0; rank < LOCK_COUNT; rank++) {
        neb_lock_take(&neb_locks[rank]);
        neb_lock_give(&neb_locks[rank]);
        ck_assert(!neb_lock_try(&neb_locks[rank]));
    }
    neb_locks_give_all();
    for (unsigned rank = 0; rank < LOCK_COUNT; rank++)
        ck_assert(neb_lock_try(&neb_locks[rank]));
}
END_TEST

START_TEST(trying_all_gives_up_when_one_is_held_and_leaves_the_others_free)
{
    neb_lock_take(&neb_locks[LOCK_HUGE]);
    ck_assert(!neb_locks_try_all());
    for (unsigned rank = 0; rank < LOCK_COUNT; rank++)
        ck_assert_int_eq(neb_lock_try(&neb_locks[rank]), rank != LOCK_HUGE);
    neb_locks_reset_all();
    ck_assert(neb_locks_try_all());
    neb_locks_give_all();
    ck_assert(neb_lock_try(&neb_locks[LOCK_HUGE]));
}
END_TEST

UNIT_MAIN("lock", HOLDS(no_update_is_lost_under_contention), HOLDS(whoever_waits_keeps_errno), HOLDS(a_try_fails_while_the_lock_is_held),
          HOLDS(locks_are_free_in_the_child_of_a_threaded_process),
          HOLDS(who_holds_all_locks_can_take_and_give_any),
          HOLDS(trying_all_gives_up_when_one_is_held_and_leaves_the_others_free))
