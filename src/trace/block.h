/* block.h - what is known of each recorded block: out of line, nothing inside or beside the block.
 *
 *   address >> 22 -> page of granules -> granule's array -> record by the block's number in the granule
 *
 *   record: | stack 24 | session 8 | tick 24 | number's upper 8 |   | lane 16 | size 16 | number's lower 32 |
 *   large and huge blocks: a record, and their size in the next one
 *
 * A block without record (it is older than the session, or was not sampled) has session 0 there, or another one.
 *
 * Ownership  a record: whoever has the block; arrays: LOCK_TRACE_BLOCKS, and never while a block in the granule is live
 * Locks      LOCK_TRACE_BLOCKS, LOCK_META
 * Failure    false: no memory, or memory of a scope or region: the block is not recorded
 * Sync       B1: an array is published after it was made; B2: so is a page. A record is for whoever has the block: relaxed is enough.
 *            Others may look (census.h); what they see may be half old */
#ifndef NEB_TRACE_BLOCK_H
#define NEB_TRACE_BLOCK_H

#include "base/attr.h"
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
    uint64_t number; /* modulo 2^40 */
    size_t size;
};

enum { BLOCK_NUMBER_BITS = 40, BLOCK_TICK_BITS = 24, BLOCK_TICK_SHIFT = 24 /* ns: a tick is some 17 ms */ };

/* Where the block's record is or would be: makes it (neb_block_slot) or not (neb_block_find). p is a block in use. */
struct block_slot neb_block_slot(const void *p);
struct block_slot neb_block_find(const void *p);

/* All records of the granule at an address, which a slab's blocks are in; count 0: it is in none, or nothing was recorded there.
 * LOCK_TRACE_BLOCKS is held. */
struct block_records {
    struct block_trace *record;
    size_t count;
    unsigned class_index;
};
struct block_records neb_block_records_locked(const void *granule);

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
    birth->stack = (uint32_t)low & 0xffffff;
    birth->session = session;
    birth->tick = (uint32_t)(low >> 32) & 0xffffff;
    birth->lane = (uint32_t)high & 0xffff;
    birth->number = high >> 32 | low >> 56 << 32;
    birth->size = slot->is_large ? (size_t)block_word(&record[1].low) : (size_t)(high >> 16 & 0xffff);
    return true;
}

NEB_INLINE void block_set(const struct block_slot *slot, const struct block_birth *birth)
{
    struct block_trace *record = slot->record;
    uint64_t size = slot->is_large ? 0 : birth->size;
    block_word_set(&record->high, birth->lane | size << 16 | birth->number << 32);
    block_word_set(&record->low, birth->stack | (uint64_t)birth->session << 24 | (uint64_t)birth->tick << 32 | (birth->number >> 32) << 56);
    if (slot->is_large)
        block_word_set(&record[1].low, birth->size);
}

NEB_INLINE void block_clear(const struct block_slot *slot)
{
    block_word_set(&slot->record->low, 0);
}

#endif
