/* pool.c - refill, flush, and who owns a slab; see pool.h. */
#include "heap/pool.h"

#include "base/panic.h"
#include "heap/fault.h"
#include "heap/magazine.h"
#include "heap/outbox.h"
#include "os/env.h"
#include "os/lock.h"
#include "os/vm.h"

struct ownerless {
    _Atomic uint32_t count; /* a look without the lock may save taking it */
    struct list_node slabs;
};

static struct ownerless ownerless[CLASS_COUNT];
_Static_assert(LOCK_REGION - LOCK_OWNERLESS == CLASS_COUNT, "each list has its lock");

static struct lock *lock_of(const struct ownerless *list)
{
    return &neb_locks[LOCK_OWNERLESS + (list - ownerless)];
}

static _Atomic uint32_t decay_ms = DECAY_MS_DEFAULT;

/* ---- who owns a slab --------------------------------------------------------------------------------------------- */

/* The first granule's entry decides; those behind it are set by the owner while it is the owner, so that an entry
 * that names me is never stale. */
static void entries_set_rest(struct slab *slab, uint32_t entry)
{
    neb_page_map_fill(slab->base + GRANULE_BYTES, slab->granules - 1u, entry);
}

static void slab_disown(struct slab *slab)
{
    uint32_t entry = class_entry(slab->class_index);
    if (slab->granules > 1)
        entries_set_rest(slab, entry);
    atomic_store_explicit(page_map_entry(slab->base), entry, memory_order_release); /* O1 */
}

/* entry: ownerless, as it was seen. */
static bool slab_own(struct heap *heap, struct slab *slab, uint32_t entry)
{
    uint32_t mine = heap->tag | entry;
    if (!atomic_compare_exchange_strong_explicit(page_map_entry(slab->base), &entry, mine, memory_order_acquire, /* O1 */
                                                 memory_order_relaxed))
        return false;
    if (slab->granules > 1)
        entries_set_rest(slab, mine);
    return true;
}

static void slab_link(struct heap *heap, struct slab *slab)
{
    struct pool *pool = &heap->pool[slab->class_index];
    if (slab->free_count != 0)
        list_push(&pool->partial, &slab->node);
    else if (slab_has_free(slab))
        list_append(&pool->partial, &slab->node);
    else
        list_push(&pool->full, &slab->node);
}

static void slab_detach(struct slab *slab)
{
    list_remove(&slab->node);
    slab_disown(slab);
}

/* On the list before it is without owner: whoever claims it sees that it is listed. */
static void slab_abandon(struct heap *heap, struct slab *slab)
{
    struct ownerless *list = &ownerless[slab->class_index];
    counter_add(&heap->pool[slab->class_index].counts.abandoned, 1);
    list_remove(&slab->node);
    neb_lock_take(lock_of(list));
    list_append(&list->slabs, &slab->node); /* the oldest is adopted first: most of its blocks are free by then */
    atomic_store_explicit(&slab->listed, 1, memory_order_relaxed); /* O1 publishes it */
    atomic_fetch_add_explicit(&list->count, 1, memory_order_relaxed);
    slab_disown(slab);
    neb_lock_give(lock_of(list));
}

static void unlist_locked(struct ownerless *list, struct slab *slab)
{
    list_remove(&slab->node);
    atomic_fetch_sub_explicit(&list->count, 1, memory_order_relaxed);
    atomic_store_explicit(&slab->listed, 0, memory_order_release); /* O2: the node is the claimer's from now on */
}

/* A free found the slab without owner. The list's pops may be faster in taking it off the list. */
static bool slab_claim(struct heap *heap, struct slab *slab, uint32_t entry)
{
    if (!slab_own(heap, slab, entry))
        return false;
    if (atomic_load_explicit(&slab->listed, memory_order_acquire)) { /* O2 */
        struct ownerless *list = &ownerless[slab->class_index];
        neb_lock_take(lock_of(list));
        if (atomic_load_explicit(&slab->listed, memory_order_relaxed)) /* the lock orders it */
            unlist_locked(list, slab);
        neb_lock_give(lock_of(list));
    }
    counter_add(&heap->pool[slab->class_index].counts.claims, 1);
    slab_link(heap, slab);
    return true;
}

/* A slab from the list; NULL: there is none. One that a free claims at this moment is dropped from the list. */
static struct slab *slab_adopt(struct heap *heap, unsigned class_index)
{
    struct ownerless *list = &ownerless[class_index];
    struct slab *adopted = NULL;
    if (atomic_load_explicit(&list->count, memory_order_relaxed) == 0) /* a hint */
        return NULL;
    neb_lock_take(lock_of(list));
    while (adopted == NULL && !list_is_empty(&list->slabs)) {
        struct slab *slab = LIST_OF(list->slabs.next, struct slab, node);
        uint32_t entry = atomic_load_explicit(page_map_entry(slab->base), memory_order_relaxed); /* own acquires */
        if (entry_owner(entry) == 0 && slab_own(heap, slab, entry))
            adopted = slab;
        unlist_locked(list, slab);
    }
    neb_lock_give(lock_of(list));
    if (adopted == NULL)
        return NULL;
    counter_add(&heap->pool[class_index].counts.adopted, 1);
    slab_link(heap, adopted);
    return adopted;
}

/* All of the slab will be used: one system call instead of a page fault a page. */
static void slab_populate(const struct granules *granules)
{
    if (granules->is_clean && !granules->chunk->is_huge)
        neb_vm_populate(granules_base(granules), (size_t)granules->count << GRANULE_SHIFT);
}

static struct slab *slab_make(struct heap *heap, unsigned class_index)
{
    bool grows = heap->pool[class_index].streak >= GROWING_REFILLS;
    struct granules granules =
        neb_granules_take(neb_size_class[class_index].granules, grows ? GRANULES_DENSE : GRANULES_SPARSE);
    if (granules.chunk == NULL)
        return NULL;
    struct slab *slab = &granules.chunk->slab[granules.first];
    neb_slab_init(slab, granules_base(&granules), class_index, granules.is_clean);
    neb_page_map_fill(slab->base, granules.count, heap->tag | class_entry(class_index));
    counter_add(&heap->pool[class_index].counts.slabs_made, 1);
    if (grows)
        slab_populate(&granules);
    slab_link(heap, slab);
    return slab;
}

static void slab_release(struct heap *heap, struct slab *slab)
{
    list_remove(&slab->node);
    counter_add(&heap->pool[slab->class_index].counts.slabs_released, 1);
    neb_page_map_fill(slab->base, slab->granules, ENTRY_NONE);
    neb_granules_give(page_map_chunk(slab->base), chunk_granule_of(slab->base), slab->granules);
}

/* A slab of which no block is out would wait on the list for ever: no free can claim it. */
static void slab_pass_on(struct heap *heap, struct slab *slab)
{
    if (slab_is_unused(slab))
        slab_release(heap, slab);
    else
        slab_abandon(heap, slab);
}

/* ---- blocks back into slabs ---------------------------------------------------------------------------------------- */

static bool list_is_single(const struct list_node *head)
{
    return head->next == head->prev;
}

static void bit_set(struct heap *heap, struct slab *slab, void *p, const char *call)
{
    enum slab_answer answer = neb_slab_give_block(slab, p);
    if (NEB_UNLIKELY(answer == SLAB_ALREADY_FREE))
        neb_fault_double_free(call, p);
    if (NEB_UNLIKELY(answer != SLAB_OK))
        neb_fault_invalid(call, p);
    counter_add(&heap->pool[slab->class_index].counts.returned, 1);
}

static void slab_give(struct heap *heap, struct slab *slab, void *p, const char *call)
{
    struct pool *pool = &heap->pool[slab->class_index];
    bit_set(heap, slab, p, call);
    if (slab->free_count == 1) {
        list_remove(&slab->node);
        list_push(&pool->partial, &slab->node);
    }
    /* The last slab is kept: the next refill would have to make it again. */
    if (slab_is_unused(slab) && !list_is_single(&pool->partial))
        slab_release(heap, slab);
}

/* A heap that does not allocate passes the slab on to those that do. */
static void slab_give_and_pass_on(struct heap *heap, struct slab *slab, void *p, const char *call)
{
    bit_set(heap, slab, p, call);
    slab_pass_on(heap, slab);
}

/* Brings the block to where its slab's owner of this moment wants it: the bitmap, or an outbox. A batch whose
 * owner is gone comes back, for the caller to give its blocks again. */
static struct batch *block_give(struct heap *heap, void *p, const char *call)
{
    for (;;) {
        if (NEB_UNLIKELY(!entry_is_pooled(page_map_load(p))))
            neb_fault_double_free(call, p); /* its slab was released since it was freed for the first time */
        struct slab *slab = slab_of(p);
        uint32_t entry = page_map_load(slab->base);
        if (entry_owner(entry) == heap->id) {
            slab_give(heap, slab, p, call);
            return NULL;
        }
        if (entry_owner(entry) != 0)
            return neb_outbox_put(heap, entry_owner(entry), p, slab->class_index);
        (void)slab_claim(heap, slab, entry); /* another may be faster: look again */
    }
}

static void batches_give(struct heap *heap, struct batch *work)
{
    while (work != NULL) {
        struct batch *batch = work;
        work = batch->next;
        for (uint32_t i = 0; i < batch->count; i++) {
            struct batch *refused = block_give(heap, batch->block[i], "free");
            if (refused != NULL) {
                refused->next = work;
                work = refused;
            }
        }
        neb_batch_recycle(heap, batch);
    }
}

static void block_give_fully(struct heap *heap, void *p, const char *call)
{
    batches_give(heap, block_give(heap, p, call));
}

static void inbox_apply(struct heap *heap)
{
    struct batch *batches = neb_inbox_take_all(&heap->inbox);
    for (const struct batch *batch = batches; batch != NULL; batch = batch->next)
        counter_add(&heap->counts.batches_applied, 1);
    batches_give(heap, batches);
}

static void outbox_empty(struct heap *heap)
{
    for (unsigned slot = 0; slot < OUTBOX_SLOTS; slot++)
        batches_give(heap, neb_outbox_send(heap, slot));
}

/* ---- flush --------------------------------------------------------------------------------------------------------- */

/* Gives back the oldest entries. */
static void magazine_flush(struct heap *heap, unsigned class_index, size_t count)
{
    struct pool *pool = &heap->pool[class_index];
    struct bin *bin = &heap->bin[class_index];
    void **oldest = pool->magazine + 1;
    for (size_t i = 0; i < count; i++)
        block_give_fully(heap, oldest[i], "free");
    size_t left = (size_t)(bin->top - pool->magazine) - count;
    for (size_t i = 0; i < left; i++)
        oldest[i] = oldest[i + count];
    bin->top -= count;
    atomic_store_explicit(&pool->counts.held, left, memory_order_relaxed);
}

static bool is_consumer(const struct pool *pool)
{
    return pool->streak <= -CONSUMER_FLUSHES && neb_heap_others_exist();
}

/* All but the one that a refill would take first. */
static void abandon_partial(struct heap *heap, struct pool *pool)
{
    if (list_is_empty(&pool->partial))
        return;
    while (!list_is_single(&pool->partial))
        slab_pass_on(heap, LIST_OF(pool->partial.prev, struct slab, node));
}

static void pool_flush_half(struct heap *heap, unsigned class_index)
{
    struct pool *pool = &heap->pool[class_index];
    size_t count = bin_count(heap, class_index);
    magazine_flush(heap, class_index, (count + 1) / 2);
    counter_add(&pool->counts.flushes, 1);
    if (is_consumer(pool))
        abandon_partial(heap, pool);
}

/* Room for one more block in the magazine; false: there is no memory for a magazine. */
static bool pool_make_room(struct heap *heap, unsigned class_index)
{
    struct pool *pool = &heap->pool[class_index];
    if (pool->magazine == NULL)
        return neb_magazine_create(heap, class_index);
    bool swung = pool->streak > 0;
    pool->streak = (int8_t)(swung ? -1 : pool->streak > -STREAK_MAX ? pool->streak - 1 : pool->streak);
    pool->is_active = 1;
    if (!swung || !neb_magazine_grow(heap, class_index))
        pool_flush_half(heap, class_index);
    return true;
}

void neb_pool_give(struct heap *heap, void *p, const char *call)
{
    struct slab *slab = slab_of(p);
    unsigned class_index = slab->class_index;
    if (NEB_UNLIKELY(slab_block_index(slab, p) == SIZE_MAX))
        neb_fault_invalid(call, p);
    uint32_t entry = page_map_load(slab->base);
    while (entry_owner(entry) == 0) {
        bool claimed = slab_claim(heap, slab, entry);
        if (claimed && slab_has_free(slab) && heap->pool[class_index].streak <= 0) {
            slab_give_and_pass_on(heap, slab, p, call);
            return;
        }
        entry = page_map_load(slab->base);
    }
    if (entry_owner(entry) != heap->id || POLICY_FREE_EXACT) {
        block_give_fully(heap, p, call);
        return;
    }
    enum slab_answer answer = neb_slab_look(slab, p);
    if (NEB_UNLIKELY(answer == SLAB_ALREADY_FREE))
        neb_fault_double_free(call, p);
    if (NEB_UNLIKELY(answer != SLAB_OK))
        neb_fault_invalid(call, p);
    struct bin *bin = &heap->bin[class_index];
    if (bin->top == bin->limit && !pool_make_room(heap, class_index)) {
        block_give_fully(heap, p, call);
        return;
    }
    *++bin->top = p;
}

/* ---- refill -------------------------------------------------------------------------------------------------------- */

static size_t fresh_count(unsigned class_index)
{
    size_t count = FRESH_BYTES / neb_size_class[class_index].size;
    return count == 0 ? 1 : count;
}

/* What the slab has of up to want blocks; it leaves the heap when it has no more. */
static size_t slab_take(struct heap *heap, struct slab *slab, void **into, size_t want)
{
    struct pool *pool = &heap->pool[slab->class_index];
    size_t fresh = fresh_count(slab->class_index);
    size_t count = slab->free_count != 0 ? neb_slab_take_bits(slab, into, want)
                                         : neb_slab_take_fresh(slab, into, want < fresh ? want : fresh);
    if (!slab_has_free(slab)) {
        slab_detach(slab);
    } else if (slab->free_count == 0) {
        list_remove(&slab->node);
        list_append(&pool->partial, &slab->node);
    }
    return count;
}

static struct slab *first_partial(const struct pool *pool)
{
    return list_is_empty(&pool->partial) ? NULL : LIST_OF(pool->partial.next, struct slab, node);
}

static size_t take_recycled(struct heap *heap, struct pool *pool, void **into, size_t want)
{
    size_t count = 0;
    for (struct slab *slab; count < want && (slab = first_partial(pool)) != NULL && slab->free_count != 0;)
        count += slab_take(heap, slab, into + count, want - count);
    return count;
}

/* In the order of architecture: what is warm and mine first, fresh memory last. */
static size_t take_blocks(struct heap *heap, unsigned class_index, void **into, size_t want)
{
    struct pool *pool = &heap->pool[class_index];
    size_t count = take_recycled(heap, pool, into, want);
    if (count == 0 && neb_inbox_has_batches(&heap->inbox)) {
        inbox_apply(heap);
        count = take_recycled(heap, pool, into, want);
    }
    if (count > 0)
        return count;
    struct slab *slab = first_partial(pool);
    if (slab == NULL)
        slab = slab_adopt(heap, class_index);
    if (slab == NULL)
        slab = slab_make(heap, class_index);
    return slab == NULL ? 0 : slab_take(heap, slab, into, want);
}

bool neb_pool_refill(struct heap *heap, unsigned class_index)
{
    struct pool *pool = &heap->pool[class_index];
    if (pool->magazine == NULL && !neb_magazine_create(heap, class_index))
        return false;
    if (pool->streak < 0 || pool->streak >= PRODUCER_REFILLS)
        (void)neb_magazine_grow(heap, class_index);
    pool->streak = (int8_t)(pool->streak < 0 ? 1 : pool->streak < STREAK_MAX ? pool->streak + 1 : pool->streak);
    pool->is_active = 1;
    struct bin *bin = &heap->bin[class_index];
    size_t want = POLICY_FREE_EXACT ? 1 : (size_t)(bin->limit - pool->magazine + 1) / 2;
    size_t count = take_blocks(heap, class_index, pool->magazine + 1, want);
    bin->top = pool->magazine + count;
    counter_add(&pool->counts.refills, 1);
    counter_add(&pool->counts.taken, count);
    atomic_store_explicit(&pool->counts.held, count, memory_order_relaxed);
    return count > 0;
}

void *neb_pool_take_zero(struct heap *heap, unsigned class_index)
{
    struct pool *pool = &heap->pool[class_index];
    struct slab *slab = first_partial(pool);
    if (slab == NULL && (slab = slab_adopt(heap, class_index)) == NULL)
        slab = slab_make(heap, class_index);
    if (slab == NULL || slab->free_count != 0 || !slab->is_clean)
        return NULL;
    void *block = NULL;
    (void)neb_slab_take_fresh(slab, &block, 1);
    if (!slab_has_free(slab))
        slab_detach(slab);
    counter_add(&pool->counts.taken, 1);
    return block;
}

/* ---- what is idle, and the end ------------------------------------------------------------------------------------- */

static size_t slabs_purge(struct heap *heap, struct pool *pool)
{
    size_t given = 0;
    if (list_is_empty(&pool->partial))
        return 0;
    for (struct list_node *node = pool->partial.next, *next; node != &pool->partial; node = next) {
        struct slab *slab = LIST_OF(node, struct slab, node);
        next = node->next;
        if (slab_is_unused(slab))
            slab_release(heap, slab);
        else
            given += neb_slab_purge(slab);
    }
    return given;
}

/* Empties a pool that nobody used for a while: its free memory is worth more elsewhere. */
static size_t pool_idle(struct heap *heap, unsigned class_index)
{
    struct pool *pool = &heap->pool[class_index];
    if (pool->magazine != NULL) {
        magazine_flush(heap, class_index, bin_count(heap, class_index));
        neb_magazine_destroy(heap, class_index);
    }
    return slabs_purge(heap, pool);
}

static void heap_sweep(struct heap *heap)
{
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        struct pool *pool = &heap->pool[class_index];
        if (!pool->is_active)
            (void)pool_idle(heap, class_index);
        pool->is_active = 0;
    }
}

void neb_heap_tick(struct heap *heap)
{
    if (NEB_LIKELY(++heap->slow_calls % TICK_CALLS != 0))
        return;
    uint32_t now = neb_clock_ms(), decay = neb_heap_decay();
    outbox_empty(heap);
    inbox_apply(heap);
    (void)neb_chunk_decay(now, decay);
    if (now - heap->swept_ms >= decay) {
        heap->swept_ms = now;
        heap_sweep(heap);
    }
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
static size_t ownerless_purge(struct heap *heap, unsigned class_index)
{
    struct pool *pool = &heap->pool[class_index];
    uint32_t count = atomic_load_explicit(&ownerless[class_index].count, memory_order_relaxed);
    size_t given = 0;
    struct list_node mine;
    list_init(&mine);
    while (count-- > 0) {
        struct slab *slab = slab_adopt(heap, class_index);
        if (slab == NULL)
            break;
        given += neb_slab_purge(slab);
        list_remove(&slab->node);
        list_push(&mine, &slab->node);
    }
    while (!list_is_empty(&mine)) {
        struct slab *slab = LIST_OF(mine.next, struct slab, node);
        list_remove(&slab->node);
        list_push(&pool->full, &slab->node); /* abandon takes it out of a list */
        slab_abandon(heap, slab);
    }
    return given;
}

size_t neb_heap_trim(struct heap *heap)
{
    size_t given = 0;
    inbox_apply(heap);
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        given += pool_idle(heap, class_index);
        given += ownerless_purge(heap, class_index);
    }
    outbox_empty(heap);
    return given;
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
        slab_pass_on(heap, LIST_OF(pool->partial.next, struct slab, node));
    while (!list_is_empty(&pool->full))
        slab_detach(LIST_OF(pool->full.next, struct slab, node));
}

/* Nothing that can claim a slab or fill an outbox may stand between the abandoning and the close. */
void neb_heap_give_up(struct heap *heap)
{
    do {
        do {
            for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++)
                if (heap->pool[class_index].magazine != NULL) {
                    magazine_flush(heap, class_index, bin_count(heap, class_index));
                    neb_magazine_destroy(heap, class_index);
                }
            inbox_apply(heap);
            outbox_empty(heap);
        } while (!outbox_is_empty(heap));
        for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++)
            pool_abandon(heap, &heap->pool[class_index]);
    } while (!neb_inbox_close(&heap->inbox));
    neb_batches_drop(heap);
}
