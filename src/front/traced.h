/* traced.h - malloc and its relatives while a mode is on (trace/state.h): the allocator's own work, and the record of it.
 *
 * Where some blocks are guarded (front/pick.h), those at the end of a countdown come here, and while something is recorded, too, all:
 * those of which nothing is told go on unrecorded.
 *
 * Called last by what the program called, so that the compiler turns the call into a jump: the return address of these
 * functions is the program's. Semantics as in front/alloc.h. */
#ifndef NEB_FRONT_TRACED_H
#define NEB_FRONT_TRACED_H

#include "front/pick.h"
#include "policy/policy.h"
#include "trace/lane.h"
#include "trace/state.h"
#include <stddef.h>

/* One predictable branch; none where the policy does not trace: macros, since a compiler that does not optimise drops
 * only what stands behind the constant itself.
 *
 * In mode sample, or where some blocks are guarded, most calls need nothing but a countdown, or a look into a table that stays in the
 * cache. */
#define ALLOC_IS_TRACED(size) (POLICY_TRACE && alloc_is_traced(trace_watch(), size))
#define FREE_IS_TRACED(p) (POLICY_TRACE && free_is_traced(trace_watch(), p))
#define REALLOC_IS_TRACED(p, size) (POLICY_TRACE && realloc_is_traced(trace_watch(), p, size))

/* A mode is on, or some allocations are to be guarded. */
NEB_INLINE bool alloc_is_traced(uint32_t watch, size_t size)
{
    return NEB_UNLIKELY(watch != 0) && (watch == 1 ? !pick_skips() : !lane_skips(watch, size));
}

NEB_INLINE bool free_is_traced(uint32_t watch, const void *p)
{
    return NEB_UNLIKELY(watch > 1) && trace_may_know(watch, p);
}

NEB_INLINE bool realloc_is_traced(uint32_t watch, const void *p, size_t size)
{
    return NEB_UNLIKELY(watch != 0) && (trace_may_know(watch, p) || !lane_skips(watch, size));
}

void *neb_traced_malloc(size_t size);
void *neb_traced_calloc(size_t count, size_t size);
void *neb_traced_realloc(void *p, size_t size);
void *neb_traced_reallocarray(void *p, size_t count, size_t size);
void *neb_traced_memalign(size_t alignment, size_t size);
/* errno is kept. */
int neb_traced_posix_memalign(void **result, size_t alignment, size_t size);
void neb_traced_free(void *p);
void neb_traced_free_sized(void *p, size_t size, const char *call);
/* For the C++ operators; allocate: what finds the memory, or throws. */
void *neb_traced_new(size_t size, size_t alignment, void *(*allocate)(size_t size, size_t alignment));

#endif
