/* heap/heap.h: which thread gets which heap, and what is left of it afterwards. */
#include "unit/heap/heaps.h"
#include <pthread.h>
#include <sched.h>

static void *thread_run(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    void *answer;
    ck_assert_int_eq(pthread_create(&thread, NULL, function, argument), 0);
    ck_assert_int_eq(pthread_join(thread, &answer), 0);
    return answer;
}

START_TEST(a_thread_begins_with_a_heap_whose_bins_are_empty_and_full_at_once)
{
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        const struct bin *bin = &heap_current()->bin[class_index];
        ck_assert_ptr_null(*bin->top);
        ck_assert_ptr_eq(bin->top, bin->limit);
    }
    ck_assert_ptr_eq(heap_current(), &neb_heap_none);
}
END_TEST

START_TEST(the_first_thread_gets_a_heap_at_once)
{
    struct heap *heap = neb_heap_enter();
    ck_assert_ptr_ne(heap, &neb_heap_shared);
    ck_assert_ptr_eq(heap, heap_current());
    ck_assert_ptr_eq(neb_heap_enter(), heap);
    neb_heap_leave(heap);
}
END_TEST

static void *enter_young(void *unused)
{
    (void)unused;
    for (unsigned i = 0; i < YOUNG_CALLS; i++) {
        struct heap *heap = neb_heap_enter();
        ck_assert_ptr_eq(heap, &neb_heap_shared);
        neb_heap_leave(heap);
    }
    struct heap *heap = neb_heap_enter();
    ck_assert_ptr_ne(heap, &neb_heap_shared);
    neb_heap_leave(heap);
    return heap;
}

START_TEST(other_threads_share_one_until_they_called_often_enough)
{
    struct heap *first = neb_heap_enter();
    struct heap *second = thread_run(enter_young, NULL);
    ck_assert_ptr_ne(first, second);
    ck_assert_uint_ne(first->id, second->id);
    ck_assert(neb_heap_others_exist());
}
END_TEST

START_TEST(a_size_leads_to_the_bin_of_its_class)
{
    struct heap *heap = heap_make();
    for (size_t size = 0; size <= SMALL_MAX; size++) {
        ck_assert_uint_eq(size_bin_offset(size), class_entry(size_class_of(size)));
        ck_assert_ptr_eq(heap_bin_at(heap, size_bin_offset(size)), &heap->bin[size_class_of(size)]);
    }
}
END_TEST

START_TEST(ids_lead_to_heaps)
{
    for (unsigned i = 0; i < HEAP_SEGMENT + 10; i++) { /* into the next segment */
        struct heap *heap = heap_make();
        ck_assert_ptr_eq(neb_heap_by_id(heap->id), heap);
        ck_assert_uint_lt(heap->id, neb_heap_id_bound());
        ck_assert_ptr_null(neb_heap_by_id(neb_heap_id_bound()));
    }
    ck_assert_ptr_null(neb_heap_by_id(neb_heap_none.id));
    ck_assert_ptr_null(neb_heap_by_id(UINT32_MAX));
}
END_TEST

static _Atomic bool is_looked_for; /* orders nothing, since that would hide what is to be seen */

static void *enter_shared(void *unused)
{
    (void)unused;
    while (!atomic_load_explicit(&is_looked_for, memory_order_relaxed))
        (void)sched_yield();
    struct heap *heap = neb_heap_enter();
    neb_heap_leave(heap);
    return heap;
}

/* Statistics look at every heap without a lock, while a young thread is the first that needs the shared one. Assertions order, by a lock of
 * their own: none until all was looked at. */
START_TEST(who_finds_the_shared_heap_by_its_id_finds_it_whole)
{
    (void)heap_make();
    ck_assert_ptr_null(neb_heap_by_id(1));
    pthread_t young;
    ck_assert_int_eq(pthread_create(&young, NULL, enter_shared, NULL), 0);
    const struct heap *shared;
    while ((shared = neb_heap_by_id(1)) == NULL)
        atomic_store_explicit(&is_looked_for, true, memory_order_relaxed);
    uint32_t id = shared->id;
    void *const *top = shared->bin[CLASS_COUNT - 1].top;
    void *entered;
    ck_assert_int_eq(pthread_join(young, &entered), 0);
    ck_assert_ptr_eq(shared, &neb_heap_shared);
    ck_assert_ptr_eq(entered, &neb_heap_shared);
    ck_assert_uint_eq(id, 1);
    ck_assert_ptr_nonnull(top);
}
END_TEST

START_TEST(a_heap_that_was_given_up_serves_the_next_thread)
{
    struct heap *first = heap_make();
    (void)heap_take(first, 0);
    heap_end(first);
    ck_assert_ptr_eq(heap_current(), &neb_heap_none);
    struct heap *late = neb_heap_enter(); /* what comes after the end */
    ck_assert_ptr_eq(late, &neb_heap_shared);
    neb_heap_leave(late);
    neb_heap_end(); /* a second end does nothing */
    ck_assert_ptr_eq(heap_make(), first);
    ck_assert_ptr_null(first->pool[0].magazine);
}
END_TEST

static void *allocate_and_end(void *blocks)
{
    for (unsigned i = 0; i < 1000; i++) {
        struct heap *heap = neb_heap_enter();
        void *p = heap == &neb_heap_shared ? NULL : heap_take(heap, i % CLASS_COUNT);
        if (p != NULL && i % 2 == 0)
            heap_give(heap, p);
        else if (p != NULL)
            ((void **)blocks)[i] = p;
        neb_heap_leave(heap);
    }
    return NULL;
}

START_TEST(a_watched_threads_end_leaves_nothing_stuck)
{
    static void *blocks[1000];
    struct heap *mine = heap_make();
    neb_heap_watch_threads(true);
    uint32_t bound = 0;
    for (int round = 0; round < 50; round++) {
        (void)thread_run(allocate_and_end, blocks);
        for (unsigned i = 0; i < 1000; i++)
            if (blocks[i] != NULL)
                heap_give(mine, blocks[i]);
        memset(blocks, 0, sizeof blocks);
        if (round == 0)
            bound = neb_heap_id_bound();
    }
    ck_assert_uint_eq(neb_heap_id_bound(), bound); /* one structure served all of them */
    heap_flush(mine);
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
}
END_TEST

UNIT_MAIN("heap", HOLDS(a_thread_begins_with_a_heap_whose_bins_are_empty_and_full_at_once),
          HOLDS(the_first_thread_gets_a_heap_at_once),
          HOLDS(other_threads_share_one_until_they_called_often_enough),
          HOLDS(a_size_leads_to_the_bin_of_its_class), HOLDS(ids_lead_to_heaps),
          HOLDS(who_finds_the_shared_heap_by_its_id_finds_it_whole),
          HOLDS(a_heap_that_was_given_up_serves_the_next_thread),
          HOLDS(a_watched_threads_end_leaves_nothing_stuck))
