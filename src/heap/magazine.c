/* magazine.c - see magazine.h. */
#include "heap/magazine.h"

#include "heap/meta.h"

static size_t bytes_max(unsigned class_index)
{
    return neb_size_class[class_index].size > MAGAZINE_LITTLE ? MAGAZINE_MAX_BYTES : MAGAZINE_LITTLE_BYTES;
}

/* Entries that a magazine of this order may hold: what fits, but not more bytes of blocks than allowed. */
static size_t entries_max(unsigned class_index, unsigned order, size_t bytes_allowed)
{
    size_t fits = ((size_t)1 << order) / sizeof(void *) - 1;
    size_t allowed = bytes_allowed / neb_size_class[class_index].size;
    if (allowed < MAGAZINE_MIN)
        allowed = MAGAZINE_MIN;
    return fits < allowed ? fits : allowed;
}

bool neb_magazine_create(struct heap *heap, unsigned class_index)
{
    struct pool *pool = &heap->pool[class_index];
    bool hardened = neb_heap_is_hardened(); /* then each free is looked at, always */
    bool is_wary = !POLICY_EVERY_CALL_SLOW && !hardened && !size_class_is_big(&neb_size_class[class_index]);
    unsigned order = hardened ? HARDEN_ORDER_START : MAGAZINE_ORDER_START;
    size_t entries = entries_max(class_index, order, hardened ? 2 * HARDEN_FRESH_BYTES : MAGAZINE_START_BYTES);
    void **magazine = neb_meta_array_take(order);
    if (magazine == NULL)
        return false;
    magazine[0] = NULL;
    pool->magazine = magazine;
    pool->order = (uint8_t)order;
    pool->streak = 0;
    pool->is_emptied = 0;
    pool->wary = is_wary ? WARY_FREES : 0;
    pool->wary_limit = (uint16_t)entries;
    heap->bin[class_index].top = magazine;
    heap->bin[class_index].limit = is_wary ? magazine : magazine + entries;
    return true;
}

bool neb_magazine_knows(const struct heap *heap, unsigned class_index, const void *p, size_t looks)
{
    const struct pool *pool = &heap->pool[class_index];
    size_t count = bin_count(heap, class_index);
    void *const *entry = heap->bin[class_index].top, *const *end = entry - (pool->wary != 0 || looks > count ? count : looks);
    while (entry > end && *entry != p)
        entry--;
    return entry > end;
}

/* A handler may interrupt this in the short way of free, where the heap counts as whole, and leave it by a jump: then the entries above the
 * place are lost, but none is there twice. */
static void wary_push(struct bin *bin, void **magazine, void *p)
{
    void **top = bin->top + 1, **place = top - magazine > WARY_DEPTH ? top - WARY_DEPTH : magazine + 1;
    bin->top = place - 1;
    atomic_signal_fence(memory_order_seq_cst);
    for (void **slot = top; slot > place; slot--) {
        void *entry = slot[-1];
        NEB_OPAQUE(entry); /* else a call of memmove, in which a handler would not find the thread to be in the library */
        *slot = entry;
    }
    *place = p;
    atomic_signal_fence(memory_order_seq_cst);
    bin->top = top;
}

void neb_magazine_push(struct heap *heap, unsigned class_index, void *p)
{
    struct pool *pool = &heap->pool[class_index];
    struct bin *bin = &heap->bin[class_index];
    if (pool->wary == 0) {
        *++bin->top = p;
        return;
    }
    wary_push(bin, pool->magazine, p);
    if (pool->wary == 1) { /* first open, then no longer wary: the limit is known at each moment */
        bin->limit = pool->magazine + pool->wary_limit;
        atomic_signal_fence(memory_order_seq_cst);
    }
    pool->wary--;
}

/* Up to a page the next order; beyond, at once what the magazine can ever need. Pages that it does not come to are not touched, while arrays
 * that were outgrown would be. bench: bulk had 2.7 MiB, of which 128 KiB were arrays before the last. */
static unsigned order_next(unsigned order, size_t largest)
{
    return order < MAGAZINE_ORDER_DOUBLES ? order + 1 : bits_log2_ceil((largest + 1) * sizeof(void *));
}

/* First the entries that the bytes of a new magazine did not allow, then a larger array. */
bool neb_magazine_grow(struct heap *heap, unsigned class_index)
{
    struct pool *pool = &heap->pool[class_index];
    struct bin *bin = &heap->bin[class_index];
    size_t count = (size_t)(bin->top - pool->magazine), limit = (size_t)(magazine_limit(heap, class_index) - pool->magazine);
    size_t largest = entries_max(class_index, MAGAZINE_ORDER_MAX, bytes_max(class_index));
    if (limit >= largest)
        return false;
    size_t goal = 2 * limit + 1 < largest ? 2 * limit + 1 : largest;
    if (goal >= ((size_t)1 << pool->order) / sizeof(void *)) {
        unsigned order = order_next(pool->order, largest);
        void **larger = neb_meta_array_take(order);
        if (larger == NULL)
            return false;
        for (size_t i = 0; i <= count; i++)
            larger[i] = pool->magazine[i];
        neb_meta_array_give(pool->magazine, pool->order);
        pool->magazine = larger;
        pool->order = (uint8_t)order;
    }
    pool->wary = 0;
    bin->top = pool->magazine + count;
    bin->limit = pool->magazine + goal;
    counter_add(&pool->counts.grown, 1);
    return true;
}

void neb_magazine_destroy(struct heap *heap, unsigned class_index)
{
    struct pool *pool = &heap->pool[class_index];
    neb_meta_array_give(pool->magazine, pool->order);
    pool->magazine = NULL;
    pool->wary = 0;
    heap->bin[class_index] = neb_heap_none.bin[class_index];
}
