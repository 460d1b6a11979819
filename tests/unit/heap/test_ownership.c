/* The ownership protocol of heap/pool.h, step by step: detach, claim, adopt, abandon, give up; src/README.md
 * has the rules.
 *
 * One thread drives several heaps, so that each hazard is a sequence that always happens. */
#define _GNU_SOURCE
#include "heap/owner.h"
#include "os/vm.h"
#include "unit/heap/heaps.h"
#include "unit/stepped.h"
#include <pthread.h>
#include <sched.h>

static void *blocks[4096];

/* Every block is free again and nothing is left in any heap: its granules went back. */
static void check_all_gone(struct heap *const *heaps, unsigned count)
{
    for (unsigned round = 0; round < 3; round++) /* what one sends the next has to apply */
        for (unsigned i = 0; i < count; i++)
            heap_flush(heaps[i]);
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
}

START_TEST(a_slab_is_detached_with_its_last_free_block_and_claimed_by_the_next_free)
{
    struct heap *heap = heap_make(), *other = heap_make();
    size_t count = slab_drain(heap, CLASS_4096, blocks);
    ck_assert_uint_eq(owner_of(blocks[0]), 0);
    heap_give(other, blocks[3]);
    ck_assert_uint_eq(owner_of(blocks[0]), other->id);
    ck_assert_uint_eq(count_of(&other->pool[CLASS_4096].counts.claims), 1);
    heap_give(heap, blocks[4]);
    ck_assert_uint_eq(owner_of(blocks[0]), other->id);
    ck_assert_uint_eq(heap_sent(heap), 1);
    for (size_t i = 0; i < count; i++)
        if (i != 3 && i != 4)
            heap_give(other, blocks[i]);
    check_all_gone((struct heap *[]){heap, other}, 2);
}
END_TEST

static _Atomic(void *) handed;

/* Nothing but the slab's entry orders this thread after the one that gave the slab up. */
static void *give_what_is_handed(void *heap)
{
    void *p;
    while ((p = atomic_load_explicit(&handed, memory_order_relaxed)) == NULL)
        sched_yield();
    heap_give(heap, p);
    return NULL;
}

/* ThreadSanitizer sees whether it is (scripts/verify races): O1. */
START_TEST(a_slab_that_is_given_up_is_published_to_the_thread_that_claims_it)
{
    struct heap *heap = heap_make(), *other = heap_make();
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, give_what_is_handed, other), 0);
    size_t count = slab_drain(heap, CLASS_4096, blocks);
    atomic_store_explicit(&handed, blocks[3], memory_order_relaxed);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(owner_of(blocks[0]), other->id);
    for (size_t i = 0; i < count; i++)
        if (i != 3)
            heap_give(other, blocks[i]);
    check_all_gone((struct heap *[]){heap, other}, 2);
}
END_TEST

START_TEST(every_granule_of_a_large_slab_follows_its_owner)
{
    struct heap *heap = heap_make(), *other = heap_make();
    size_t count = slab_drain(heap, CLASS_49152, blocks);
    void *own = heap_take(other, CLASS_49152); /* who allocates keeps what it claims */
    for (unsigned granule = 0; granule < SLAB_GRANULES_MAX; granule++)
        ck_assert_uint_eq(entry_owner(page_map_load(ptr_add(blocks[0], granule << GRANULE_SHIFT))), 0);
    heap_give(other, blocks[3]);
    for (unsigned granule = 0; granule < SLAB_GRANULES_MAX; granule++)
        ck_assert_uint_eq(entry_owner(page_map_load(ptr_add(blocks[0], granule << GRANULE_SHIFT))),
                          other->id);
    for (size_t i = 0; i < count - 1; i++)
        heap_give(other, blocks[i]);
    heap_give(other, own);
    heap_end(other);
    heap_flush(heap);
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
}
END_TEST

START_TEST(a_big_block_freed_where_none_are_allocated_is_there_for_all_at_once)
{
    struct heap *heap = heap_make(), *other = heap_make();
    size_t count = slab_drain(heap, CLASS_49152, blocks);
    heap_give(other, blocks[2]);
    ck_assert_uint_eq(owner_of(blocks[2]), 0);
    ck_assert_uint_eq(bin_count(other, CLASS_49152), 0);
    ck_assert_uint_eq(neb_ownerless_count(CLASS_49152), 1);
    ck_assert_ptr_eq(heap_take(heap, CLASS_49152), blocks[2]);
    for (size_t i = 0; i < count; i++)
        heap_give(other, blocks[i]);
    check_all_gone((struct heap *[]){heap, other}, 2);
    ck_assert_uint_eq(neb_ownerless_count(CLASS_49152), 0);
}
END_TEST

START_TEST(a_batch_for_a_slab_that_a_third_heap_claimed_reaches_it)
{
    struct heap *a = heap_make(), *b = heap_make(), *c = heap_make();
    for (unsigned i = 0; i < BLOCKS_4096 - 4; i++)
        blocks[i] = heap_take(a, CLASS_4096);
    ck_assert_uint_eq(owner_of(blocks[0]), a->id);
    heap_give(b, blocks[0]); /* for a, waits in b's outbox */
    for (unsigned i = BLOCKS_4096 - 4; i < BLOCKS_4096; i++)
        blocks[i] = heap_take(a, CLASS_4096);
    ck_assert_uint_eq(owner_of(blocks[0]), 0);
    heap_give(c, blocks[1]);
    ck_assert_uint_eq(owner_of(blocks[0]), c->id);
    heap_flush(b);
    ck_assert(neb_inbox_has_batches(&a->inbox));
    heap_flush(a); /* not a's any more: sent on */
    ck_assert(neb_inbox_has_batches(&c->inbox));
    heap_flush(c);
    ck_assert_uint_eq(slab_of(blocks[0])->free_count, 2);
    for (unsigned i = 2; i < BLOCKS_4096; i++)
        heap_give(c, blocks[i]);
    check_all_gone((struct heap *[]){a, b, c}, 3);
}
END_TEST

START_TEST(a_claimed_slab_whose_blocks_went_out_again_is_given_up_once_others_send_blocks)
{
    struct heap *a = heap_make(), *b = heap_make();
    size_t count = slab_drain(a, CLASS_4096, blocks);
    (void)slab_drain(a, CLASS_4096, blocks + count);
    heap_give(a, blocks[0]);
    heap_give(a, blocks[count]);
    if (!POLICY_FREE_EXACT) { /* there no block goes out again by the magazine */
        ck_assert_ptr_eq(heap_take(a, CLASS_4096), blocks[0]); /* a new magazine's order */
        ck_assert_ptr_eq(heap_take(a, CLASS_4096), blocks[count]);
        ck_assert_uint_eq(owner_of(blocks[0]), a->id);
        ck_assert_uint_eq(owner_of(blocks[count]), a->id);
        heap_give(b, blocks[0]);
        heap_flush(b);
        ck_assert_ptr_eq(heap_take(a, CLASS_4096), blocks[0]); /* applies the inbox */
        ck_assert_uint_eq(owner_of(blocks[count]), a->id);
        blocks[2 * count] = heap_take(a, CLASS_4096);
        ck_assert_uint_eq(owner_of(blocks[count]), 0);
        heap_give(b, blocks[count]);
        ck_assert_uint_eq(owner_of(blocks[count]), b->id);
        heap_give(a, blocks[0]);
        heap_give(a, blocks[2 * count]);
    }
    for (size_t i = 1; i < 2 * count; i++)
        if (i != count)
            heap_give(a, blocks[i]);
    check_all_gone((struct heap *[]){a, b}, 2);
}
END_TEST

START_TEST(a_heap_that_ends_applies_its_inbox_first)
{
    struct heap *a = heap_make(), *b = heap_make();
    for (unsigned i = 0; i < 4; i++)
        blocks[i] = heap_take(a, CLASS_4096);
    for (unsigned i = 0; i < 4; i++)
        heap_give(b, blocks[i]);
    heap_flush(b);
    ck_assert(neb_inbox_has_batches(&a->inbox));
    heap_end(a);
    ck_assert_uint_eq(count_of(&a->counts.batches_applied), 1);
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
}
END_TEST

START_TEST(a_batch_for_a_heap_that_ended_is_given_again)
{
    struct heap *a = heap_make(), *b = heap_make();
    for (unsigned i = 0; i < 4; i++)
        blocks[i] = heap_take(a, CLASS_4096);
    heap_give(b, blocks[0]);
    heap_end(a);
    ck_assert_uint_eq(owner_of(blocks[0]), 0);
    heap_flush(b); /* refused, so b claims the slab itself, and passes it on, since it does not allocate */
    ck_assert_uint_eq(count_of(&b->pool[CLASS_4096].counts.claims), 1);
    ck_assert_uint_eq(owner_of(blocks[0]), 0);
    ck_assert_uint_eq(neb_ownerless_count(CLASS_4096), 1);
    ck_assert_uint_eq(slab_of(blocks[0])->free_count, 1);
    for (unsigned i = 1; i < 4; i++)
        heap_give(b, blocks[i]);
    check_all_gone((struct heap *[]){b}, 1);
}
END_TEST

START_TEST(a_batch_for_an_id_that_serves_again_is_applied_by_the_new_thread)
{
    struct heap *a = heap_make(), *b = heap_make();
    for (unsigned i = 0; i < 4; i++)
        blocks[i] = heap_take(a, CLASS_4096);
    heap_give(b, blocks[0]);
    heap_end(a);
    struct heap *again = heap_make();
    ck_assert_ptr_eq(again, a);
    heap_flush(b);
    ck_assert(neb_inbox_has_batches(&again->inbox));
    heap_flush(again);
    ck_assert_uint_eq(owner_of(blocks[0]), again->id);
    for (unsigned i = 1; i < 4; i++)
        heap_give(again, blocks[i]);
    check_all_gone((struct heap *[]){again, b}, 2);
}
END_TEST

START_TEST(partial_slabs_of_a_heap_that_ended_are_found_through_the_list_and_full_ones_through_their_blocks)
{
    struct heap *a = heap_make(), *b = heap_make();
    size_t count = slab_drain(a, CLASS_4096, blocks);
    heap_give(a, blocks[0]); /* claims it again: full but for one block in the magazine */
    void *partial = heap_take(a, CLASS_4096), *fresh = heap_take(a, CLASS_4096);
    ck_assert(partial == blocks[0] || fresh == blocks[0]);
    void *in_partial = partial == blocks[0] ? fresh : partial;
    heap_end(a);
    ck_assert_uint_eq(owner_of(blocks[0]), 0);
    ck_assert_uint_eq(owner_of(in_partial), 0);
    ck_assert_ptr_eq(slab_of(heap_take(b, CLASS_4096)), slab_of(in_partial));
    for (size_t i = 0; i < count; i++)
        heap_give(b, blocks[i]);
    heap_flush(b);
    ck_assert_uint_eq(page_map_load(blocks[0]), ENTRY_NONE);
}
END_TEST

START_TEST(a_free_of_a_heap_that_allocates_claims_a_slab_from_the_list_and_takes_it_off)
{
    struct heap *a = heap_make(), *b = heap_make(), *c = heap_make();
    for (unsigned i = 0; i < 4; i++)
        blocks[i] = heap_take(a, CLASS_4096);
    void *own = heap_take(b, CLASS_4096);
    heap_end(a);
    const struct slab *slab = slab_of(blocks[0]);
    ck_assert_uint_eq(atomic_load(&slab->listed), 1);
    heap_give(b, blocks[0]);
    ck_assert_uint_eq(owner_of(blocks[0]), b->id);
    ck_assert_uint_eq(atomic_load(&slab->listed), 0);
    void *p = heap_take(c, CLASS_4096); /* must not adopt it */
    ck_assert_ptr_ne(slab_of(p), slab);
    ck_assert_uint_eq(count_of(&c->pool[CLASS_4096].counts.adopted), 0);
    for (unsigned i = 1; i < 4; i++)
        heap_give(b, blocks[i]);
    heap_give(b, own);
    heap_give(c, p);
    check_all_gone((struct heap *[]){b, c}, 2);
}
END_TEST

START_TEST(a_heap_that_has_a_slab_to_refill_from_leaves_a_partial_one_to_others)
{
    struct heap *a = heap_make(), *b = heap_make(), *c = heap_make();
    void *own = heap_take(b, CLASS_4096);
    for (unsigned i = 0; i < 4; i++)
        blocks[i] = heap_take(a, CLASS_4096);
    heap_give(a, blocks[3]);
    heap_end(a);
    heap_give(b, blocks[0]);
    ck_assert_uint_eq(owner_of(blocks[0]), 0);
    ck_assert_uint_eq(neb_ownerless_count(CLASS_4096), 1);
    void *other = heap_take(c, CLASS_4096);
    ck_assert_ptr_eq(slab_of(other), slab_of(blocks[0]));
    heap_give(b, own);
    heap_give(c, other);
    for (unsigned i = 1; i < 3; i++)
        heap_give(c, blocks[i]);
    check_all_gone((struct heap *[]){b, c}, 2);
}
END_TEST

START_TEST(a_free_of_a_heap_that_does_not_allocate_leaves_a_partial_slab_to_those_that_do)
{
    struct heap *a = heap_make(), *b = heap_make(), *c = heap_make();
    for (unsigned i = 0; i < 4; i++)
        blocks[i] = heap_take(a, CLASS_4096);
    heap_end(a);
    const struct slab *slab = slab_of(blocks[0]);
    for (unsigned i = 0; i < 3; i++) {
        heap_give(b, blocks[i]);
        ck_assert_uint_eq(owner_of(blocks[3]), 0);
        ck_assert_uint_eq(atomic_load(&slab->listed), 1);
        ck_assert_uint_eq(slab->free_count, i + 1);
    }
    ck_assert_ptr_eq(heap_take(c, CLASS_4096), blocks[0]);
    heap_give(c, blocks[0]);
    heap_end(c);
    heap_give(b, blocks[3]); /* the last one: the slab goes at once */
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
}
END_TEST

START_TEST(blocks_in_the_magazine_of_a_slab_that_was_claimed_by_another_go_to_that_one)
{
    struct heap *a = heap_make(), *b = heap_make();
    void *own[SLAB_BITS_WORDS * 64]; /* b allocates, and has no slab with free blocks, so that it keeps what it claims */
    size_t own_count = slab_drain(b, CLASS_4096, own), count = slab_drain(a, CLASS_4096, blocks);
    heap_give(a, blocks[0]); /* a owns it */
    heap_end(a);             /* with one free block, on the list */
    a = heap_make();
    heap_give(b, blocks[1]); /* b owns it */
    ck_assert_uint_eq(owner_of(blocks[0]), b->id);
    heap_give(a, blocks[2]);
    heap_flush(a);
    ck_assert(neb_inbox_has_batches(&b->inbox));
    for (size_t i = 3; i < count; i++)
        heap_give(b, blocks[i]);
    for (size_t i = 0; i < own_count; i++)
        heap_give(b, own[i]);
    check_all_gone((struct heap *[]){a, b}, 2);
}
END_TEST

START_TEST(a_heap_that_only_frees_gives_its_partial_slabs_to_those_that_allocate)
{
    enum { SLABS = 200 };
    struct heap *producer = heap_make(), *consumer = heap_make();
    size_t count = 0;
    if (POLICY_FREE_EXACT)
        return; /* no magazine: nothing is ever flushed */
    unsigned class_index = CLASS_4096;
    for (unsigned i = 0; i < SLABS; i++)
        count += slab_drain(producer, class_index, blocks + count);
    for (size_t i = 0; i < count; i++)
        if (i % BLOCKS_4096 != 0) /* one block of each stays, so that no slab is unused */
            heap_give(consumer, blocks[i]);
    ck_assert_uint_gt(count_of(&consumer->pool[class_index].counts.abandoned), SLABS / 2);
    uint64_t made = count_of(&producer->pool[class_index].counts.slabs_made);
    for (size_t i = 0; i < count / 2; i++)
        (void)heap_take(producer, class_index);
    ck_assert_uint_eq(count_of(&producer->pool[class_index].counts.slabs_made), made);
}
END_TEST

/* The last slab that became empty is kept by its pool; when it is not the last any more it must not be
 * abandoned. */
START_TEST(a_heap_that_frees_whole_slabs_leaves_none_behind)
{
    enum { SLABS = 200 };
    struct heap *producer = heap_make(), *consumer = heap_make();
    size_t count = 0;
    for (unsigned i = 0; i < SLABS; i++)
        count += slab_drain(producer, CLASS_4096, blocks + count);
    for (size_t i = 0; i < count; i++)
        heap_give(consumer, blocks[i]);
    check_all_gone((struct heap *[]){producer, consumer}, 2);
}
END_TEST

START_TEST(the_short_way_joins_a_batch_but_neither_begins_nor_fills_one)
{
    struct heap *owner = heap_make(), *other = heap_make();
    for (unsigned i = 0; i < BATCH_BLOCKS; i++)
        blocks[i] = heap_take(owner, CLASS_96);
    heap_use(other);
    other->window = window_copy();
    ck_assert(!neb_pool_give_short(other, blocks[0]));
    neb_pool_give(other, blocks[0], "free");
    ck_assert(!neb_pool_give_short(other, (unsigned char *)blocks[1] + 16));
    for (unsigned i = 1; i < BATCH_BLOCKS - 1; i++)
        ck_assert(neb_pool_give_short(other, blocks[i]));
    ck_assert(!neb_pool_give_short(other, blocks[BATCH_BLOCKS - 1]));
    ck_assert(!neb_inbox_has_batches(&owner->inbox));
    neb_pool_give(other, blocks[BATCH_BLOCKS - 1], "free");
    ck_assert(neb_inbox_has_batches(&owner->inbox));
    ck_assert_uint_eq(heap_sent(other), BATCH_BLOCKS);
    ck_assert(!neb_pool_give_short(owner, heap_take(owner, CLASS_96))); /* its own */
}
END_TEST

/* Blocks that all lie in one slab, which is another heap's. */
static int free_to_the_other(void *argument)
{
    struct heap *heap = argument;
    for (unsigned i = 0; i < BATCH_BLOCKS - 1; i++)
        heap_free(heap, blocks[i]);
    return 0;
}

static void look_at_batch(pid_t child, void *argument)
{
    static struct heap seen;
    struct batch batch;
    child_copy(child, &seen, argument, sizeof seen);
    for (unsigned slot = 0; slot < OUTBOX_SLOTS; slot++)
        if (seen.outbox[slot].batch != NULL) {
            child_copy(child, &batch, seen.outbox[slot].batch, sizeof batch);
            for (unsigned i = 1; i < batch.count; i++) /* the first one came by the long way */
                ck_assert_ptr_eq(batch.block[i], blocks[i]);
        }
}

/* As in test_magazine.c: a handler that leaves by a jump leaves a batch of blocks that were freed. */
START_TEST(at_no_instruction_of_the_short_way_is_something_else_in_a_batch)
{
    struct heap *owner = heap_make(), *other = heap_make();
    for (unsigned i = 0; i < BATCH_BLOCKS; i++)
        blocks[i] = heap_take(owner, CLASS_96);
    if (!POLICY_EVERY_CALL_SLOW)
        (void)child_is_stepped(free_to_the_other, look_at_batch, other);
}
END_TEST

START_TEST(a_heap_keeps_blocks_of_another_only_while_it_frees_in_bursts)
{
    enum { MANY = 100 };
    struct heap *owner = heap_make(), *other = heap_make();
    for (unsigned i = 0; i < MANY; i++)
        blocks[i] = heap_take(owner, CLASS_96);
    void *mine = heap_take(other, CLASS_96);
    for (unsigned i = 0; i < MANY / 2; i++) {
        heap_free(other, blocks[i]);
        heap_give(other, mine);
        mine = heap_take(other, CLASS_96);
        heap_give(owner, heap_take(owner, CLASS_96));
        (void)heap_take(other, CLASS_96);
    }
    ck_assert_uint_eq(heap_sent(other), MANY / 2);
    for (unsigned i = MANY / 2; i < MANY; i++)
        heap_free(other, blocks[i]);
    uint64_t sent = heap_sent(other);
    ck_assert_uint_eq(sent, POLICY_EVERY_CALL_SLOW ? MANY : MANY / 2 + BURST_FREES);
    if (!POLICY_EVERY_CALL_SLOW)
        ck_assert_ptr_eq(heap_take(other, CLASS_96), blocks[MANY - 1]);
    heap_flush(other);
    ck_assert_uint_eq(heap_sent(other), MANY - !POLICY_EVERY_CALL_SLOW);
}
END_TEST

START_TEST(a_trim_purges_ownerless_slabs_too_and_leaves_them_on_the_list)
{
    struct heap *a = heap_make(), *b = heap_make();
    size_t count = slab_drain(a, CLASS_4096, blocks);
    for (size_t i = 0; i < count; i++)
        memset(blocks[i], 0xEE, 4096);
    for (size_t i = 0; i < count / 2; i++)
        heap_give(a, blocks[i]);
    heap_end(a);
    heap_use(b);
    size_t on_a_page = neb_vm_page_size() / 4096, whole = count / 2 / on_a_page * on_a_page;
    ck_assert_uint_eq(neb_heap_trim(b), whole * 4096);
    ck_assert_uint_eq(owner_of(blocks[0]), 0);
    ck_assert_uint_eq(atomic_load(&slab_of(blocks[0])->listed), 1);
    for (size_t i = 0; i < count; i++)
        ck_assert(all_bytes_are(blocks[i], 4096, i < whole ? 0 : 0xEE));
}
END_TEST

START_TEST(a_tick_sends_what_waits_and_applies_what_came)
{
    struct heap *a = heap_make(), *b = heap_make();
    blocks[0] = heap_take(a, CLASS_4096);
    heap_give(b, blocks[0]);
    heap_use(b);
    for (unsigned i = 0; i < TICK_CALLS; i++)
        heap_tick(b);
    ck_assert(neb_inbox_has_batches(&a->inbox));
    heap_use(a);
    for (unsigned i = 0; i < TICK_CALLS; i++)
        heap_tick(a);
    ck_assert(!neb_inbox_has_batches(&a->inbox));
}
END_TEST

/* ---- the same at full speed
 * ------------------------------------------------------------------------------------------- */

enum { THREADS = 4, SHARED = 256, ROUNDS = 30000 };

static _Atomic(void *) shared[SHARED];
static uint64_t seeds[THREADS] = {11, 12, 13, 14};

/* Blocks go from thread to thread; each is stamped by who allocates it, and whoever gets it checks the stamp
 * whole. */
static void *pass_around(void *argument)
{
    uint64_t state = *(const uint64_t *)argument;
    struct heap *heap = heap_make();
    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned class_index = (unsigned)(unit_random(&state) % 3) * 20 + 4;
        uint64_t *block = heap_take(heap, class_index);
        block_stamp(block, class_index, unit_random(&state));
        block = atomic_exchange_explicit(&shared[unit_random(&state) % SHARED], block, memory_order_acq_rel);
        if (block == NULL)
            continue;
        block_check(block);
        heap_free(heap, block);
    }
    neb_heap_end();
    return NULL;
}

START_TEST(blocks_passed_between_threads_are_never_handed_out_twice_and_none_is_lost)
{
    pthread_t thread[THREADS];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < THREADS; i++)
            ck_assert_int_eq(pthread_create(&thread[i], NULL, pass_around, &seeds[i]), 0);
        for (int i = 0; i < THREADS; i++)
            ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    }
    struct heap *heap = heap_make();
    for (unsigned i = 0; i < SHARED; i++)
        if (shared[i] != NULL)
            heap_give(heap, shared[i]);
    heap_flush(heap);
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
}
END_TEST

UNIT_MAIN(
    "ownership", HOLDS(a_slab_is_detached_with_its_last_free_block_and_claimed_by_the_next_free),
    HOLDS(a_slab_that_is_given_up_is_published_to_the_thread_that_claims_it),
    HOLDS(every_granule_of_a_large_slab_follows_its_owner),
    HOLDS(a_big_block_freed_where_none_are_allocated_is_there_for_all_at_once),
    HOLDS(a_batch_for_a_slab_that_a_third_heap_claimed_reaches_it),
    HOLDS(a_claimed_slab_whose_blocks_went_out_again_is_given_up_once_others_send_blocks),
    HOLDS(a_heap_that_ends_applies_its_inbox_first), HOLDS(a_batch_for_a_heap_that_ended_is_given_again),
    HOLDS(a_batch_for_an_id_that_serves_again_is_applied_by_the_new_thread),
    HOLDS(partial_slabs_of_a_heap_that_ended_are_found_through_the_list_and_full_ones_through_their_blocks),
    HOLDS(a_free_of_a_heap_that_allocates_claims_a_slab_from_the_list_and_takes_it_off),
    HOLDS(a_heap_that_has_a_slab_to_refill_from_leaves_a_partial_one_to_others),
    HOLDS(a_free_of_a_heap_that_does_not_allocate_leaves_a_partial_slab_to_those_that_do),
    HOLDS(blocks_in_the_magazine_of_a_slab_that_was_claimed_by_another_go_to_that_one),
    HOLDS(a_heap_that_only_frees_gives_its_partial_slabs_to_those_that_allocate),
    HOLDS(a_heap_that_frees_whole_slabs_leaves_none_behind),
    HOLDS(the_short_way_joins_a_batch_but_neither_begins_nor_fills_one),
    HOLDS(at_no_instruction_of_the_short_way_is_something_else_in_a_batch),
    HOLDS(a_heap_keeps_blocks_of_another_only_while_it_frees_in_bursts),
    HOLDS(a_trim_purges_ownerless_slabs_too_and_leaves_them_on_the_list),
    HOLDS(a_tick_sends_what_waits_and_applies_what_came),
    HOLDS(blocks_passed_between_threads_are_never_handed_out_twice_and_none_is_lost))
