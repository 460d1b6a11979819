/* outbox.c - see outbox.h. */
#include "heap/outbox.h"

#include "heap/meta.h"

static struct batch *batch_take(struct heap *heap)
{
    struct batch *batch = heap->spare;
    if (batch != NULL) {
        heap->spare = batch->next;
        heap->spare_count--;
    } else {
        batch = neb_meta_array_take(BATCH_ORDER);
    }
    if (batch != NULL) {
        batch->next = NULL;
        batch->count = 0;
    }
    return batch;
}

void neb_batch_recycle(struct heap *heap, struct batch *batch)
{
    if (heap->spare_count == SPARE_BATCHES) {
        neb_meta_array_give(batch, BATCH_ORDER);
        return;
    }
    batch->next = heap->spare;
    heap->spare = batch;
    heap->spare_count++;
}

void neb_batches_drop(struct heap *heap)
{
    while (heap->spare != NULL) {
        struct batch *batch = heap->spare;
        heap->spare = batch->next;
        neb_meta_array_give(batch, BATCH_ORDER);
    }
    heap->spare_count = 0;
}

struct batch *neb_outbox_send(struct heap *heap, unsigned slot_index)
{
    struct outbox_slot *slot = &heap->outbox[slot_index];
    struct batch *batch = slot->batch;
    if (batch == NULL)
        return NULL;
    uint32_t count = batch->count;
    slot->batch = NULL;
    slot->bytes = 0;
    if (!neb_inbox_push(&neb_heap_by_id(slot->owner)->inbox, batch)) {
        batch->next = NULL;
        return batch;
    }
    counter_add(&heap->counts.batches_sent, 1);
    counter_add(&heap->counts.blocks_sent, count);
    return NULL;
}

struct batch *neb_outbox_put(struct heap *heap, uint32_t owner, void *block, unsigned class_index)
{
    struct outbox_slot *slot = &heap->outbox[owner % OUTBOX_SLOTS];
    struct batch *refused = NULL;
    if (slot->batch != NULL && slot->owner != owner)
        refused = neb_outbox_send(heap, owner % OUTBOX_SLOTS);
    if (slot->batch == NULL) {
        slot->batch = batch_take(heap);
        slot->owner = owner;
    }
    struct batch *batch = slot->batch;
    if (NEB_UNLIKELY(batch == NULL)) {
        counter_add(&heap->counts.blocks_lost, 1);
        return refused;
    }
    batch->block[batch->count++] = block;
    slot->bytes += neb_size_class[class_index].size;
    if (refused == NULL && (batch->count == BATCH_BLOCKS || slot->bytes >= BATCH_BYTES_MAX))
        refused = neb_outbox_send(heap, owner % OUTBOX_SLOTS);
    return refused;
}
