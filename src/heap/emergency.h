/* emergency.h - a few blocks for handlers of signals that must not wait for any lock.
 *
 *   region   | cell 0 | cell 1 | ...      256 bytes each; a block is up to 64 cells that share a word of `used`
 *
 * They serve crash handlers: a fault or an abort within the allocator, while it holds a lock. Freed they may be any
 * time, by any thread.
 *
 * Invariant  a cell's bit is set while a block has it; a block's length stands at its first cell
 * Ownership  the bits: any thread; a length: who took the cells
 * Locks      alloc, free, usable: none; prepare: LOCK_CHUNK
 * Failure    NULL: no room, too large, or never prepared
 * Sync       E1: a block's length is published by whoever hands the block over, as its contents are; E2: cells that are
 *            given back release what their next user acquires; E3: the region's base is published after its entries */
#ifndef NEB_HEAP_EMERGENCY_H
#define NEB_HEAP_EMERGENCY_H

#include <stdbool.h>
#include <stddef.h>

/* Once at least, while memory is there: before the first handler is installed. Any thread that holds no lock. */
void neb_emergency_prepare(void);
/* Aligned to 256 at the most; larger alignments: NULL. */
void *neb_emergency_alloc(size_t size, size_t alignment);
/* False: p is no block. Its entry is ENTRY_EMERGENCY. */
bool neb_emergency_free(const void *p);
/* 0: p is no block. Its entry is ENTRY_EMERGENCY. */
size_t neb_emergency_usable(const void *p);

#endif
