/* check/quarantine.h: first in, first out, by weight; nothing is lost or doubled, whatever threads and signal handlers do. */
#define _GNU_SOURCE
#include "check/quarantine.h"
#include "os/lock.h"
#include "policy/tuning.h"
#include "unit/stepped.h"
#include <pthread.h>
#include <stdatomic.h>

static char blocks[200000];

static enum quarantine_answer add(void *block, size_t weight)
{
    return neb_quarantine_add(NULL, block, weight);
}

static void *take(bool any)
{
    void *block = NULL;
    neb_quarantine_leave(neb_quarantine_take(&block, 1, any));
    return block;
}

START_TEST(blocks_leave_in_the_order_in_which_they_came_once_they_weigh_too_much)
{
    enum { WEIGHT = 100, HELD = 10 * QUARANTINE_STEP, STEP = 10 };
    neb_quarantine_init(HELD * WEIGHT);
    int next = 0, oldest = 0;
    for (; next < HELD; next++)
        ck_assert_int_eq(add(&blocks[next], WEIGHT), QUARANTINE_HOLDS);
    for (int round = 0; round < 50; round++) {
        while (add(&blocks[next++], WEIGHT) == QUARANTINE_HOLDS)
            ck_assert_int_lt(next, (int)sizeof blocks);
        for (char *block; (block = take(false)) != NULL; oldest++)
            ck_assert_ptr_eq(block, &blocks[oldest]);
        ck_assert_int_eq(next - oldest, HELD - STEP);
    }
    for (; oldest < next; oldest++)
        ck_assert_ptr_eq(take(true), &blocks[oldest]);
    ck_assert_ptr_null(take(true));
    ck_assert_uint_eq(neb_quarantine_gather(), 0);
}
END_TEST

START_TEST(too_many_light_blocks_leave_too_and_a_full_ring_refuses)
{
    size_t out = 0, held = 0;
    neb_quarantine_init((size_t)1 << 40);
    for (enum quarantine_answer answer; (answer = add(&blocks[held], 1)) != QUARANTINE_REFUSES; held++)
        ck_assert_int_eq(answer, held < QUARANTINE_BLOCKS_MAX / 16 * 15 ? QUARANTINE_HOLDS : QUARANTINE_IS_TOO_MUCH);
    ck_assert_uint_eq(held, QUARANTINE_BLOCKS_MAX);
    while (take(false) != NULL)
        out++;
    ck_assert_uint_eq(out, QUARANTINE_BLOCKS_MAX / 16 + QUARANTINE_BLOCKS_MAX / 16 * 15 / QUARANTINE_STEP);
}
END_TEST

START_TEST(blocks_that_were_taken_keep_their_places_until_they_leave)
{
    void *taken[3];
    neb_quarantine_init((size_t)1 << 40);
    for (size_t i = 0; i < QUARANTINE_BLOCKS_MAX; i++)
        ck_assert_int_ne(add(&blocks[i], 1), QUARANTINE_REFUSES);
    ck_assert_uint_eq(neb_quarantine_take(taken, 3, true), 3);
    for (size_t i = 0; i < 3; i++)
        ck_assert_ptr_eq(taken[i], &blocks[i]);
    ck_assert(!neb_quarantine_reserve());
    ck_assert_int_eq(neb_quarantine_put(taken[0], 1), QUARANTINE_IS_TOO_MUCH); /* it cannot leave now */
    neb_quarantine_leave(2);
    ck_assert(neb_quarantine_reserve());
    ck_assert_ptr_eq(take(true), &blocks[3]);
    ck_assert_uint_eq(neb_quarantine_gather(), QUARANTINE_BLOCKS_MAX - 3);
}
END_TEST

START_TEST(sheets_go_round_however_many_blocks_come_and_go)
{
    size_t next = 0, oldest = 0;
    neb_quarantine_init((size_t)1 << 40);
    for (size_t round = 0; next < sizeof blocks - 4000; round++) {
        for (size_t i = 0; i < round * 37 % 4000; i++)
            ck_assert_int_eq(add(&blocks[next++], 1), QUARANTINE_HOLDS);
        size_t leaves = round % 5 == 0 ? next - oldest : (next - oldest) * (round % 7) / 7;
        for (size_t i = 0; i < leaves; i++)
            ck_assert_ptr_eq(take(true), &blocks[oldest++]);
        ck_assert_uint_eq(neb_quarantine_gather(), next - oldest);
    }
}
END_TEST

START_TEST(without_a_budget_nothing_is_taken_in)
{
    neb_quarantine_init(0);
    ck_assert_int_eq(add(&blocks[0], 1), QUARANTINE_REFUSES);
    ck_assert_int_eq(neb_quarantine_add(neb_quarantine_tray(), &blocks[0], 1), QUARANTINE_REFUSES);
    ck_assert(!neb_quarantine_reserve());
    ck_assert_ptr_null(take(true));
}
END_TEST

START_TEST(a_tray_is_passed_on_when_it_is_full_or_heavy_or_wanted)
{
    neb_quarantine_init(QUARANTINE_STEP * 1000);
    struct tray *tray = neb_quarantine_tray();
    for (int i = 0; i < QUARANTINE_TRAY - 1; i++)
        ck_assert_int_eq(neb_quarantine_add(tray, &blocks[i], 1), QUARANTINE_HOLDS);
    ck_assert_ptr_null(take(true));
    ck_assert_int_eq(neb_quarantine_add(tray, &blocks[QUARANTINE_TRAY - 1], 1), QUARANTINE_HOLDS);
    for (int i = 0; i < QUARANTINE_TRAY; i++)
        ck_assert_ptr_eq(take(true), &blocks[i]);
    (void)neb_quarantine_add(tray, &blocks[0], 1000);
    ck_assert_ptr_null(take(true));
    (void)neb_quarantine_add(tray, &blocks[1], 1);
    ck_assert_ptr_eq(take(true), &blocks[0]);
    ck_assert_ptr_eq(take(true), &blocks[1]);
    (void)neb_quarantine_add(tray, &blocks[2], 1);
    ck_assert_uint_eq(neb_quarantine_gather(), 1);
    (void)neb_quarantine_add(tray, &blocks[3], 1);
    ck_assert_uint_eq(neb_quarantine_gather(), 2);
    ck_assert_ptr_eq(take(true), &blocks[2]);
    ck_assert_ptr_eq(take(true), &blocks[3]);
}
END_TEST

START_TEST(a_tray_that_finds_the_ring_full_keeps_what_it_has_and_empties_later)
{
    neb_quarantine_init((size_t)1 << 40);
    struct tray *tray = neb_quarantine_tray();
    size_t number = 0;
    for (; number < QUARANTINE_BLOCKS_MAX; number++)
        ck_assert_int_ne(add(&blocks[number], 1), QUARANTINE_REFUSES);
    for (size_t i = 0; i < QUARANTINE_TRAY; i++)
        ck_assert_int_ne(neb_quarantine_add(tray, &blocks[number++], 1), QUARANTINE_REFUSES);
    ck_assert_int_eq(neb_quarantine_add(tray, &blocks[number], 1), QUARANTINE_REFUSES);
    size_t oldest = 0;
    for (; oldest < QUARANTINE_TRAY; oldest++)
        ck_assert_ptr_eq(take(true), &blocks[oldest]);
    ck_assert_int_ne(neb_quarantine_add(tray, &blocks[number++], 1), QUARANTINE_REFUSES);
    (void)neb_quarantine_gather(); /* there is a place for all but the last one, which had to wait on the tray */
    for (; oldest < number - 1; oldest++)
        ck_assert_ptr_eq(take(true), &blocks[oldest]);
    ck_assert_ptr_null(take(true));
    ck_assert_uint_eq(neb_quarantine_gather(), 1);
}
END_TEST

enum { THREADS = 4, EACH = 20000 };
static _Atomic unsigned char seen[THREADS * EACH];

static void note(const char *block)
{
    if (block != NULL)
        atomic_fetch_add_explicit(&seen[block - blocks], 1, memory_order_relaxed);
}

static void *add_and_take(void *first)
{
    struct tray *tray = neb_quarantine_tray();
    char *block = first;
    for (int i = 0; i < EACH; i++) {
        if (neb_quarantine_add(tray, block + i, 10) == QUARANTINE_REFUSES)
            note(block + i);
        note(take(false));
        if (i % 1000 == 0)
            (void)neb_quarantine_gather();
    }
    return NULL;
}

START_TEST(every_block_comes_out_once_whatever_threads_do)
{
    pthread_t thread[THREADS];
    neb_quarantine_init(50000);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, add_and_take, &blocks[i * EACH]), 0);
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    (void)neb_quarantine_gather();
    for (const char *block; (block = take(true)) != NULL;)
        note(block);
    for (int i = 0; i < THREADS * EACH; i++)
        ck_assert_uint_eq(atomic_load_explicit(&seen[i], memory_order_relaxed), 1);
}
END_TEST

/* ---- a handler that comes anywhere --------------------------------------------------------------------------------------------- */

static struct tray *interrupted;
static _Atomic int handled;

/* While a lock is held the library puts handlers off. */
static void handle(int number)
{
    (void)number;
    if (neb_hold.locks == 0 && neb_quarantine_add(interrupted, &blocks[1000 + handled], 1) != QUARANTINE_REFUSES)
        handled++;
}

/* The last one fills the tray, which is passed on. 0: all that it and the handler added is there. */
static int add_last_two(void *unused)
{
    (void)unused;
    (void)neb_quarantine_add(interrupted, &blocks[QUARANTINE_TRAY - 2], 1);
    (void)neb_quarantine_add(interrupted, &blocks[QUARANTINE_TRAY - 1], 1);
    size_t before = QUARANTINE_TRAY + (size_t)handled, number = neb_quarantine_gather(); /* the handler may come as late as this, too */
    return number < before || number > QUARANTINE_TRAY + (size_t)handled;
}

START_TEST(a_handler_that_interrupts_an_add_loses_nothing)
{
    neb_quarantine_init((size_t)1 << 20);
    interrupted = neb_quarantine_tray();
    for (int i = 0; i < QUARANTINE_TRAY - 2; i++)
        (void)neb_quarantine_add(interrupted, &blocks[i], 1);
    (void)neb_quarantine_gather(); /* so that little is to be passed on: each instruction of it is a child of its own */
    ck_assert_int_eq(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handle}, NULL), 0);
    for (unsigned long i = 0; child_is_interrupted(add_last_two, i, SIGUSR1, NULL); i++)
        continue;
}
END_TEST

UNIT_MAIN("quarantine", HOLDS(blocks_leave_in_the_order_in_which_they_came_once_they_weigh_too_much),
          HOLDS(too_many_light_blocks_leave_too_and_a_full_ring_refuses), HOLDS(blocks_that_were_taken_keep_their_places_until_they_leave),
          HOLDS(sheets_go_round_however_many_blocks_come_and_go),
          HOLDS(without_a_budget_nothing_is_taken_in), HOLDS(a_tray_is_passed_on_when_it_is_full_or_heavy_or_wanted),
          HOLDS(a_tray_that_finds_the_ring_full_keeps_what_it_has_and_empties_later), HOLDS(every_block_comes_out_once_whatever_threads_do),
          HOLDS(a_handler_that_interrupts_an_add_loses_nothing))
