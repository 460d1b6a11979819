/* check/quarantine.h: first in, first out, by weight; nothing is lost or doubled, also among threads. */
#include "check/quarantine.h"
#include "policy/tuning.h"
#include "unit/unit.h"
#include <pthread.h>
#include <stdatomic.h>

static char blocks[200000];

static bool put(void *block, size_t weight)
{
    if (!neb_quarantine_reserve())
        return false;
    neb_quarantine_put(block, weight);
    return true;
}

static void *take(bool any)
{
    void *soon, *block = neb_quarantine_take(any, &soon);
    if (block != NULL)
        neb_quarantine_leave();
    return block;
}

START_TEST(blocks_leave_in_the_order_in_which_they_came_once_they_weigh_too_much)
{
    neb_quarantine_init(1000);
    for (int i = 0; i < 10; i++) {
        ck_assert(put(&blocks[i], 100));
        ck_assert_ptr_null(take(false));
    }
    ck_assert_uint_eq(neb_quarantine_count(), 10);
    for (int i = 10; i < 1000; i++) {
        ck_assert(put(&blocks[i], 100));
        ck_assert_ptr_eq(take(false), &blocks[i - 10]);
        ck_assert_ptr_null(take(false));
    }
    for (int i = 990; i < 1000; i++)
        ck_assert_ptr_eq(take(true), &blocks[i]);
    ck_assert_ptr_null(take(true));
    ck_assert_uint_eq(neb_quarantine_count(), 0);
}
END_TEST

START_TEST(too_many_light_blocks_leave_too_and_a_full_ring_refuses)
{
    size_t out = 0;
    neb_quarantine_init((size_t)1 << 40);
    for (size_t i = 0; i < QUARANTINE_BLOCKS_MAX; i++)
        ck_assert(put(&blocks[i], 1));
    ck_assert(!put(&blocks[QUARANTINE_BLOCKS_MAX], 1));
    while (take(false) != NULL)
        out++;
    ck_assert_uint_eq(out, QUARANTINE_BLOCKS_MAX / 16);
}
END_TEST

START_TEST(a_block_that_was_taken_keeps_its_place_until_it_leaves)
{
    neb_quarantine_init((size_t)1 << 40);
    for (size_t i = 0; i < QUARANTINE_BLOCKS_MAX; i++)
        ck_assert(put(&blocks[i], 1));
    void *soon, *block = neb_quarantine_take(true, &soon);
    ck_assert_ptr_eq(block, &blocks[0]);
    ck_assert_ptr_eq(soon, &blocks[8]);
    ck_assert(!neb_quarantine_reserve());
    neb_quarantine_put(block, 1); /* it cannot leave now */
    ck_assert_ptr_eq(neb_quarantine_take(true, &soon), &blocks[1]);
    neb_quarantine_leave();
    ck_assert(neb_quarantine_reserve());
}
END_TEST

START_TEST(without_a_budget_nothing_is_taken_in)
{
    neb_quarantine_init(0);
    ck_assert(!put(&blocks[0], 1));
    ck_assert_ptr_null(take(true));
}
END_TEST

enum { THREADS = 4, EACH = 20000 };
static _Atomic unsigned char seen[THREADS * EACH];

static void note(const char *block)
{
    if (block != NULL)
        atomic_fetch_add_explicit(&seen[block - blocks], 1, memory_order_relaxed);
}

static void *put_and_take(void *first)
{
    char *block = first;
    for (int i = 0; i < EACH; i++) {
        if (!put(block + i, 10))
            note(block + i);
        note(take(false));
    }
    return NULL;
}

START_TEST(every_block_comes_out_once_whatever_threads_do)
{
    pthread_t thread[THREADS];
    neb_quarantine_init(5000);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, put_and_take, &blocks[i * EACH]), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    for (const char *block; (block = take(true)) != NULL;)
        note(block);
    for (int i = 0; i < THREADS * EACH; i++)
        ck_assert_uint_eq(atomic_load_explicit(&seen[i], memory_order_relaxed), 1);
}
END_TEST

UNIT_MAIN("quarantine", HOLDS(blocks_leave_in_the_order_in_which_they_came_once_they_weigh_too_much),
          HOLDS(too_many_light_blocks_leave_too_and_a_full_ring_refuses), HOLDS(a_block_that_was_taken_keeps_its_place_until_it_leaves), HOLDS(without_a_budget_nothing_is_taken_in),
          HOLDS(every_block_comes_out_once_whatever_threads_do))
