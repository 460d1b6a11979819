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

/* Each HARDEN_APART-th entry comes to the end, from where blocks serve first. They are: an exchange takes its entry from no place that an
 * earlier one changed, since that lies at least as far from the end as the place it goes to. */
static size_t set_apart(struct heap *heap, void **blocks, size_t count)
{
    size_t apart = count / HARDEN_APART, skipped = neb_heap_random(heap, HARDEN_APART);
    void **last = blocks + count - 1;
    for (size_t i = 0; i < apart; i++)
        exchange(last - i, last - (i * HARDEN_APART + skipped), 1);
    return apart;
}

void neb_magazine_mix(struct heap *heap, unsigned class_index)
{
    const struct pool *pool = &heap->pool[class_index];
    void **blocks = pool->magazine + 1;
    size_t count = bin_count(heap, class_index);
    if (atomic_load_explicit(&pool->counts.refills, memory_order_relaxed) > HARDEN_SHUFFLE_REFILLS) { /* its own */
        shuffle(heap, blocks, count, HARDEN_RUN, HARDEN_SHUFFLE);
        return;
    }
    size_t apart = set_apart(heap, blocks, count);
    shuffle(heap, blocks, count - apart, 1, HARDEN_SHUFFLE);
    shuffle(heap, blocks + count - apart, apart, 1, HARDEN_SHUFFLE);
}
