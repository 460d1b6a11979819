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
    bool hardened = neb_heap_is_hardened();
    unsigned order = hardened ? HARDEN_ORDER_START : MAGAZINE_ORDER_START;
    void **magazine = neb_meta_array_take(order);
    if (magazine == NULL)
        return false;
    magazine[0] = NULL;
    pool->magazine = magazine;
    pool->order = (uint8_t)order;
    pool->streak = 0;
    pool->is_emptied = 0;
    heap->bin[class_index].top = magazine;
    heap->bin[class_index].limit = magazine + entries_max(class_index, order, hardened ? 2 * HARDEN_FRESH_BYTES : MAGAZINE_START_BYTES);
    return true;
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
    size_t count = (size_t)(bin->top - pool->magazine), limit = (size_t)(bin->limit - pool->magazine);
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
    heap->bin[class_index] = neb_heap_none.bin[class_index];
}
