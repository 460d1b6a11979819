/* ring.h - a bounded queue of blocks between one producer and one consumer (Lamport 1983).
 *
 *   producer --tail--> [ | | | ] --head--> consumer
 *
 * Sync   R1: the producer's release of tail publishes the slot; pairs with the consumer's acquire
 *        R2: the consumer's release of head gives the slot back; pairs with the producer's acquire
 * Waits  a full or empty ring yields the processor, so that it also works with more threads than cores
 */
#ifndef RING_H
#define RING_H

#include <sched.h>
#include <stdatomic.h>

#include "bench.h"

enum { RING_SLOTS = 512 };

struct ring {
    _Alignas(128) atomic_uint head;
    _Alignas(128) atomic_uint tail;
    _Alignas(128) struct block slots[RING_SLOTS];
};

static inline void ring_put(struct ring *ring, struct block block)
{
    unsigned tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);             /* mine */
    while (tail - atomic_load_explicit(&ring->head, memory_order_acquire) == RING_SLOTS) /* R2 */
        sched_yield();
    ring->slots[tail % RING_SLOTS] = block;
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release); /* R1 */
}

static inline struct block ring_take(struct ring *ring)
{
    unsigned head = atomic_load_explicit(&ring->head, memory_order_relaxed); /* mine */
    while (atomic_load_explicit(&ring->tail, memory_order_acquire) == head)  /* R1 */
        sched_yield();
    struct block block = ring->slots[head % RING_SLOTS];
    atomic_store_explicit(&ring->head, head + 1, memory_order_release); /* R2 */
    return block;
}

#endif
