/* site.h - sums by call stack, kept in the file itself (NBT_SITES): nothing has to be written at the end, or on SIGKILL.
 *
 * While one lane exists nothing is atomic; from the second one on, a site is changed under its own lock, and the sums over
 * the process are atomic.
 *
 * The peak: each new maximum of live bytes has a number. A site notes what it had live before its first change after
 * the newest peak; a site without such a note has not changed since. So a peak costs nothing, however many sites there are.
 *
 * Ownership  a site: its lock; which node has which site: LOCK_TRACE_LANES
 * Failure    the site of NBT_STACK_OTHER; 0 if there is not even that
 * Sync       S1: a site is published in its node after it was made */
#ifndef NEB_TRACE_SITE_H
#define NEB_TRACE_SITE_H

#include "base/attr.h"
#include "trace/format.h"
#include <stdbool.h>
#include <stddef.h>

/* The number of the site where a node's stack is counted; 0: none. note: kept with the stack by the caller (capture.h);
 * may be NULL. */
uint32_t neb_site_find(uint32_t node, uint32_t *note);
NEB_INLINE uint32_t site_of(uint32_t node, uint32_t *note)
{
    return NEB_LIKELY(note != NULL && *note != 0) ? *note : neb_site_find(node, note);
}

/* Of a number that has no site, or not any more, nothing is counted. usable: bytes of the block as it is. */
void neb_site_alloc(uint32_t number, size_t size, size_t usable, uint64_t now_ns);
/* After neb_site_alloc: it was a realloc, which moved the block or did not. */
void neb_site_resized(uint32_t number, bool has_moved);
/* age: in allocations; is_remote: by another thread than the one that allocated. */
void neb_site_free(uint32_t number, size_t size, uint64_t age, uint64_t life_ns, bool is_remote);

/* Mode sample, after each of the two: for how many blocks this one stands, in 256ths. */
void neb_site_weigh(uint32_t number, size_t size, uint64_t weight, bool is_free);

/* The stack whose sums a site has; NBT_STACK_OTHER for a number without site. Between begin and finish. */
uint32_t neb_site_stack(uint32_t number);

void neb_sites_begin(void);
/* is_quiet: nobody is in the middle of counting, so that nothing need stay mapped. */
void neb_sites_finish(bool is_quiet);
void neb_sites_forget(void);

#endif
