/* meta.h - memory for metadata: chunk and heap structures, magazines, batches.
 *
 *   [guard | structures, arrays ... | guard]   regions apart from all blocks: no overflow reaches them
 *
 * Invariant  what neb_meta_take returned is never unmapped, so that a late reader reads a valid structure
 * Locks      LOCK_META, the last in the order: may be called under any other
 * Failure    NULL when the system has no memory; nothing changed */
#ifndef NEB_HEAP_META_H
#define NEB_HEAP_META_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed, aligned to a power of two up to the page size; for good. */
void *neb_meta_take(size_t bytes, size_t alignment);

/* Arrays of 2^order bytes (8 <= order <= 20), aligned to 256, contents undefined; go back for reuse in the same order. */
void *neb_meta_array_take(unsigned order);
/* The same with so many zeros at its beginning: what never served before is not even touched. */
void *neb_meta_array_take_zeroed(unsigned order, size_t bytes);
void neb_meta_array_give(void *array, unsigned order);

size_t neb_meta_bytes(void); /* taken from regions so far */

#endif
