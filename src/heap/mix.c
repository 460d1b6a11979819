/* mix.c - see mix.h. */
#include "heap/mix.h"

static void exchange(void **a, void **b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        void *block = a[i];
        a[i] = b[i];
        b[i] = block;
    }
}

/* Pieces of so many entries: each changes places with one of those that come up to reach pieces later. What is left over stays. */
static void shuffle(struct heap *heap, void **blocks, size_t count, size_t piece, size_t reach)
{
    for (size_t left = count / piece; left > 1; left--, blocks += piece)
        exchange(blocks, blocks + piece * neb_heap_random(heap, left < reach ? left : reach), piece);
}

void neb_magazine_mix(struct heap *heap, unsigned class_index)
{
    const struct pool *pool = &heap->pool[class_index];
    bool has_few = atomic_load_explicit(&pool->counts.refills, memory_order_relaxed) <= HARDEN_SHUFFLE_REFILLS; /* its own */
    shuffle(heap, pool->magazine + 1, bin_count(heap, class_index), has_few ? 1 : HARDEN_RUN, HARDEN_SHUFFLE);
}
