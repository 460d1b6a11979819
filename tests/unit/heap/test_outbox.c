/* heap/outbox.h: when a batch is worth sending. */
#include "heap/meta.h"
#include "heap/outbox.h"
#include "unit/heap/heaps.h"

static char block[100]; /* an outbox never looks at what it holds */

static size_t batches_in(struct heap *heap, size_t *blocks)
{
    size_t count = 0;
    *blocks = 0;
    for (struct batch *batch = neb_inbox_take_all(&heap->inbox); batch != NULL; batch = batch->next, count++)
        *blocks += batch->count;
    return count;
}

START_TEST(a_full_batch_is_sent)
{
    struct heap *owner = heap_make(), *heap = heap_make();
    size_t blocks;
    for (int i = 0; i < BATCH_BLOCKS - 1; i++)
        ck_assert_ptr_null(neb_outbox_put(heap, owner->id, &block[i], 0));
    ck_assert(!neb_inbox_has_batches(&owner->inbox));
    ck_assert_ptr_null(neb_outbox_put(heap, owner->id, &block[BATCH_BLOCKS - 1], 0));
    ck_assert_uint_eq(batches_in(owner, &blocks), 1);
    ck_assert_uint_eq(blocks, BATCH_BLOCKS);
    ck_assert_uint_eq(count_of(&heap->counts.batches_sent), 1);
    ck_assert_uint_eq(count_of(&heap->counts.blocks_sent), BATCH_BLOCKS);
}
END_TEST

START_TEST(a_batch_of_many_bytes_is_sent_before_it_is_full)
{
    struct heap *owner = heap_make(), *heap = heap_make();
    size_t blocks, enough = BATCH_BYTES_MAX / neb_size_class[CLASS_32768].size;
    for (size_t i = 0; i < enough - 1; i++)
        ck_assert_ptr_null(neb_outbox_put(heap, owner->id, &block[i], CLASS_32768));
    ck_assert(!neb_inbox_has_batches(&owner->inbox));
    ck_assert_ptr_null(neb_outbox_put(heap, owner->id, &block[enough], CLASS_32768));
    ck_assert_uint_eq(batches_in(owner, &blocks), 1);
    ck_assert_uint_eq(blocks, enough);
}
END_TEST

START_TEST(an_owner_who_needs_the_slot_of_another_sends_that_batch)
{
    struct heap *first = heap_make(), *heap = heap_make(), *second;
    size_t blocks;
    do
        second = heap_make();
    while (second->id % OUTBOX_SLOTS != first->id % OUTBOX_SLOTS);
    ck_assert_ptr_null(neb_outbox_put(heap, first->id, &block[0], 0));
    ck_assert_ptr_null(neb_outbox_put(heap, second->id, &block[1], 0));
    ck_assert_uint_eq(batches_in(first, &blocks), 1);
    ck_assert_uint_eq(blocks, 1);
    ck_assert(!neb_inbox_has_batches(&second->inbox));
    ck_assert_ptr_null(neb_outbox_send(heap, second->id % OUTBOX_SLOTS));
    ck_assert_uint_eq(batches_in(second, &blocks), 1);
    ck_assert_uint_eq(blocks, 1);
    ck_assert_ptr_null(neb_outbox_send(heap, second->id % OUTBOX_SLOTS)); /* nothing is left to send */
}
END_TEST

START_TEST(what_a_closed_inbox_refuses_comes_back)
{
    struct heap *owner = heap_make(), *heap = heap_make();
    heap_end(owner);
    ck_assert_ptr_null(neb_outbox_put(heap, owner->id, &block[0], 0));
    struct batch *refused = neb_outbox_send(heap, owner->id % OUTBOX_SLOTS);
    ck_assert_ptr_nonnull(refused);
    ck_assert_uint_eq(refused->count, 1);
    ck_assert_ptr_eq(refused->block[0], &block[0]);
    ck_assert_uint_eq(count_of(&heap->counts.batches_sent), 0);
    for (int i = 0; i < BATCH_BLOCKS; i++)
        refused = neb_outbox_put(heap, owner->id, &block[i], 0);
    ck_assert_ptr_nonnull(refused);
    ck_assert_uint_eq(refused->count, BATCH_BLOCKS);
}
END_TEST

START_TEST(empty_batches_serve_again_and_few_are_kept)
{
    struct heap *heap = heap_make();
    struct batch *batches[SPARE_BATCHES + 5];
    for (unsigned i = 0; i < SPARE_BATCHES + 5; i++)
        batches[i] = neb_meta_array_take(BATCH_ORDER);
    for (unsigned i = 0; i < SPARE_BATCHES + 5; i++)
        neb_batch_recycle(heap, batches[i]);
    ck_assert_uint_eq(heap->spare_count, SPARE_BATCHES);
    size_t before = neb_meta_bytes();
    (void)neb_outbox_put(heap, heap->id, &block[0], 0);
    ck_assert_uint_eq(heap->spare_count, SPARE_BATCHES - 1);
    neb_batches_drop(heap);
    ck_assert_uint_eq(heap->spare_count, 0);
    for (unsigned i = 0; i < SPARE_BATCHES + 4; i++)
        (void)neb_meta_array_take(BATCH_ORDER);
    ck_assert_uint_eq(neb_meta_bytes(), before);
}
END_TEST

UNIT_MAIN("outbox", HOLDS(a_full_batch_is_sent), HOLDS(a_batch_of_many_bytes_is_sent_before_it_is_full),
          HOLDS(an_owner_who_needs_the_slot_of_another_sends_that_batch),
          HOLDS(what_a_closed_inbox_refuses_comes_back), HOLDS(empty_batches_serve_again_and_few_are_kept))
