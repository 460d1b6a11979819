/* page_map.h - from an address to what lives there.
 *
 *   high addresses                    the kernel places mappings downwards from the first one
 *      top ----> [chunk][chunk][huge]...[chunk] ....
 *   window[(top - address) >> 16]     one 32-bit entry for each granule: what free() reads, one load
 *   root[address >> 34] -> leaf       the same for granules outside the window (few), and for every chunk
 *                                     the pointer to its descriptor
 *
 * entry:  0                          not ours
 *         10 iiiiii...               bit 31: huge block number i
 *         11 nnnnnn...               bits 31 and 30: memory of a scope, bump arena, pool or stack (front/region.h)
 *         heap id << 12 | offset     pooled: the owner, and the byte offset of the class's bin in any heap
 *         0 | LARGE_HEAD, ...        other kinds; no bin has such a small offset
 *
 * The window reserves 4 MiB of address space and commits 64 KiB of it for each GiB that is in use. Nothing else
 * is reserved, but twice as much where states are kept: whoever limits address space gets what the allocator uses.
 *
 * Invariant  only heap h changes an entry that names h (ownership protocol, src/README.md)
 * Failure    neb_page_map_cover answers false when the system has no memory; nothing changed
 * Sync       P1: an entry is published after what it describes; P2: so is a leaf; P3: so is a chunk;
 *            P4: so is a part of the window, by the count of its entries */
#ifndef NEB_HEAP_PAGE_MAP_H
#define NEB_HEAP_PAGE_MAP_H

#include "base/attr.h"
#include "base/ptr.h"
#include "policy/tuning.h"
#include <stdatomic.h>
#include <stdbool.h>

struct chunk;

enum {
    ENTRY_NONE = 0,
    ENTRY_LARGE_HEAD = 1, /* first granule of a large block */
    ENTRY_LARGE_BODY = 2, /* the others */
    ENTRY_EMERGENCY = 3,  /* heap/emergency.h */
    ENTRY_OFFSET_BITS = 12
};
#define ENTRY_HUGE (UINT32_C(1) << 31)
#define ENTRY_OFFSET_MASK ((UINT32_C(1) << ENTRY_OFFSET_BITS) - 1)
_Static_assert(HEAP_ID_BITS + ENTRY_OFFSET_BITS == 31, "an entry is an id, an offset, and the huge bit");

struct entry_leaf {
    _Atomic uint32_t entry[LEAF_GRANULES];
};

struct chunk_leaf {
    _Atomic(struct chunk *) chunk[LEAF_CHUNKS];
};

/* Where only blocks' states are remembered (record.h): for each granule of the window the states of its slab, if it is one granule; else NULL.
 * Ownership  of each: the owner of the slab */
typedef _Atomic(_Atomic uint8_t *) window_states;

extern NEB_HIDDEN _Atomic uintptr_t neb_window_last; /* the highest address that the window covers; written once */
extern NEB_HIDDEN _Atomic size_t neb_window_count;   /* entries that may be read; grows */
extern NEB_HIDDEN _Atomic(_Atomic uint32_t *) neb_window_entry; /* written once */
extern NEB_HIDDEN _Atomic(window_states *) neb_window_states;   /* written once, before there are threads; NULL: not kept */
extern NEB_HIDDEN _Atomic(struct entry_leaf *) neb_entry_root[LEAF_COUNT];
extern NEB_HIDDEN _Atomic(struct chunk_leaf *) neb_chunk_root[LEAF_COUNT];

/* A heap's own copy of the window, so that free() needs no second cache line and the compiler no atomic load. What
 * grew since it was made is found by the slow path, which makes it anew. */
struct window {
    uintptr_t last;
    size_t count;
    _Atomic uint32_t *entry;
};

NEB_INLINE struct window window_copy(void)
{
    size_t count = atomic_load_explicit(&neb_window_count, memory_order_acquire); /* P4 */
    return (struct window){atomic_load_explicit(&neb_window_last, memory_order_relaxed), count,
                           atomic_load_explicit(&neb_window_entry, memory_order_relaxed)};
}

/* Of p's granule. Outside it is no less than the count. */
NEB_INLINE size_t window_index_in(const struct window *window, const void *p)
{
    return (window->last - ptr_address(p)) >> GRANULE_SHIFT;
}

/* The entry of p; ENTRY_NONE when p is outside. */
NEB_INLINE uint32_t window_load(const struct window *window, const void *p)
{
    size_t index = window_index_in(window, p);
    if (NEB_UNLIKELY(index >= window->count))
        return ENTRY_NONE;
    return atomic_load_explicit(&window->entry[index], memory_order_acquire); /* P1 */
}

/* Distance of p's granule from the window's top. */
NEB_INLINE size_t window_index(const void *p)
{
    return (atomic_load_explicit(&neb_window_last, memory_order_relaxed) - ptr_address(p)) >> GRANULE_SHIFT;
}

/* The word of the granule that holds p; NULL when nothing near p was ever ours. */
NEB_INLINE _Atomic uint32_t *page_map_entry(const void *p)
{
    size_t index = window_index(p);
    if (NEB_LIKELY(index < atomic_load_explicit(&neb_window_count, memory_order_acquire))) /* P4 */
        return atomic_load_explicit(&neb_window_entry, memory_order_relaxed) + index;
    uintptr_t leaf_index = ptr_address(p) >> LEAF_SHIFT;
    if (leaf_index >= LEAF_COUNT)
        return NULL;
    struct entry_leaf *leaf = atomic_load_explicit(&neb_entry_root[leaf_index], memory_order_acquire); /* P2 */
    return leaf == NULL ? NULL : &leaf->entry[(ptr_address(p) >> GRANULE_SHIFT) % LEAF_GRANULES];
}

NEB_INLINE uint32_t page_map_load(const void *p)
{
    size_t index = window_index(p);
    if (NEB_LIKELY(index < atomic_load_explicit(&neb_window_count, memory_order_acquire))) /* P4 */
        return atomic_load_explicit(atomic_load_explicit(&neb_window_entry, memory_order_relaxed) + index, memory_order_acquire); /* P1 */
    _Atomic uint32_t *entry = page_map_entry(p);
    return entry == NULL ? ENTRY_NONE : atomic_load_explicit(entry, memory_order_acquire); /* P1 */
}

/* The descriptor of the chunk around p; p lies in a chunk's granule that is in use. */
NEB_INLINE struct chunk *page_map_chunk(const void *p)
{
    struct chunk_leaf *leaf = atomic_load_explicit(&neb_chunk_root[ptr_address(p) >> LEAF_SHIFT], memory_order_acquire); /* P2 */
    return atomic_load_explicit(&leaf->chunk[(ptr_address(p) >> CHUNK_SHIFT) % LEAF_CHUNKS], memory_order_acquire); /* P3 */
}

NEB_INLINE uint32_t entry_owner(uint32_t entry) /* 0: none */
{
    return entry >> ENTRY_OFFSET_BITS;
}

NEB_INLINE bool entry_is_huge(uint32_t entry)
{
    return (entry & ENTRY_HUGE) != 0;
}

NEB_INLINE bool entry_is_pooled(uint32_t entry)
{
    return !entry_is_huge(entry) && (entry & ENTRY_OFFSET_MASK) > ENTRY_EMERGENCY;
}

/* Makes every entry of the range readable and writable. Takes LOCK_PAGE_MAP. */
bool neb_page_map_cover(const void *base, size_t bytes);
/* Once, before there are threads: neb_window_states from now on. False: no memory. */
bool neb_page_map_keep_states(void);
/* Publishes one value for every granule from base on; the range is covered. */
void neb_page_map_fill(void *base, size_t granules, uint32_t value);
/* Publishes a chunk's descriptor; false when the system has no memory. Takes LOCK_PAGE_MAP. */
bool neb_page_map_set_chunk(const void *base, struct chunk *chunk);

#endif
