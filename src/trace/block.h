/* block.h - what is known of each recorded block: out of line, nothing inside or beside the block.
 *
 *   window[(top - address) >> 16]          the granule's array, where the page map has its window (heap/page_map.h)
 *   root[address >> 34] -> leaf            the same outside the window, and without memory for one
 *      array -> record                     by the block's number in the granule
 *
 *   record: | stack 24 | session 8 | tick 24 | number's upper 8 |   | lane 16 | size 17 | number's lower 31 |
 *   large and huge blocks: a record, and their size in the next one
 *
 * A block without record (it is older than the session, or was not sampled) has session 0 there, or another one.
 *
 * A leaf's pointer leads into the array's first 256 bytes: so far into them as says what kind of blocks the array is for. One that
 * is left over from a slab that is gone is known by that, without a look into it.
 *
 * Ownership  a record: whoever has the block; arrays: LOCK_TRACE_BLOCKS, and never while a block in the granule is live
 * Locks      LOCK_TRACE_BLOCKS, LOCK_META
 * Failure    false: no memory, or memory of a scope or region: the block is not recorded
 * Sync       B1: an array is published after it was made; B2: so is a leaf. A record is for whoever has the block: relaxed is enough.
 *            Others may look (census.h); what they see may be half old */
#ifndef NEB_TRACE_BLOCK_H
#define NEB_TRACE_BLOCK_H

#include "base/attr.h"
#include "heap/heap.h"
#include "heap/page_map.h"
#include "heap/size_class.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block_trace {
    _Atomic uint64_t low, high;
};

struct block_slot {
    struct block_trace *record; /* NULL: none */
    bool is_large;
    size_t usable; /* bytes of the block; large blocks: 0, not known */
};

struct block_birth {
    uint32_t stack, session, tick, lane;
    uint64_t number; /* modulo 2^39 */
    size_t size;
};

enum {
    BLOCK_SIZE_BITS = 17,
    BLOCK_NUMBER_BITS = 39,
    BLOCK_NUMBER_LOW = 48 - BLOCK_SIZE_BITS, /* bits of it beside the size */
    BLOCK_TICK_BITS = 24,
    BLOCK_TICK_SHIFT = 24 /* ns: a tick is some 17 ms */
};
_Static_assert(SMALL_MAX < 1 << BLOCK_SIZE_BITS, "all sizes of pooled blocks, the largest too");
_Static_assert(BLOCK_NUMBER_BITS == BLOCK_NUMBER_LOW + 8, "the number's upper bits are a byte");

/* ---- where a record is ----------------------------------------------------------------------------------------------------- */

/* Kinds of blocks: large and huge ones; the size classes, by the offsets of their bins, so that a page map's entry tells the kind at
 * once; and what no array is for. No array at all looks like kind 0. */
enum {
    BLOCK_KIND_LARGE = 1,
    BLOCK_KIND_FIRST = BIN_FIRST_OFFSET / BIN_BYTES,
    BLOCK_KINDS = BLOCK_KIND_FIRST + CLASS_COUNT,
    BLOCK_KIND_NONE = 255
};
_Static_assert((unsigned)BLOCK_KINDS < (unsigned)BLOCK_KIND_NONE, "arrays are aligned to 256 bytes");
_Static_assert((unsigned)BIN_FIRST_OFFSET % BIN_BYTES == 0 && (unsigned)BLOCK_KIND_LARGE < (unsigned)BLOCK_KIND_FIRST, "kinds are told apart");

/* Of a kind: (offset in the granule * inverse) >> 40 is the record's index. */
struct block_kind {
    uint64_t inverse;
    uint32_t usable;
    uint32_t count; /* records */
};

struct block_leaf {
    unsigned char *_Atomic array[LEAF_GRANULES];
};

extern NEB_HIDDEN struct block_kind neb_block_kind[BLOCK_KINDS]; /* by neb_block_init */
extern NEB_HIDDEN unsigned char *_Atomic *neb_block_window; /* NULL: there is no memory for one; by neb_block_init */
extern NEB_HIDDEN struct block_leaf *_Atomic neb_block_root[LEAF_COUNT];

/* Before the first block is recorded, by one thread. */
void neb_block_init(void);

NEB_INLINE unsigned block_kind_of_pooled(uint32_t entry)
{
    return (entry & ENTRY_OFFSET_MASK) / BIN_BYTES;
}

/* Memory of scopes and regions has its own kind of entry: both upper bits. */
NEB_INLINE unsigned block_kind_of(uint32_t entry)
{
    if (NEB_LIKELY(entry_is_pooled(entry)))
        return block_kind_of_pooled(entry);
    return entry == ENTRY_LARGE_HEAD || (entry_is_huge(entry) && (entry >> 30 & 1) == 0) ? BLOCK_KIND_LARGE : BLOCK_KIND_NONE;
}

/* Where the pointer to the granule's array is; NULL: in a leaf that there is not. */
NEB_INLINE unsigned char *_Atomic *block_array_place(const void *p)
{
    size_t index = window_index(p);
    if (NEB_LIKELY(index < WINDOW_GRANULES && neb_block_window != NULL))
        return &neb_block_window[index];
    struct block_leaf *leaf = atomic_load_explicit(&neb_block_root[ptr_address(p) >> LEAF_SHIFT], memory_order_acquire); /* B2 */
    return leaf == NULL ? NULL : &leaf->array[(ptr_address(p) >> GRANULE_SHIFT) % LEAF_GRANULES];
}

/* p is a block in use. NULL: there is no array for its granule. */
NEB_INLINE unsigned char *block_array(const void *p)
{
    unsigned char *_Atomic *place = block_array_place(p);
    return NEB_UNLIKELY(place == NULL) ? NULL : atomic_load_explicit(place, memory_order_acquire); /* B1 */
}

NEB_INLINE bool block_array_is(const unsigned char *array, unsigned kind)
{
    return ptr_address(array) % 256 == kind;
}

NEB_INLINE struct block_slot block_slot_in(unsigned char *array, const void *p, unsigned kind)
{
    const struct block_kind *its = &neb_block_kind[kind];
    struct block_trace *first = (struct block_trace *)(void *)(array - kind);
    return (struct block_slot){&first[ptr_address(p) % GRANULE_BYTES * its->inverse >> 40], kind == BLOCK_KIND_LARGE, its->usable};
}

NEB_COLD unsigned char *neb_block_array_make(const void *p, unsigned kind);

/* Where the block's record is or would be: makes it (block_slot_make) or not (block_slot_find). p is a block in use. */
NEB_INLINE struct block_slot block_slot_find(const void *p)
{
    unsigned kind = block_kind_of(page_map_load(p));
    unsigned char *array = block_array(p);
    if (NEB_UNLIKELY(!block_array_is(array, kind)))
        return (struct block_slot){NULL, false, 0};
    return block_slot_in(array, p, kind);
}

NEB_INLINE struct block_slot block_slot_make(const void *p)
{
    unsigned kind = block_kind_of(page_map_load(p));
    unsigned char *array = block_array(p);
    if (NEB_UNLIKELY(!block_array_is(array, kind))) {
        if (kind == BLOCK_KIND_NONE || (array = neb_block_array_make(p, kind)) == NULL)
            return (struct block_slot){NULL, false, 0};
    }
    return block_slot_in(array, p, kind);
}

/* A thread's own copy of both windows, for the same reason as a heap's. */
struct block_window {
    struct window map;
    unsigned char *_Atomic *array;
};

NEB_INLINE struct block_window block_window_copy(void)
{
    struct block_window copy = {window_copy(), neb_block_window};
    if (copy.array == NULL)
        copy.map.count = 0;
    return copy;
}

/* The same as block_slot_find for nearly all pooled blocks; for others it finds no record. */
NEB_INLINE struct block_slot block_slot_near(const struct block_window *window, const void *p)
{
    const struct block_slot none = {NULL, false, 0};
    size_t index = window_index_in(&window->map, p);
    if (NEB_UNLIKELY(index >= window->map.count))
        return none;
    uint32_t entry = atomic_load_explicit(&window->map.entry[index], memory_order_acquire); /* P1 */
    unsigned char *array = atomic_load_explicit(&window->array[index], memory_order_acquire); /* B1 */
    if (NEB_UNLIKELY(!entry_is_pooled(entry) || !block_array_is(array, block_kind_of_pooled(entry))))
        return none;
    struct block_slot slot = block_slot_in(array, p, block_kind_of_pooled(entry));
    slot.is_large = false; /* which the compiler does not see */
    return slot;
}

/* All records of the granule at an address, which a slab's blocks are in; count 0: it is in none, or nothing was recorded there.
 * LOCK_TRACE_BLOCKS is held. */
struct block_records {
    struct block_trace *record;
    size_t count;
    unsigned class_index;
};
struct block_records neb_block_records_locked(const void *granule);

/* ---- what it says ----------------------------------------------------------------------------------------------------------- */

NEB_INLINE uint64_t block_word(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

NEB_INLINE void block_word_set(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

/* The record, if it is of this session. */
NEB_INLINE bool block_get(const struct block_slot *slot, uint32_t session, struct block_birth *birth)
{
    const struct block_trace *record = slot->record;
    if (record == NULL)
        return false;
    uint64_t low = block_word(&record->low), high = block_word(&record->high);
    if ((low >> 24 & 255) != session)
        return false;
    *birth = (struct block_birth){(uint32_t)low & 0xffffff, session, (uint32_t)(low >> 32) & 0xffffff, (uint32_t)high & 0xffff,
                                  high >> (64 - BLOCK_NUMBER_LOW) | low >> 56 << BLOCK_NUMBER_LOW,
                                  NEB_UNLIKELY(slot->is_large) ? (size_t)block_word(&record[1].low)
                                                               : (size_t)(high >> 16) & ((1u << BLOCK_SIZE_BITS) - 1)};
    return true;
}

NEB_INLINE void block_set(const struct block_slot *slot, const struct block_birth *birth)
{
    struct block_trace *record = slot->record;
    uint64_t size = slot->is_large ? 0 : birth->size;
    block_word_set(&record->high, birth->lane | size << 16 | birth->number << (64 - BLOCK_NUMBER_LOW));
    block_word_set(&record->low, birth->stack | (uint64_t)birth->session << 24 | (uint64_t)birth->tick << 32 |
                                     (birth->number >> BLOCK_NUMBER_LOW) << 56);
    if (NEB_UNLIKELY(slot->is_large))
        block_word_set(&record[1].low, birth->size);
}

NEB_INLINE void block_clear(const struct block_slot *slot)
{
    block_word_set(&slot->record->low, 0);
}

#endif
