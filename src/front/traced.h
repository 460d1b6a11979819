/* traced.h - malloc and its relatives while a mode is on (trace/state.h): the allocator's own work, and the record of it.
 *
 * Where some blocks are guarded (front/pick.h), allocations come here too, and go on unrecorded.
 *
 * Called last by what the program called, so that the compiler turns the call into a jump: the return address of these
 * functions is the program's. Semantics as in front/alloc.h. */
#ifndef NEB_FRONT_TRACED_H
#define NEB_FRONT_TRACED_H

#include "policy/policy.h"
#include "trace/state.h"
#include <stddef.h>

/* One predictable branch; none where the policy does not trace: a macro, since a compiler that does not optimise drops
 * only what stands behind the constant itself. */
#define CALL_IS_TRACED() (POLICY_TRACE && trace_is_on())
/* The same of allocations. */
#define CALL_IS_WATCHED() (POLICY_TRACE && trace_is_watching())

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
