/* scope.h - what each thread has of scopes, and malloc inside ambient ones.
 *
 *   thread state:  innermost scope, structs for the next ones, a few segments for reuse (cache)
 *
 * Leaving a scope moves all its segments to the thread's cache at once; what is too much there goes back later, a few
 * pieces at a call. An ambient scope sets the thread's heap aside, so that every malloc takes the slow path, which comes
 * here: the fast path has nothing to test.
 *
 * Ownership  a state: its thread; states without thread: LOCK_REGION
 * Failure    NULL: no memory */
#ifndef NEB_FRONT_SCOPE_H
#define NEB_FRONT_SCOPE_H

#include <stdbool.h>
#include <stddef.h>

enum {
    SCOPE_CACHE_GIVES = 4,         /* segments given back at a time when the cache is too large */
    SCOPE_CACHE_LOOKS = 4,         /* segments looked at for one that is large enough */
    SCOPE_QUARANTINE_REGIONS = 1024 /* checked policy: regions of ended scopes that are kept out of reach */
};
#define SCOPE_CACHE_BYTES ((size_t)4 << 20)       /* a thread keeps that much for its next scopes, */
#define SCOPE_CACHE_BYTES_MAX ((size_t)64 << 20)  /* and that much for SCOPE_CACHE_MS: faulting pages in again and again */
#define SCOPE_CACHE_MS 100u                       /* costs more than all else a scope does */
#define SCOPE_QUARANTINE_BYTES ((size_t)256 << 20) /* address space, not memory */

/* A block from this thread's ambient scope; NULL: no memory. *is_ordinary: there is none, or a signal handler interrupted
 * it: take one from the heap. */
void *neb_ambient_alloc(size_t size, size_t alignment, bool *is_ordinary);
/* Whether the object, of old_size bytes, could be made size bytes large where it is. */
bool neb_scope_resize_in_place(void *object, size_t old_size, size_t size);
/* Whether a scope of this thread has its tail in p's block of so many bytes, and p lies above it. */
bool neb_scope_is_above(const void *p, size_t block_bytes);
/* Segments that threads keep; gives back those of the calling one: bytes. */
size_t neb_scope_trim(void);

#endif
