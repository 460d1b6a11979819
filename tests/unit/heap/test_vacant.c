/* heap/vacant.h: what becomes of a heap whose thread ended, and who gets it. */
#include "heap/magazine.h"
#include "unit/heap/heaps.h"
#include <pthread.h>
#include <sched.h>

enum { FOREVER_MS = 3600000 };

static bool is_closed(const struct heap *heap)
{
    return atomic_load_explicit(&heap->inbox.head, memory_order_relaxed) == &neb_inbox_closed;
}

/* A young thread's first malloc. */
static struct heap *heap_of_malloc(void)
{
    thread_begin(0);
    struct heap *heap = neb_heap_enter_to_take();
    neb_heap_leave(heap);
    return heap;
}

START_TEST(a_small_heap_serves_the_next_thread_that_allocates_with_all_that_it_has)
{
    struct heap *first = heap_make();
    void *block = heap_take(first, CLASS_96), *other = heap_take(first, CLASS_96);
    size_t left = bin_count(first, CLASS_96);
    heap_vacate(first);
    ck_assert(!is_closed(first));
    ck_assert_uint_eq(owner_of(block), first->id);
    ck_assert_ptr_eq(heap_of_malloc(), first);
    ck_assert_ptr_eq(heap_current(), first);
    ck_assert_uint_eq(bin_count(first, CLASS_96), left);
    heap_give(first, block);
    heap_give(first, other);
    ck_assert_ptr_eq(heap_of_malloc(), &neb_heap_shared); /* there was one */
    neb_heap_leave(&neb_heap_shared);
    heap_end(first);
    ck_assert(is_closed(first));
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
}
END_TEST

START_TEST(a_thread_that_only_frees_does_not_get_it)
{
    (void)heap_make(); /* a process's first heap would go to whoever comes */
    struct heap *first = heap_make();
    heap_vacate(first);
    thread_begin(0);
    struct heap *heap = neb_heap_enter();
    ck_assert_ptr_eq(heap, &neb_heap_shared);
    neb_heap_leave(heap);
    ck_assert_ptr_ne(heap_make(), first);
    ck_assert_ptr_eq(heap_of_malloc(), first);
}
END_TEST

START_TEST(the_newest_is_taken_first_and_only_so_many_wait)
{
    struct heap *heap[PARKED_HEAPS + 1];
    for (unsigned i = 0; i <= PARKED_HEAPS; i++)
        heap[i] = heap_make();
    for (unsigned i = 0; i <= PARKED_HEAPS; i++)
        heap_vacate(heap[i]);
    ck_assert(is_closed(heap[PARKED_HEAPS]));
    for (unsigned i = PARKED_HEAPS; i > 0; i--) {
        ck_assert(!is_closed(heap[i - 1]));
        ck_assert_ptr_eq(heap_of_malloc(), heap[i - 1]);
    }
    ck_assert_ptr_eq(heap_make(), heap[PARKED_HEAPS]); /* whatever was given up serves who deserves one */
}
END_TEST

START_TEST(a_heap_of_many_slabs_is_given_up)
{
    static void *blocks[PARKED_SLABS + 1][BLOCKS_4096];
    struct heap *heap = heap_make();
    for (unsigned slab = 0; slab <= PARKED_SLABS; slab++)
        slab_drain(heap, CLASS_4096, blocks[slab]);
    for (unsigned slab = 0; slab <= PARKED_SLABS; slab++)
        heap_give(heap, blocks[slab][0]);
    neb_heap_flush(heap);
    heap_vacate(heap);
    ck_assert(is_closed(heap));
    ck_assert_uint_eq(owner_of(blocks[0][1]), 0);
}
END_TEST

START_TEST(magazines_with_many_bytes_are_emptied_and_the_others_counted)
{
    void *big[4], *little = NULL;
    struct heap *heap = heap_make();
    for (unsigned i = 0; i < 4; i++)
        big[i] = heap_take(heap, CLASS_32768);
    for (unsigned i = 0; i < 4; i++)
        heap_give(heap, big[i]);
    little = heap_take(heap, CLASS_96);
    heap_give(heap, little);
    heap_vacate(heap);
    ck_assert_uint_eq(bin_count(heap, CLASS_32768), 0);
    ck_assert_uint_eq(count_of(&heap->pool[CLASS_96].counts.held), bin_count(heap, CLASS_96));
    neb_vacant_retire(0, 0);
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
}
END_TEST

START_TEST(magazines_that_grew_are_dropped)
{
    struct heap *heap = heap_make();
    void *p = heap_take(heap, CLASS_96), *q = heap_take(heap, 0);
    heap_give(heap, p);
    heap_give(heap, q);
    while (neb_magazine_grow(heap, 0) && heap->pool[0].order <= PARKED_ORDER)
        ;
    ck_assert_uint_gt(heap->pool[0].order, PARKED_ORDER);
    heap_vacate(heap);
    ck_assert_ptr_null(heap->pool[0].magazine);
    ck_assert(POLICY_FREE_EXACT || heap->pool[CLASS_96].magazine != NULL);
    neb_vacant_retire(0, 0);
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
}
END_TEST

START_TEST(others_send_it_blocks_which_the_next_thread_gets)
{
    void *blocks[BLOCKS_4096];
    struct heap *first = heap_make(), *other = heap_make();
    void *more = heap_take(first, CLASS_4096); /* so that its slab has free blocks */
    for (unsigned i = 0; i < 2; i++)
        blocks[i] = heap_take(first, CLASS_4096);
    heap_vacate(first);
    for (unsigned i = 0; i < 2; i++)
        heap_free(other, blocks[i]);
    neb_heap_empty_outbox(other);
    ck_assert(neb_inbox_has_batches(&first->inbox));
    ck_assert_ptr_eq(heap_of_malloc(), first);
    neb_heap_apply_inbox(first);
    ck_assert_uint_eq(slab_of(more)->free_count, 2);
    heap_give(first, more);
    heap_end(first);
    heap_end(other);
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
}
END_TEST

START_TEST(what_it_freed_of_others_is_sent_when_its_thread_ends)
{
    struct heap *first = heap_make(), *other = heap_make();
    void *block = heap_take(other, CLASS_96), *more = heap_take(other, CLASS_96);
    heap_free(first, block);
    ck_assert(!neb_inbox_has_batches(&other->inbox));
    heap_vacate(first);
    ck_assert(neb_inbox_has_batches(&other->inbox));
    heap_give(other, more);
    heap_end(other);
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
}
END_TEST

START_TEST(one_for_which_nobody_comes_is_given_up_by_a_tick_of_any_heap)
{
    struct heap *first = heap_make(), *other = heap_make();
    void *block = heap_take(first, CLASS_96);
    heap_vacate(first);
    heap_use(other);
    neb_heap_set_decay(FOREVER_MS);
    neb_heap_tick_slow(other);
    ck_assert_uint_eq(owner_of(block), first->id);
    neb_heap_set_decay(0);
    neb_heap_tick_slow(other);
    neb_heap_set_decay(DECAY_MS_DEFAULT);
    ck_assert_uint_eq(owner_of(block), 0);
    ck_assert(is_closed(first));
    heap_give(other, block);
    heap_end(other);
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
}
END_TEST

START_TEST(only_those_that_are_old_enough_are_given_up)
{
    struct heap *old = heap_make(), *young = heap_make();
    heap_vacate(old);
    heap_vacate(young);
    old->parked_ms = 1000;
    young->parked_ms = 1040;
    neb_vacant_retire(1060, 50);
    ck_assert(is_closed(old));
    ck_assert(!is_closed(young));
    ck_assert_ptr_eq(heap_of_malloc(), young);
}
END_TEST

START_TEST(a_trim_gives_up_all)
{
    struct heap *first = heap_make(), *other = heap_make();
    heap_give(first, heap_take(first, CLASS_96));
    heap_vacate(first);
    ck_assert_uint_ne(neb_chunk_counts().granules_used, 0);
    heap_flush(other);
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
}
END_TEST

/* ---- all at once --------------------------------------------------------------------------------------------------------- */

enum { LANES = 4, GUESTS = 150, GUEST_BLOCKS = 60, SHELF = 64 };
static _Atomic(void *) shelf[SHELF];
static _Atomic bool are_done;

/* A short life: blocks are left to whoever comes by, and some of others freed. */
static void *guest(void *seed)
{
    uint64_t state = *(uint64_t *)seed;
    thread_begin(0);
    for (unsigned i = 0; i < GUEST_BLOCKS; i++) {
        unsigned class_index = (unsigned)(unit_random(&state) % 3) * 20 + 4;
        struct heap *heap = neb_heap_enter_to_take();
        if (heap == &neb_heap_shared) { /* too young, and none is parked */
            neb_heap_leave(heap);
            continue;
        }
        void *block = heap_take(heap, class_index);
        block_stamp(block, class_index, unit_random(&state));
        block = atomic_exchange_explicit(&shelf[unit_random(&state) % SHELF], block, memory_order_acq_rel);
        if (block != NULL) {
            block_check(block);
            heap_free(heap, block);
        }
        neb_heap_leave(heap);
    }
    neb_heap_end();
    return NULL;
}

static void *lane(void *seed)
{
    uint64_t state = *(uint64_t *)seed;
    for (unsigned i = 0; i < GUESTS; i++) {
        pthread_t thread;
        uint64_t guests = unit_random(&state);
        ck_assert_int_eq(pthread_create(&thread, NULL, guest, &guests), 0);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
    }
    return NULL;
}

static void *retire_all(void *unused)
{
    (void)unused;
    while (!atomic_load_explicit(&are_done, memory_order_relaxed)) {
        neb_vacant_retire(0, 0);
        sched_yield();
    }
    return NULL;
}

START_TEST(threads_that_come_and_go_while_others_give_their_heaps_up_lose_nothing)
{
    static uint64_t seeds[LANES] = {21, 22, 23, 24};
    pthread_t lanes[LANES], retirer;
    for (int i = 0; i < LANES; i++)
        ck_assert_int_eq(pthread_create(&lanes[i], NULL, lane, &seeds[i]), 0);
    ck_assert_int_eq(pthread_create(&retirer, NULL, retire_all, NULL), 0);
    for (int i = 0; i < LANES; i++)
        ck_assert_int_eq(pthread_join(lanes[i], NULL), 0);
    atomic_store_explicit(&are_done, true, memory_order_relaxed);
    ck_assert_int_eq(pthread_join(retirer, NULL), 0);
    struct heap *heap = heap_make();
    for (unsigned i = 0; i < SHELF; i++)
        if (shelf[i] != NULL)
            heap_give(heap, shelf[i]);
    heap_end(heap);
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
}
END_TEST

UNIT_MAIN("vacant", HOLDS(a_small_heap_serves_the_next_thread_that_allocates_with_all_that_it_has),
          HOLDS(a_thread_that_only_frees_does_not_get_it), HOLDS(the_newest_is_taken_first_and_only_so_many_wait),
          HOLDS(a_heap_of_many_slabs_is_given_up), HOLDS(magazines_with_many_bytes_are_emptied_and_the_others_counted),
          HOLDS(magazines_that_grew_are_dropped), HOLDS(others_send_it_blocks_which_the_next_thread_gets),
          HOLDS(what_it_freed_of_others_is_sent_when_its_thread_ends),
          HOLDS(one_for_which_nobody_comes_is_given_up_by_a_tick_of_any_heap),
          HOLDS(only_those_that_are_old_enough_are_given_up), HOLDS(a_trim_gives_up_all),
          HOLDS(threads_that_come_and_go_while_others_give_their_heaps_up_lose_nothing))
