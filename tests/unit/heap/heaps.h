/* heaps.h - several heaps driven by one thread, so that a test can order their steps as it likes. */
#ifndef NEB_TESTS_UNIT_HEAPS_H
#define NEB_TESTS_UNIT_HEAPS_H

#include "heap/heap.h"
#include "heap/pool.h"
#include "heap/upkeep.h"
#include "heap/vacant.h"
#include "unit/unit.h"

/* The calling thread works in this heap from now on. */
static inline struct heap *heap_use(struct heap *heap)
{
    neb_tls = (struct tls){.heap = heap, .source = heap, .state = THREAD_HAS_HEAP};
    return heap;
}

/* The calling thread is one that just began, but for its slow calls. */
static inline void thread_begin(unsigned slow_calls)
{
    neb_tls = (struct tls){.heap = &neb_heap_none, .source = &neb_heap_none, .slow_calls = slow_calls & 0xFF, .state = THREAD_YOUNG};
}

/* A new heap, as a thread gets it that is no longer young. */
static inline struct heap *heap_make(void)
{
    thread_begin(YOUNG_CALLS);
    struct heap *heap = neb_heap_enter();
    ck_assert_ptr_ne(heap, &neb_heap_shared);
    neb_heap_leave(heap);
    return heap;
}

/* Its thread ends: it is parked, if it is small. */
static inline void heap_vacate(struct heap *heap)
{
    heap_use(heap);
    neb_heap_end();
}

/* Its thread ends, and no other comes for it. */
static inline void heap_end(struct heap *heap)
{
    heap_vacate(heap);
    neb_vacant_retire(0, 0);
}

/* What malloc and free do, without their fast paths. */
static inline void *heap_take(struct heap *heap, unsigned class_index)
{
    struct bin *bin = &heap->bin[class_index];
    heap_use(heap);
    if (*bin->top == NULL && !neb_pool_refill(heap, class_index))
        return NULL;
    return *bin->top--;
}

static inline void heap_give(struct heap *heap, void *p)
{
    heap_use(heap);
    neb_pool_give(heap, p, "free");
}

/* The same with the short way for another heap's block, where the policy has it. */
static inline void heap_free(struct heap *heap, void *p)
{
    heap_use(heap);
    heap->window = window_copy();
    if (POLICY_EVERY_CALL_SLOW || !neb_pool_give_short(heap, p))
        neb_pool_give(heap, p, "free");
}

/* Magazines and outboxes are emptied, the inbox is applied, unused slabs go. */
static inline void heap_flush(struct heap *heap)
{
    heap_use(heap);
    (void)neb_heap_trim(heap);
}

static inline uint64_t count_of(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Blocks of others that went into batches. */
static inline uint64_t heap_sent(const struct heap *heap)
{
    uint64_t count = count_of(&heap->counts.blocks_sent);
    for (unsigned slot = 0; slot < OUTBOX_SLOTS; slot++)
        count += heap->outbox[slot].batch != NULL ? heap->outbox[slot].batch->count : 0;
    return count;
}

static inline uint32_t owner_of(const void *p)
{
    return entry_owner(page_map_load(slab_of(p)->base));
}

/* Takes every block of a fresh slab; returns how many, all of them in one slab. */
static inline size_t slab_drain(struct heap *heap, unsigned class_index, void **blocks)
{
    size_t capacity = neb_size_class[class_index].capacity;
    for (size_t i = 0; i < capacity; i++) {
        blocks[i] = heap_take(heap, class_index);
        ck_assert_ptr_nonnull(blocks[i]);
        ck_assert_ptr_eq(slab_of(blocks[i]), slab_of(blocks[0]));
    }
    return capacity;
}

/* Fills a block of the class with a value, which block_check finds again whole. */
static inline void block_stamp(uint64_t *block, unsigned class_index, uint64_t value)
{
    size_t words = neb_size_class[class_index].size / 8;
    for (size_t word = 0; word < words; word++)
        block[word] = word == 0 ? class_index : value;
}

static inline void block_check(const uint64_t *block)
{
    size_t words = neb_size_class[block[0]].size / 8;
    for (size_t word = 2; word < words; word++)
        if (block[word] != block[1]) /* an assertion of Check's would write for each word */
            ck_abort_msg("word %zu of a block of class %lu differs", word, (unsigned long)block[0]);
}

enum {
    CLASS_96 = 5,
    CLASS_4096 = 47,  /* 16 blocks in a slab of one granule, taken 4 at a time when fresh */
    CLASS_32768 = 71,
    CLASS_49152 = 75, /* 4 blocks in a slab of three granules */
    BLOCKS_4096 = 16,
    BLOCKS_32768 = 8
};

#endif
