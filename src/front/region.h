/* region.h - memory of scopes, bump arenas, pools and stacks, as the page map knows it.
 *
 *   entry of each granule:  11 nnnnnn...   the two top bits; the region's number
 *   table[number] --> struct region: base, bytes, kind, whether it ended
 *
 * Up to 2 MiB a region is a run of a chunk's granules, above a mapping of its own. So free(), realloc() and
 * malloc_usable_size() recognise what they are given at the price of nothing to their fast paths.
 *
 * In the checked policy every region is a mapping, and one whose owner ended stays in quarantine, inaccessible, until
 * QUARANTINE_BYTES of them have gathered: a use faults, a free is reported.
 *
 * Ownership  a region: who took it; the table and the quarantine: the lock
 * Locks      LOCK_REGION; not held while memory is asked for or given back
 * Failure    NULL, nothing changed
 * Sync       R1: a descriptor is written before its number stands in the page map (P1) */
#ifndef NEB_FRONT_REGION_H
#define NEB_FRONT_REGION_H

#include "heap/page_map.h"
#include <stdbool.h>
#include <stddef.h>

#define ENTRY_IS_REGION (UINT32_C(3) << 30)
_Static_assert((ENTRY_IS_REGION & ENTRY_HUGE) != 0, "regions look huge to those who don't know them: never pooled");

NEB_INLINE bool entry_is_region(uint32_t entry)
{
    return entry >= ENTRY_IS_REGION;
}

/* kind: NEB_KIND_* of the public headers. At least bytes; got says how many. */
void *neb_region_take(size_t bytes, size_t *got, unsigned kind);
void neb_region_give(void *base);

/* What the names of malloc do with such memory. entry: that of p's granule, a region's. */
void neb_region_free(void *p, uint32_t entry, const char *call);
/* Bytes from p to the next object; p is no object of a scope: message and abort. */
size_t neb_region_usable(const void *p, uint32_t entry, const char *call);
/* In place if the object shrinks, or is the newest of a scope of this thread and has room; NULL: the caller moves it. */
void *neb_region_resize(void *p, uint32_t entry, size_t size);
/* Bytes that a move has to copy. */
size_t neb_region_size(void *p);
/* p is an object, of at least size bytes. */
void neb_region_shrink(void *p, size_t size);
/* Whether p lies in a live region of scopes, some of whose objects may have no word before them. */
bool neb_region_may_run(const void *p);

/* What is wrong with a use of p: that the owner of this memory has ended. NULL: it is none of a region's, or its owner lives. In
 * signal handlers, too. */
const char *neb_region_ended(const void *p);

struct region_counts {
    size_t regions, bytes;                   /* in use */
    size_t quarantined_regions, quarantined_bytes;
};
struct region_counts neb_region_counts(void);

#endif
