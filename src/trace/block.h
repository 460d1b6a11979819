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
 * Sync       B1: an array is published after it was made; B2: so is a page */
#ifndef NEB_TRACE_BLOCK_H
#define NEB_TRACE_BLOCK_H

#include "base/attr.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block_record {
    uint64_t low, high;
};

struct block_slot {
    struct block_record *record; /* NULL: none */
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

/* The record, if it is of this session. */
NEB_INLINE bool block_get(const struct block_slot *slot, uint32_t session, struct block_birth *birth)
{
    const struct block_record *record = slot->record;
    if (record == NULL || (record->low >> 24 & 255) != session)
        return false;
    birth->stack = (uint32_t)record->low & 0xffffff;
    birth->session = session;
    birth->tick = (uint32_t)(record->low >> 32) & 0xffffff;
    birth->lane = (uint32_t)record->high & 0xffff;
    birth->number = record->high >> 32 | record->low >> 56 << 32;
    birth->size = slot->is_large ? (size_t)record[1].low : (size_t)(record->high >> 16 & 0xffff);
    return true;
}

NEB_INLINE void block_set(const struct block_slot *slot, const struct block_birth *birth)
{
    struct block_record *record = slot->record;
    uint64_t size = slot->is_large ? 0 : birth->size;
    record->low = birth->stack | (uint64_t)birth->session << 24 | (uint64_t)birth->tick << 32 | (birth->number >> 32) << 56;
    record->high = birth->lane | size << 16 | birth->number << 32;
    if (slot->is_large)
        record[1].low = birth->size;
}

NEB_INLINE void block_clear(const struct block_slot *slot)
{
    slot->record->low = 0;
}

#endif
