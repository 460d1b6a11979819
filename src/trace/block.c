/* block.c - see block.h. */
#include "trace/block.h"

#include "heap/meta.h"
#include "os/lock.h"
#include "os/vm.h"

enum { ORDER_MIN = 8, WIDE_SHIFT = 13, INVERSE_SHIFT = 40 };
_Static_assert(BIG_MIN == 1 << WIDE_SHIFT && GRANULE_BYTES >> WIDE_SHIFT == 8, "at most eight blocks of a wide class begin in each granule");

struct block_kind neb_block_kind[BLOCK_KINDS];
unsigned char *_Atomic *neb_block_window;
struct block_leaf *_Atomic neb_block_root[LEAF_COUNT];

/* The address of a wide class's block tells which of its granule's eighths it begins in: there is no more than one. */
static struct block_kind kind_of_class(const struct size_class *class)
{
    if (size_class_is_wide(class))
        return (struct block_kind){UINT64_C(1) << (INVERSE_SHIFT - WIDE_SHIFT), class->size, GRANULE_BYTES >> WIDE_SHIFT};
    return (struct block_kind){class->inverse, class->size, class->capacity};
}

void neb_block_init(void)
{
    if (neb_block_kind[BLOCK_KIND_LARGE].count != 0)
        return;
    for (unsigned i = 0; i < CLASS_COUNT; i++)
        neb_block_kind[BLOCK_KIND_FIRST + i] = kind_of_class(&neb_size_class[i]);
    neb_block_kind[BLOCK_KIND_LARGE] = (struct block_kind){0, 0, 2};
    neb_block_window = neb_vm_map(WINDOW_GRANULES * sizeof *neb_block_window); /* address space, as leaves */
}

/* ---- making them: LOCK_TRACE_BLOCKS is held ------------------------------------------------------------------------- */

static void leaf_make(const void *p)
{
    struct block_leaf *leaf = neb_meta_take(sizeof *leaf, 64); /* address space: few of its pages are ever touched */
    atomic_store_explicit(&neb_block_root[ptr_address(p) >> LEAF_SHIFT], leaf, memory_order_release); /* B2 */
}

static unsigned order_of(unsigned kind)
{
    unsigned order = ORDER_MIN;
    while ((size_t)1 << order < neb_block_kind[kind].count * sizeof(struct block_trace))
        order++;
    return order;
}

static unsigned char *array_make(unsigned kind)
{
    unsigned char *array = neb_meta_array_take_zeroed(order_of(kind), neb_block_kind[kind].count * sizeof(struct block_trace));
    return array == NULL ? NULL : array + kind;
}

static void array_give(unsigned char *array)
{
    unsigned kind = (unsigned)(ptr_address(array) % 256);
    neb_meta_array_give(array - kind, order_of(kind));
}

/* The granule's array for this kind; one of another kind is left over from a slab that is gone. */
unsigned char *neb_block_array_make(const void *p, unsigned kind)
{
    neb_lock_take(&neb_locks[LOCK_TRACE_BLOCKS]);
    if (block_array_place(p) == NULL)
        leaf_make(p);
    unsigned char *_Atomic *place = block_array_place(p);
    unsigned char *array = block_array(p);
    if (place != NULL && !block_array_is(array, kind)) {
        if (array != NULL)
            array_give(array);
        array = array_make(kind);
        atomic_store_explicit(place, array, memory_order_release); /* B1 */
    }
    neb_lock_give(&neb_locks[LOCK_TRACE_BLOCKS]);
    return array;
}

struct block_records neb_block_records_locked(const void *granule)
{
    unsigned kind = block_kind_of(page_map_load(granule));
    unsigned char *array = block_array(granule);
    if (kind < BLOCK_KIND_FIRST || kind >= BLOCK_KINDS || !block_array_is(array, kind))
        return (struct block_records){NULL, 0, 0};
    return (struct block_records){(struct block_trace *)(void *)(array - kind), neb_block_kind[kind].count, kind - BLOCK_KIND_FIRST};
}
