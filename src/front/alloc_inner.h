/* alloc_inner.h - what the slow paths of malloc and its relatives have of each other.
 *
 *   alloc.c    malloc, calloc, memalign      takes from the heap, a scope, or an emergency; dresses
 *   free.c     free                          undresses; gives to the heap, the quarantine, or a region
 *   size.c     malloc_usable_size            how large a block is, or that there is none
 *   realloc.c  realloc                       all of these
 *   tidy.c     verify, trim                  what is kept back is looked at, or given away
 *
 * Law        only these files include it; all others call what alloc.h declares, and no fast path needs more than that
 * Arguments  entry: that of p in the page map, which the caller has loaded; call: what the program called, for a report
 * Threads    any
 * Locks      the caller holds none
 * Failure    NULL: no memory */
#ifndef NEB_FRONT_ALLOC_INNER_H
#define NEB_FRONT_ALLOC_INNER_H

#include "check/check.h"
#include "check/guard.h"
#include "front/alloc.h"

/* ---- alloc.c ----------------------------------------------------------------------------------------------------------- */

/* Sets errno; NULL. */
NEB_COLD void *neb_out_of_memory(void);
/* A cell that is dressed for the program (check/check.h), with spare bytes for it to grow. */
void *neb_checked_from_heap(size_t size, size_t spare, size_t alignment, enum family family, bool clear, const struct place *place);
/* At each call for a large block: those have no heap, but what decays is looked after by whoever calls. */
void neb_large_tick(void);

/* ---- free.c ------------------------------------------------------------------------------------------------------------ */

/* A block of any kind, or NULL; anything else is reported. Keeps errno. */
void neb_free_any(void *p, const struct check_call *call);
/* A cell of the heap, undressed; anything else is reported. */
void neb_free_raw(void *p, const char *call);
/* Many at once, which waited in quarantine. */
void neb_free_raws(void *const *cells, size_t count);

/* ---- size.c ------------------------------------------------------------------------------------------------------------ */

/* From p to the end of its block, which may be free; what begins no block is reported. Neither dressed nor guarded. */
size_t neb_size_any(const void *p, uint32_t entry, const char *call);
/* The same of a block that the program goes on using: one that is free is reported, as far as that can be known. */
size_t neb_size_live(const void *p, uint32_t entry, const char *call);

NEB_INLINE bool is_guarded(const void *p, uint32_t entry)
{
    return POLICY_GUARD && entry == ENTRY_NONE && neb_guard_knows(p);
}

NEB_INLINE bool is_mine(const struct heap *heap, uint32_t entry)
{
    return (entry ^ heap->tag) <= ENTRY_OFFSET_MASK;
}

#endif
