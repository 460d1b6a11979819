/* front/hardened.h and what else harden=1 does: exact states on the short way, blocks that wait, in random order, with a byte to spare. */
#include "check/check.h"
#include "front/alloc.h"
#include "heap/large.h"
#include "heap/record.h"
#include "heap/upkeep.h"
#include "os/env.h"
#include "unit/in_reach.h"
#include "unit/unit.h"
#include <errno.h>
#include <pthread.h>

static void enable(uint32_t more_features)
{
    neb_heap_harden();
    neb_chunk_harden();
    neb_check_enable(&(struct check_options){.features = CHECK_STATE | more_features,
                                             .on_error = ON_ERROR_ABORT,
                                             .fill_alloc = FILL_NOTHING,
                                             .fill_free = 0,
                                             .quarantine_bytes = 1 << 20});
}

START_TEST(a_freed_block_serves_again_only_after_others_were_freed)
{
    enable(0);
    for (size_t size = 0; size <= BIG_MIN - 16; size = size * 2 + 16) {
        void *p = neb_malloc(size);
        neb_free(p);
        for (int i = 0; i < 100; i++)
            ck_assert_ptr_ne(neb_malloc(size), p);
    }
}
END_TEST

START_TEST(a_block_has_a_byte_to_spare)
{
    enable(0);
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        size_t size = neb_size_class[class].size;
        ck_assert_uint_gt(neb_usable_size(neb_malloc(size)), size);
        ck_assert_uint_gt(neb_usable_size(neb_calloc(1, size)), size);
        ck_assert_uint_gt(neb_usable_size(neb_memalign(64, size)), size);
        ck_assert_uint_gt(neb_usable_size(neb_realloc(neb_malloc(size - 1), size)), size);
    }
    ck_assert_uint_gt(neb_usable_size(neb_malloc(GRANULE_BYTES * 2)), GRANULE_BYTES * 2);
}
END_TEST

static size_t distance(const void *p, const void *q)
{
    return ptr_address(p) < ptr_address(q) ? ptr_offset(q, p) : ptr_offset(p, q);
}

START_TEST(the_first_blocks_of_a_class_lie_apart_in_random_order)
{
    enum { CELL = 112, SIZE = 100, COUNT = 50 }; /* a refill takes 512 */
    unsigned next_in_order = 0;
    void *p[COUNT];
    enable(0);
    for (unsigned i = 0; i < COUNT; i++)
        p[i] = neb_malloc(SIZE);
    for (unsigned i = 0; i < COUNT; i++)
        for (unsigned j = 0; j < i; j++)
            ck_assert_uint_ge(distance(p[i], p[j]), (size_t)HARDEN_APART * CELL);
    for (unsigned i = 1; i < COUNT; i++)
        next_in_order += distance(p[i], p[i - 1]) == (size_t)HARDEN_APART * CELL;
    ck_assert_uint_lt(next_in_order, COUNT / 2);
}
END_TEST

START_TEST(all_blocks_of_a_slab_serve_before_the_next_slab_does)
{
    enum { CELL = 112, SIZE = 100, COUNT = GRANULE_BYTES / CELL };
    bool seen[COUNT] = {false};
    enable(0);
    const void *p = neb_malloc(SIZE), *slab = slab_of(p)->base;
    for (unsigned i = 0; i < COUNT; i++, p = neb_malloc(SIZE)) {
        size_t at = ptr_offset(p, slab);
        ck_assert_uint_lt(at, GRANULE_BYTES);
        ck_assert_uint_eq(at % CELL, 0);
        ck_assert(!seen[at / CELL]);
        seen[at / CELL] = true;
    }
}
END_TEST

/* What is allocated together is used together, and caches fetch the next line ahead. */
START_TEST(of_a_class_with_many_blocks_most_follow_their_neighbour)
{
    enum { FIRST = 4096, COUNT = 4096, SIZE = 40, CELL = 48 };
    unsigned next_to_the_last = 0;
    enable(0);
    for (unsigned i = 0; i < FIRST; i++)
        (void)neb_malloc(SIZE);
    const void *last = neb_malloc(SIZE);
    for (unsigned i = 0; i < COUNT; i++) {
        const void *p = neb_malloc(SIZE);
        next_to_the_last += ptr_offset(p, last) == CELL;
        last = p;
    }
    ck_assert_uint_gt(next_to_the_last, COUNT * 9 / 10);
    ck_assert_uint_lt(next_to_the_last, COUNT - COUNT / 512);
}
END_TEST

START_TEST(freed_blocks_are_cleared_where_that_is_wanted)
{
    enable(CHECK_FILL);
    for (size_t size = 1; size <= SMALL_MAX; size = size * 3 + 1) {
        unsigned char *p = memset(neb_malloc(size), 0x42, size);
        neb_free(p);
        ck_assert(all_bytes_are(p, size, 0));
    }
}
END_TEST

static void *free_it(void *p)
{
    neb_free(p);
    neb_heap_end();
    return NULL;
}

START_TEST(blocks_that_another_thread_frees_are_cleared)
{
    pthread_t thread;
    enable(CHECK_FILL);
    unsigned char *p = memset(neb_malloc(100), 0x42, 100);
    ck_assert_int_eq(pthread_create(&thread, NULL, free_it, p), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert(all_bytes_are(p, 100, 0));
}
END_TEST

START_TEST(what_waits_goes_back_when_the_heap_is_trimmed)
{
    enum { COUNT = 100 };
    void *p[COUNT];
    enable(CHECK_LARGE);
    for (size_t size = 16; size <= 200000; size *= 2) {
        for (unsigned i = 0; i < COUNT; i++)
            p[i] = neb_malloc(size);
        for (unsigned i = 0; i < COUNT; i++)
            neb_free(p[i]);
    }
    (void)neb_trim();
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
}
END_TEST

/* Each of these must end the process. */
START_TEST(a_second_free_is_noticed_after_the_block_could_serve_again)
{
    enable(0);
    void *p = neb_malloc(100);
    neb_free(p);
    void *q = neb_malloc(100);
    ck_assert_ptr_ne(p, q);
    neb_free(p);
}
END_TEST

/* Makes slabs of a class and gives their granules back. */
static void granules_used_for(size_t size)
{
    enum { COUNT = 20000 };
    static void *p[COUNT];
    for (unsigned i = 0; i < COUNT; i++)
        p[i] = neb_malloc(size);
    for (unsigned i = 0; i < COUNT; i++)
        neb_free(p[i]);
    (void)neb_trim();
}

START_TEST(a_second_free_is_noticed_where_another_class_was_before)
{
    enable(0);
    for (size_t size = 16; size < 1000; size += 80)
        granules_used_for(size);
    for (size_t size = 20000; size > 20; size /= 2)
        neb_free(neb_malloc(size));
    void *p = neb_malloc(300);
    neb_free(p);
    for (int i = 0; i < 1000; i++)
        neb_free(neb_malloc(40));
    neb_free(p);
}
END_TEST

/* Whose heap has an older copy of the page map's window. */
START_TEST(blocks_of_a_part_of_the_window_that_came_later_are_served_and_freed)
{
    enum { COUNT = 4000 };
    static void *p[COUNT];
    enable(0);
    neb_free(neb_malloc(40));
    neb_tls.aside->window.count = 0;
    for (unsigned i = 0; i < COUNT; i++)
        p[i] = neb_malloc(40);
    neb_tls.aside->window.count = 0;
    for (unsigned i = 0; i < COUNT; i++)
        neb_free(p[i]);
    ck_assert_uint_ne(neb_tls.aside->window.count, 0);
    neb_free(p[COUNT / 2]);
}
END_TEST

START_TEST(a_second_free_by_another_thread_is_noticed)
{
    pthread_t thread;
    enable(0);
    void *p = neb_malloc(100);
    neb_free(p);
    ck_assert_int_eq(pthread_create(&thread, NULL, free_it, p), 0);
    (void)pthread_join(thread, NULL);
}
END_TEST

START_TEST(a_free_inside_a_block_is_noticed)
{
    enable(0);
    unsigned char *p = neb_malloc(100);
    neb_free(p + 16);
}
END_TEST

START_TEST(a_large_block_is_out_of_reach_when_it_was_freed)
{
    enable(CHECK_LARGE);
    void *q = neb_malloc(100000);
    volatile unsigned char *p = q;
    p[50000] = 1;
    neb_free(q);
    (void)p[50000];
}
END_TEST

START_TEST(a_second_free_of_a_large_block_that_waits_in_reach_is_noticed)
{
    enable(CHECK_LARGE);
    unsigned char *p = waiting_in_reach();
    ck_assert_uint_eq(p[70000], 1);
    ck_assert_ptr_ne(neb_malloc(100000), p);
    neb_free(p);
}
END_TEST

START_TEST(a_second_free_is_noticed_at_once)
{
    enable(0);
    void *p = neb_malloc(41);
    neb_free(p);
    neb_free(p);
}
END_TEST

START_TEST(without_canaries_large_blocks_grow_where_they_are)
{
    enable(0);
    neb_huge_set_keep(0);
    unsigned char *p = memset(neb_malloc(1 << 20), 0x33, 1 << 20);
    unsigned moves = 0;
    for (size_t size = (1 << 20) + 4096; size <= 1 << 25; size += 4096) {
        unsigned char *q = neb_realloc(p, size);
        moves += q != p;
        p = q;
    }
    ck_assert(all_bytes_are(p, 1 << 20, 0x33));
    ck_assert_uint_le(moves, 100);
    neb_free(p);
}
END_TEST

START_TEST(a_watched_malloc_that_comes_late_gives_back_what_is_idle_and_its_block_is_live)
{
    enable(0);
    void *blocks[64], *small = neb_malloc(100);
    for (unsigned i = 0; i < 64; i++)
        blocks[i] = neb_malloc(60000);
    for (unsigned i = 0; i < 64; i++)
        neb_free(blocks[i]);
    neb_free(small);
    neb_heap_set_decay(0);
    heap_watch();
    for (unsigned i = 0; i < 4; i++) { /* the pools that are idle, then the granules that came from them */
        heap_own()->woken_ms = neb_clock_ms() - RESTING_MS;
        errno = EDOM;
        neb_free(neb_malloc(100));
        ck_assert_int_eq(errno, EDOM);
    }
    ck_assert_uint_ge(heap_own()->watched, WATCHED_RESTING - 1); /* the last one was late, and found its pool emptied */
    ck_assert_uint_eq(neb_chunk_counts().granules_clean, neb_chunk_counts().granules_free);
}
END_TEST

UNIT_MAIN("hardened", HOLDS(a_freed_block_serves_again_only_after_others_were_freed), HOLDS(a_block_has_a_byte_to_spare),
          HOLDS(the_first_blocks_of_a_class_lie_apart_in_random_order),
          HOLDS(all_blocks_of_a_slab_serve_before_the_next_slab_does), HOLDS(of_a_class_with_many_blocks_most_follow_their_neighbour),
          HOLDS(freed_blocks_are_cleared_where_that_is_wanted),
          HOLDS(blocks_that_another_thread_frees_are_cleared),
          HOLDS(what_waits_goes_back_when_the_heap_is_trimmed),
          HOLDS(a_watched_malloc_that_comes_late_gives_back_what_is_idle_and_its_block_is_live),
          ABORTS(a_second_free_is_noticed_after_the_block_could_serve_again), ABORTS(a_second_free_by_another_thread_is_noticed),
          ABORTS(a_second_free_is_noticed_where_another_class_was_before),
          ABORTS(blocks_of_a_part_of_the_window_that_came_later_are_served_and_freed),
          ABORTS(a_second_free_is_noticed_at_once), ABORTS(a_second_free_of_a_large_block_that_waits_in_reach_is_noticed),
          HOLDS(without_canaries_large_blocks_grow_where_they_are), ABORTS(a_free_inside_a_block_is_noticed), {a_large_block_is_out_of_reach_when_it_was_freed, SIGSEGV})
