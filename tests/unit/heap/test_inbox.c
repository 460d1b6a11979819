/* heap/inbox.h: many producers, one owner. */
#include "heap/inbox.h"
#include "unit/unit.h"
#include <pthread.h>
#include <sched.h>

enum { THREADS = 4, BATCHES = 5000 };

static struct inbox inbox;
static struct batch batches[THREADS][BATCHES];
static _Atomic int refused, running;

START_TEST(batches_come_newest_first_and_once)
{
    ck_assert(!neb_inbox_has_batches(&inbox));
    ck_assert_ptr_null(neb_inbox_take_all(&inbox));
    for (int i = 0; i < 3; i++)
        ck_assert(neb_inbox_push(&inbox, &batches[0][i]));
    ck_assert(neb_inbox_has_batches(&inbox));
    struct batch *batch = neb_inbox_take_all(&inbox);
    for (int i = 2; i >= 0; i--, batch = batch->next)
        ck_assert_ptr_eq(batch, &batches[0][i]);
    ck_assert_ptr_null(batch);
    ck_assert_ptr_null(neb_inbox_take_all(&inbox));
}
END_TEST

START_TEST(only_an_empty_inbox_closes_and_a_closed_one_refuses)
{
    ck_assert(neb_inbox_push(&inbox, &batches[0][0]));
    ck_assert(!neb_inbox_close(&inbox));
    ck_assert_ptr_eq(neb_inbox_take_all(&inbox), &batches[0][0]);
    ck_assert(neb_inbox_close(&inbox));
    ck_assert(!neb_inbox_push(&inbox, &batches[0][1]));
    ck_assert(!neb_inbox_close(&inbox));
    neb_inbox_open(&inbox);
    ck_assert(!neb_inbox_has_batches(&inbox));
    ck_assert(neb_inbox_push(&inbox, &batches[0][1]));
    ck_assert_ptr_eq(neb_inbox_take_all(&inbox), &batches[0][1]);
}
END_TEST

START_TEST(taking_from_a_closed_inbox_aborts)
{
    ck_assert(neb_inbox_close(&inbox));
    (void)neb_inbox_take_all(&inbox);
}
END_TEST

static void *push_one(void *argument)
{
    struct batch *mine = argument;
    mine->count = 7;
    (void)neb_inbox_push(&inbox, mine);
    return NULL;
}

/* Nothing but the inbox orders the two threads; ThreadSanitizer sees whether it does (scripts/verify races):
 * I1. */
START_TEST(a_batch_is_published_to_the_thread_that_takes_it)
{
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, push_one, &batches[0][0]), 0);
    while (!neb_inbox_has_batches(&inbox))
        sched_yield();
    const struct batch *batch = neb_inbox_take_all(&inbox);
    ck_assert_uint_eq(batch->count, 7);
    ck_assert_ptr_null(batch->next);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

static void *push_all(void *argument)
{
    struct batch *mine = argument;
    for (uint32_t i = 0; i < BATCHES; i++) {
        mine[i].count = i + 1;
        if (!neb_inbox_push(&inbox, &mine[i]))
            atomic_fetch_add(&refused, 1);
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

/* What arrived, counted in the batches themselves; a batch's contents must be what its producer wrote. */
static int collect(void)
{
    int count = 0;
    for (struct batch *batch = neb_inbox_take_all(&inbox); batch != NULL; batch = batch->next, count++) {
        ck_assert_uint_gt(batch->count, 0);
        batch->block[0] = &inbox;
        batch->count = 0;
    }
    return count;
}

START_TEST(batches_pushed_by_several_threads_all_arrive)
{
    pthread_t thread[THREADS];
    int count = 0;
    atomic_store(&running, THREADS);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, push_all, batches[i]), 0);
    while (atomic_load(&running) > 0)
        count += collect();
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    count += collect();
    ck_assert_int_eq(count, THREADS * BATCHES);
    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < BATCHES; j++)
            ck_assert_ptr_eq(batches[i][j].block[0], &inbox);
}
END_TEST

START_TEST(every_batch_arrives_or_is_refused_when_the_inbox_closes)
{
    pthread_t thread[THREADS];
    int count = 0;
    atomic_store(&running, THREADS);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, push_all, batches[i]), 0);
    while (count < 100 && atomic_load(&running) > 0)
        count += collect();
    while (!neb_inbox_close(&inbox))
        count += collect();
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    ck_assert_int_eq(count + atomic_load(&refused), THREADS * BATCHES);
}
END_TEST

UNIT_MAIN("inbox", HOLDS(batches_come_newest_first_and_once),
          HOLDS(only_an_empty_inbox_closes_and_a_closed_one_refuses),
          ABORTS(taking_from_a_closed_inbox_aborts), HOLDS(a_batch_is_published_to_the_thread_that_takes_it),
          HOLDS(batches_pushed_by_several_threads_all_arrive),
          HOLDS(every_batch_arrives_or_is_refused_when_the_inbox_closes))
