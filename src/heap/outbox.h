/* outbox.h - blocks of other heaps' slabs, gathered by owner until a batch is worth sending.
 *
 *   free of another's block --> slot[owner % OUTBOX_SLOTS] --> batch full, slot wanted, or tick --> owner's inbox
 *
 * Ownership  the heap whose outbox it is
 * Failure    without memory for a batch a block is lost and counted: the only alternative would be to wait for the
 *            owner, who may sleep for ever */
#ifndef NEB_HEAP_OUTBOX_H
#define NEB_HEAP_OUTBOX_H

#include "heap/heap.h"

/* False: the block would be the first of a batch, or fill one; nothing changed. */
NEB_INLINE bool outbox_add(struct heap *heap, uint32_t owner, void *block, uint32_t size)
{
    struct outbox_slot *slot = &heap->outbox[owner % OUTBOX_SLOTS];
    struct batch *batch = slot->batch;
    uint32_t bytes = slot->bytes + size;
    if (batch == NULL || slot->owner != owner || batch->count + 1 >= BATCH_BLOCKS || bytes >= BATCH_BYTES_MAX)
        return false;
    batch->block[batch->count] = block;
    atomic_signal_fence(memory_order_seq_cst); /* a handler may leave by a jump from here: what is counted is there */
    batch->count++;
    slot->bytes = bytes;
    return true;
}

/* Both answer a batch that the owner's closed inbox refused, for the caller to give its blocks again; else NULL. */
struct batch *neb_outbox_put(struct heap *heap, uint32_t owner, void *block, unsigned class_index);
struct batch *neb_outbox_send(struct heap *heap, unsigned slot_index);

/* An empty batch goes to the heap's spare ones. */
void neb_batch_recycle(struct heap *heap, struct batch *batch);
/* All spare batches go back. */
void neb_batches_drop(struct heap *heap);

#endif
