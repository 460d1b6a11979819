/* upkeep.c - what a heap does besides serving calls; see upkeep.h. */
#include "heap/upkeep.h"

#include "heap/chunk.h"
#include "heap/large.h"
#include "heap/magazine.h"
#include "heap/outbox.h"
#include "heap/owner.h"
#include "heap/pool.h"
#include "heap/vacant.h"
#include "os/env.h"

static _Atomic uint32_t decay_ms = DECAY_MS_DEFAULT;

static size_t slab_purge(struct slab *slab)
{
    size_t given = neb_slab_purge(slab);
    if (given > 0)
        neb_granules_forgo_huge_pages(slab->base, slab->granules);
    return given;
}

static size_t slabs_purge(struct heap *heap, struct pool *pool)
{
    size_t given = 0;
    if (list_is_empty(&pool->partial))
        return 0;
    for (struct list_node *node = pool->partial.next, *next; node != &pool->partial; node = next) {
        struct slab *slab = LIST_OF(node, struct slab, node);
        next = node->next;
        if (slab_is_unused(slab))
            neb_slab_release(heap, slab);
        else
            given += slab_purge(slab);
    }
    return given;
}

/* What waits where allocation is hardened goes back to the pool. */
static void waiting_give(struct heap *heap, unsigned class_index)
{
    struct waiting *waiting = &heap->waiting[class_index];
    if (!neb_heap_is_hardened())
        return;
    for (unsigned i = 0; i < HARDEN_WAITING; i++) {
        void *block = waiting->block[i];
        waiting->block[i] = NULL;
        if (block != NULL)
            neb_pool_give(heap, block, "free");
    }
}

/* Nothing waits, and nothing is in the magazine. */
static void pool_flush(struct heap *heap, unsigned class_index)
{
    waiting_give(heap, class_index);
    if (heap->pool[class_index].magazine != NULL)
        neb_pool_flush_all(heap, class_index);
}

/* Nor is there a magazine. */
static void pool_flush_finally(struct heap *heap, unsigned class_index)
{
    pool_flush(heap, class_index);
    if (heap->pool[class_index].magazine != NULL)
        neb_magazine_destroy(heap, class_index);
}

/* Empties a pool that nobody used for a while: its free memory is worth more elsewhere. */
static size_t pool_idle(struct heap *heap, unsigned class_index)
{
    pool_flush_finally(heap, class_index);
    return slabs_purge(heap, &heap->pool[class_index]);
}

static NEB_SELDOM void heap_sweep(struct heap *heap)
{
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        struct pool *pool = &heap->pool[class_index];
        if (!pool->is_active && !pool->is_emptied) {
            (void)pool_idle(heap, class_index);
            pool->is_emptied = 1;
        }
        pool->is_active = 0;
    }
}

NEB_NOINLINE void neb_heap_tick_slow(struct heap *heap)
{
    uint32_t now = neb_clock_ms(), decay = neb_heap_decay();
    neb_heap_empty_outbox(heap);
    neb_heap_apply_inbox(heap);
    (void)neb_chunk_decay(now, decay);
    neb_vacant_retire(now, decay);
    if (now - heap->swept_ms >= decay) {
        heap->swept_ms = now;
        heap_sweep(heap);
    }
}

void neb_heap_wake(struct heap *heap)
{
    uint32_t now = neb_clock_ms(), decay = neb_heap_decay();
    if (now - heap->woken_ms < RESTING_MS) {
        if (--heap->watched == 0)
            neb_tls.source = neb_tls.heap;
        return;
    }
    heap->woken_ms = now;
    heap->watched = WATCHED_RESTING;
    if (now - heap->swept_ms >= decay)
        neb_heap_tick_slow(heap);
    neb_huge_decay(now, decay);
}

void neb_heap_set_decay(uint32_t ms)
{
    atomic_store_explicit(&decay_ms, ms, memory_order_relaxed); /* a number, nothing hangs on it */
}

uint32_t neb_heap_decay(void)
{
    return atomic_load_explicit(&decay_ms, memory_order_relaxed);
}

/* Slabs without owner are adopted, purged, and put back: no lock is held while the system works. */
static NEB_SELDOM size_t ownerless_purge(struct heap *heap, unsigned class_index)
{
    struct pool *pool = &heap->pool[class_index];
    uint32_t count = neb_ownerless_count(class_index);
    size_t given = 0;
    struct list_node mine;
    list_init(&mine);
    while (count-- > 0) {
        struct slab *slab = neb_slab_adopt(heap, class_index);
        if (slab == NULL)
            break;
        given += slab_purge(slab);
        list_remove(&slab->node);
        list_push(&mine, &slab->node);
    }
    while (!list_is_empty(&mine)) {
        struct slab *slab = LIST_OF(mine.next, struct slab, node);
        list_remove(&slab->node);
        list_push(&pool->full, &slab->node); /* abandon takes it out of a list */
        neb_slab_abandon(heap, slab);
    }
    return given;
}

NEB_SELDOM size_t neb_heap_trim(struct heap *heap)
{
    size_t given = 0;
    neb_vacant_retire(0, 0);
    neb_heap_apply_inbox(heap);
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        given += pool_idle(heap, class_index);
        given += ownerless_purge(heap, class_index);
    }
    neb_heap_empty_outbox(heap);
    return given;
}

void neb_heap_flush(struct heap *heap)
{
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++)
        pool_flush(heap, class_index);
}

static bool outbox_is_empty(const struct heap *heap)
{
    for (unsigned slot = 0; slot < OUTBOX_SLOTS; slot++)
        if (heap->outbox[slot].batch != NULL)
            return false;
    return true;
}

/* A partial slab can be found through the list, a full one through its blocks. */
static void pool_abandon(struct heap *heap, struct pool *pool)
{
    while (!list_is_empty(&pool->partial))
        neb_slab_pass_on(heap, LIST_OF(pool->partial.next, struct slab, node));
    neb_pool_detach_full(pool);
}

/* Until nothing is in the outbox: what came by the inbox may be others' by now. */
static NEB_THREADED void drain(struct heap *heap, void (*magazine_tidy)(struct heap *heap, unsigned class_index))
{
    do {
        for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++)
            magazine_tidy(heap, class_index);
        neb_heap_apply_inbox(heap);
        neb_heap_empty_outbox(heap);
    } while (!outbox_is_empty(heap));
}

static unsigned slabs_count(const struct pool *pool, unsigned bound)
{
    unsigned count = 0;
    if (list_is_empty(&pool->partial))
        return 0;
    for (const struct list_node *node = pool->partial.next; node != &pool->partial && count < bound; node = node->next)
        count++;
    return count;
}

static void pool_settle(struct heap *heap, unsigned class_index)
{
    struct pool *pool = &heap->pool[class_index];
    size_t count = bin_count(heap, class_index);
    if (pool->magazine == NULL)
        return;
    atomic_store_explicit(&pool->counts.held, count, memory_order_relaxed); /* a statistic */
    if (pool->order > PARKED_ORDER)
        pool_flush_finally(heap, class_index);
    else if (count * neb_size_class[class_index].size > PARKED_BYTES)
        pool_flush(heap, class_index);
}

NEB_THREADED bool neb_heap_settle(struct heap *heap)
{
    drain(heap, pool_settle);
    unsigned slabs = 0;
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        neb_pool_detach_full(&heap->pool[class_index]);
        slabs += slabs_count(&heap->pool[class_index], PARKED_SLABS + 1);
    }
    return slabs <= PARKED_SLABS;
}

/* Nothing that can claim a slab or fill an outbox may stand between the abandoning and the close. */
NEB_THREADED void neb_heap_give_up(struct heap *heap)
{
    do {
        drain(heap, pool_flush_finally);
        for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++)
            pool_abandon(heap, &heap->pool[class_index]);
    } while (!neb_inbox_close(&heap->inbox));
    neb_batches_drop(heap);
}
