/* traced.c - see traced.h. */
#include "front/traced.h"

#include "front/alloc.h"
#include "front/pick.h"
#include "trace/record.h"
#include <errno.h>

static void *recorded(void *p, const struct record_call *call)
{
    if (NEB_LIKELY(p != NULL))
        neb_record_alloc(p, call);
    else
        neb_record_failed(call);
    return p;
}

/* Of an allocation that is here because some are guarded. */
static bool is_unrecorded(size_t size)
{
    return trace_has_guards() && (!trace_is_on() || lane_skips(trace_watch() & ~1u, size));
}

/* NULL: it is not this one's turn, or there is no slot. */
static void *guarded(size_t size, size_t alignment)
{
    return trace_has_guards() && pick_is_over() && neb_pick_slow() ? neb_pick_alloc(size, alignment) : NULL;
}

static NEB_NOINLINE void *malloc_recorded(size_t size)
{
    struct record_call call = {size, 16, PLACE_OF_CALLER()};
    return recorded(neb_malloc(size), &call);
}

/* Jumped to, as what follows: so that who records nothing pays for no frame. */
static NEB_NOINLINE void *malloc_unguarded(size_t size)
{
    return is_unrecorded(size) ? neb_malloc(size) : malloc_recorded(size);
}

static NEB_NOINLINE void *malloc_picked(size_t size)
{
    void *block = neb_pick_slow() ? neb_pick_alloc(size, 16) : NULL;
    return block != NULL ? block : malloc_unguarded(size);
}

NEB_NOINLINE void *neb_traced_malloc(size_t size)
{
    if (!trace_has_guards())
        return malloc_recorded(size);
    return pick_is_over() ? malloc_picked(size) : malloc_unguarded(size);
}

NEB_NOINLINE void *neb_traced_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX;
    void *block = guarded(bytes, 16);
    if (NEB_UNLIKELY(block != NULL))
        return block;
    if (is_unrecorded(bytes))
        return neb_calloc(count, size);
    struct record_call call = {bytes, 16, PLACE_OF_CALLER()};
    return recorded(neb_calloc(count, size), &call);
}

NEB_NOINLINE void *neb_traced_memalign(size_t alignment, size_t size)
{
    void *block = guarded(size, alignment);
    if (NEB_UNLIKELY(block != NULL))
        return block;
    if (is_unrecorded(size))
        return neb_memalign(alignment, size);
    struct record_call call = {size, alignment, PLACE_OF_CALLER()};
    return recorded(neb_memalign(alignment, size), &call);
}

NEB_NOINLINE int neb_traced_posix_memalign(void **result, size_t alignment, size_t size)
{
    struct record_call call = {size, alignment, PLACE_OF_CALLER()};
    void *block = guarded(size, alignment);
    if (NEB_LIKELY(block == NULL))
        block = is_unrecorded(size) ? neb_memalign(alignment, size) : recorded(neb_memalign(alignment, size), &call);
    if (block == NULL)
        return ENOMEM;
    *result = block;
    return 0;
}

NEB_NOINLINE void *neb_traced_new(size_t size, size_t alignment, void *(*allocate)(size_t size, size_t alignment))
{
    void *block = guarded(size, alignment);
    if (NEB_UNLIKELY(block != NULL))
        return block;
    if (is_unrecorded(size))
        return allocate(size, alignment);
    struct record_call call = {size, alignment, PLACE_OF_CALLER()};
    return recorded(allocate(size, alignment), &call);
}

void neb_traced_free(void *p)
{
    if (p == NULL)
        return;
    neb_record_free(p);
    neb_free(p);
}

void neb_traced_free_sized(void *p, size_t size, const char *call)
{
    if (p == NULL)
        return;
    neb_record_free(p);
    neb_free_sized(p, size, call);
}

/* As in glibc, a size of 0 frees. */
static void *resize(void *p, const struct record_call *call)
{
    void *moved = p == NULL ? guarded(call->size, 16) : NULL;
    if (NEB_UNLIKELY(moved != NULL))
        return moved;
    if (!trace_is_on() || (!trace_may_know(trace_watch(), p) && is_unrecorded(call->size)))
        return neb_realloc(p, call->size);
    if (p == NULL)
        return recorded(neb_malloc(call->size), call);
    struct record_taken taken = neb_record_take(p);
    void *block = neb_realloc(p, call->size);
    if (block != NULL || call->size == 0) {
        neb_record_settle(p, block, &taken, call);
    } else {
        neb_record_undo(p, &taken);
        neb_record_failed(call);
    }
    return block;
}

NEB_NOINLINE void *neb_traced_realloc(void *p, size_t size)
{
    if (p != NULL && trace_only_guards())
        return neb_realloc(p, size);
    struct record_call call = {size, 16, PLACE_OF_CALLER()};
    return resize(p, &call);
}

NEB_NOINLINE void *neb_traced_reallocarray(void *p, size_t count, size_t size)
{
    struct record_call call = {0, 16, PLACE_OF_CALLER()};
    if (__builtin_mul_overflow(count, size, &call.size)) {
        errno = ENOMEM;
        return NULL;
    }
    return resize(p, &call);
}
