/* block.c - see block.h. */
#include "trace/block.h"

#include "heap/heap.h"
#include "heap/large.h"
#include "heap/meta.h"
#include "os/lock.h"
#include <string.h>

enum { KIND_LARGE = CLASS_COUNT, KIND_NONE, ORDER_MIN = 8, WIDE_SHIFT = 13 };
_Static_assert(BIG_MIN == 1 << WIDE_SHIFT && GRANULE_BYTES >> WIDE_SHIFT == 8, "at most eight big blocks begin in each granule");

struct array {
    uint32_t kind, order;
    struct block_trace record[];
};

struct page {
    struct array *_Atomic array[CHUNK_GRANULES];
};

struct leaf {
    struct page *_Atomic page[LEAF_CHUNKS];
};

static struct leaf *_Atomic root[LEAF_COUNT];

/* Memory of scopes and regions has its own kind of entry: both upper bits. */
static unsigned kind_of(uint32_t entry)
{
    if (entry_is_pooled(entry))
        return entry_class(entry);
    return entry == ENTRY_LARGE_HEAD || (entry_is_huge(entry) && (entry >> 30 & 1) == 0) ? KIND_LARGE : KIND_NONE;
}

static bool is_wide(unsigned kind)
{
    return size_class_is_big(&neb_size_class[kind]);
}

static size_t index_of(const void *p, unsigned kind)
{
    size_t offset = ptr_address(p) % GRANULE_BYTES;
    if (kind == KIND_LARGE)
        return 0;
    return is_wide(kind) ? offset >> WIDE_SHIFT : size_class_index(&neb_size_class[kind], offset);
}

static size_t records_of(unsigned kind)
{
    if (kind == KIND_LARGE)
        return 2;
    return is_wide(kind) ? GRANULE_BYTES >> WIDE_SHIFT : neb_size_class[kind].capacity;
}

static struct page *page_of(const void *p)
{
    struct leaf *leaf = atomic_load_explicit(&root[ptr_address(p) >> LEAF_SHIFT], memory_order_acquire); /* B2 */
    if (NEB_UNLIKELY(leaf == NULL))
        return NULL;
    return atomic_load_explicit(&leaf->page[(ptr_address(p) >> CHUNK_SHIFT) % LEAF_CHUNKS], memory_order_acquire); /* B2 */
}

static unsigned granule_of(const void *p)
{
    return (unsigned)(ptr_address(p) >> GRANULE_SHIFT) % CHUNK_GRANULES;
}

static struct array *array_of(const struct page *page, const void *p)
{
    return page == NULL ? NULL : atomic_load_explicit(&page->array[granule_of(p)], memory_order_acquire); /* B1 */
}

/* ---- making them: LOCK_TRACE_BLOCKS is held ------------------------------------------------------------------------- */

static struct page *page_ensure(const void *p)
{
    struct page *page = page_of(p);
    struct leaf *_Atomic *at = &root[ptr_address(p) >> LEAF_SHIFT];
    struct leaf *leaf = atomic_load_explicit(at, memory_order_relaxed); /* lock held */
    if (page != NULL)
        return page;
    if (leaf == NULL)
        leaf = neb_meta_take(sizeof *leaf, 64);
    if (leaf == NULL)
        return NULL;
    atomic_store_explicit(at, leaf, memory_order_release); /* B2 */
    page = neb_meta_take(sizeof *page, 64);
    atomic_store_explicit(&leaf->page[(ptr_address(p) >> CHUNK_SHIFT) % LEAF_CHUNKS], page, memory_order_release); /* B2 */
    return page;
}

static struct array *array_make(unsigned kind)
{
    size_t bytes = sizeof(struct array) + records_of(kind) * sizeof(struct block_trace);
    unsigned order = ORDER_MIN;
    while ((size_t)1 << order < bytes)
        order++;
    struct array *array = neb_meta_array_take(order);
    if (array == NULL)
        return NULL;
    memset(array, 0, bytes);
    array->kind = kind;
    array->order = order;
    return array;
}

/* The granule's array for this kind; one of another kind is left over from a slab that is gone. */
static NEB_COLD struct array *array_ensure(const void *p, unsigned kind)
{
    neb_lock_take(&neb_locks[LOCK_TRACE_BLOCKS]);
    struct page *page = page_ensure(p);
    struct array *array = array_of(page, p);
    if (page != NULL && (array == NULL || array->kind != kind)) {
        if (array != NULL)
            neb_meta_array_give(array, array->order);
        array = array_make(kind);
        atomic_store_explicit(&page->array[granule_of(p)], array, memory_order_release); /* B1 */
    }
    neb_lock_give(&neb_locks[LOCK_TRACE_BLOCKS]);
    return array;
}

struct block_records neb_block_records_locked(const void *granule)
{
    unsigned kind = kind_of(page_map_load(granule));
    struct array *array = kind >= CLASS_COUNT ? NULL : array_of(page_of(granule), granule);
    if (array == NULL || array->kind != kind)
        return (struct block_records){NULL, 0, 0};
    return (struct block_records){array->record, records_of(kind), kind};
}

/* ---- records ------------------------------------------------------------------------------------------------------------ */

static struct block_slot slot_in(struct array *array, const void *p, unsigned kind)
{
    if (array == NULL || array->kind != kind)
        return (struct block_slot){NULL, false, 0};
    return (struct block_slot){&array->record[index_of(p, kind)], kind == KIND_LARGE,
                               kind == KIND_LARGE ? 0 : neb_size_class[kind].size};
}

struct block_slot neb_block_slot(const void *p)
{
    unsigned kind = kind_of(page_map_load(p));
    if (NEB_UNLIKELY(kind == KIND_NONE))
        return (struct block_slot){NULL, false, 0};
    struct array *array = array_of(page_of(p), p);
    if (NEB_UNLIKELY(array == NULL || array->kind != kind))
        array = array_ensure(p, kind);
    return slot_in(array, p, kind);
}

struct block_slot neb_block_find(const void *p)
{
    unsigned kind = kind_of(page_map_load(p));
    if (NEB_UNLIKELY(kind == KIND_NONE))
        return (struct block_slot){NULL, false, 0};
    return slot_in(array_of(page_of(p), p), p, kind);
}
