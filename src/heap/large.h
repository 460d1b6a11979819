/* large.h - blocks that are runs of granules, and huge ones that are mappings of their own.
 *
 *   large   > 64 KiB (or aligned beyond what classes offer)   whole granules of a chunk
 *   huge    > 2 MiB, or aligned beyond a granule              a mapping; its entry holds its number in a table
 *
 * Freed huge mappings are kept for reuse until they decay: faulting them in again costs more than anything else
 * an allocator does. They grow and shrink in place, into what is kept behind them, or by moving pages, never by copying while the kernel can
 * move.
 *
 * Ownership  no thread owns such a block; the entry is exchanged by whoever frees it, so that of two frees one fails
 * Locks      LOCK_CHUNK, LOCK_HUGE; neither is held across a system call
 * Failure    NULL, nothing changed */
#ifndef NEB_HEAP_LARGE_H
#define NEB_HEAP_LARGE_H

#include "heap/page_map.h"
#include <stdint.h>

/* size > 0; alignment: a power of two. zeroed: whether the contents are known to be zero; may be NULL. */
void *neb_large_alloc(size_t size, size_t alignment, bool *zeroed);
/* False: p is not the beginning of a large or huge block in use. entry: that of p's granule. */
bool neb_large_free(void *p, uint32_t entry);
/* Bytes from p to the block's end; 0: not the beginning of one in use. */
size_t neb_large_usable(const void *p, uint32_t entry);
/* Grows or shrinks, moving pages where that helps; NULL: the caller has to copy. p is a block in use. */
void *neb_large_resize(void *p, uint32_t entry, size_t size);

/* Unmaps kept mappings that were freed before now - decay. */
void neb_huge_decay(uint32_t now_ms, uint32_t decay_ms);
size_t neb_huge_trim(void);
void neb_huge_set_keep(size_t bytes_max);
/* Whether huge pages may be asked for. */
void neb_huge_set_huge_pages(bool wanted);
/* The huge block around an address, for messages; false: none. */
bool neb_huge_around(const void *p, const void **base, size_t *bytes);

struct large_counts {
    size_t large_blocks, large_bytes, huge_blocks, huge_bytes, kept_bytes; /* now */
    size_t huge_blocks_peak, huge_bytes_peak;                              /* the most at one time */
    uint64_t large_allocs, huge_allocs, kept_hits, resized, moved;         /* since the start */
};
struct large_counts neb_large_counts(void);

#endif
