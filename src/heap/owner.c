/* owner.c - who owns a slab; see owner.h. */
#include "heap/owner.h"

#include "os/lock.h"
#include "os/vm.h"

struct ownerless {
    _Atomic uint32_t count; /* a look without the lock may save taking it */
    _Atomic bool is_wanted; /* somebody found none since one was last put here: a hint */
    struct list_node slabs;
};

NEB_SPARSE static struct ownerless ownerless[CLASS_COUNT];
_Static_assert(LOCK_COUNT - LOCK_OWNERLESS == CLASS_COUNT, "each list has its lock");

static struct lock *lock_of(const struct ownerless *list)
{
    return &neb_locks[LOCK_OWNERLESS + (list - ownerless)];
}

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

void neb_slab_detach(struct slab *slab)
{
    list_remove(&slab->node);
    slab_disown(slab);
}

/* On the list before it is without owner: whoever claims it sees that it is listed. */
NEB_THREADED void neb_slab_abandon(struct heap *heap, struct slab *slab)
{
    struct ownerless *list = &ownerless[slab->class_index];
    counter_add(&heap->pool[slab->class_index].counts.abandoned, 1);
    list_remove(&slab->node);
    neb_lock_take(lock_of(list));
    list_append(&list->slabs, &slab->node); /* the oldest is adopted first: most of its blocks are free by then */
    atomic_store_explicit(&slab->listed, 1, memory_order_relaxed); /* O1 publishes it */
    atomic_fetch_add_explicit(&list->count, 1, memory_order_relaxed);
    atomic_store_explicit(&list->is_wanted, false, memory_order_relaxed);
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
bool neb_slab_claim(struct heap *heap, struct slab *slab, uint32_t entry)
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

NEB_THREADED uint32_t neb_ownerless_count(unsigned class_index)
{
    return atomic_load_explicit(&ownerless[class_index].count, memory_order_relaxed); /* a hint */
}

NEB_THREADED bool neb_ownerless_is_wanted(unsigned class_index)
{
    return atomic_load_explicit(&ownerless[class_index].is_wanted, memory_order_relaxed); /* a hint */
}

/* A slab from the list; NULL: there is none. One that a free claims at this moment is dropped from the list. */
struct slab *neb_slab_adopt(struct heap *heap, unsigned class_index)
{
    struct ownerless *list = &ownerless[class_index];
    struct slab *adopted = NULL;
    if (neb_ownerless_count(class_index) == 0) {
        if (neb_heap_others_exist()) /* else nobody could give one, and a page stays untouched */
            atomic_store_explicit(&list->is_wanted, true, memory_order_relaxed);
        return NULL;
    }
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
    if (granules->is_clean && !granules->is_huge)
        neb_vm_populate(granules_base(granules), (size_t)granules->count << GRANULE_SHIFT);
}

struct slab *neb_slab_make(struct heap *heap, unsigned class_index)
{
    const struct size_class *class = &neb_size_class[class_index];
    bool grows = heap->pool[class_index].streak >= GROWING_REFILLS;
    struct granules granules =
        neb_granules_take(class->granules, grows && !size_class_is_big(class) ? GRANULES_DENSE : GRANULES_SPARSE);
    if (granules.chunk == NULL)
        return NULL;
    struct slab *slab = &granules.chunk->slab[granules.first];
    neb_slab_init(slab, granules_base(&granules), class_index, granules.is_clean);
    if (!neb_records_make(slab)) {
        neb_granules_give(granules.chunk, granules.first, granules.count);
        return NULL;
    }
    neb_page_map_fill(slab->base, granules.count, heap->tag | class_entry(class_index));
    counter_add(&heap->pool[class_index].counts.slabs_made, 1);
    if (grows)
        slab_populate(&granules);
    slab_link(heap, slab);
    return slab;
}

void neb_slab_release(struct heap *heap, struct slab *slab)
{
    list_remove(&slab->node);
    counter_add(&heap->pool[slab->class_index].counts.slabs_released, 1);
    neb_page_map_fill(slab->base, slab->granules, ENTRY_NONE);
    neb_records_drop(slab);
    neb_granules_give(page_map_chunk(slab->base), chunk_granule_of(slab->base), slab->granules);
}

/* A slab of which no block is out would wait on the list for ever: no free can claim it. */
NEB_THREADED void neb_slab_pass_on(struct heap *heap, struct slab *slab)
{
    if (slab_is_unused(slab))
        neb_slab_release(heap, slab);
    else
        neb_slab_abandon(heap, slab);
}
