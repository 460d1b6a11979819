/* cxx.c - operator new and delete, in C, by their mangled names (Itanium ABI, LP64).
 *
 *   new: allocate; while that fails call the new_handler, which may free something, throw, or end the program;
 *   without a handler throw std::bad_alloc, or answer NULL in the nothrow forms
 *
 * Exceptions pass through these frames, so the file is compiled with -fexceptions. The C++ library is found when it
 * is needed: the preloaded library must not depend on it. */
#define _GNU_SOURCE
#include "check/check.h"
#include "front/alloc.h"
#include "front/traced.h"
#include "os/env.h"
#include <dlfcn.h>

typedef void (*new_handler)(void);

/* std::get_new_handler() and std::__throw_bad_alloc(), where the program has linked a C++ library. */
extern new_handler _ZSt15get_new_handlerv(void) __attribute__((weak));
extern void _ZSt17__throw_bad_allocv(void) __attribute__((weak));

/* A function of the C++ library that was loaded after this one. */
static void *find_function(const char *name)
{
    return dlsym(RTLD_DEFAULT, name);
}

static new_handler current_handler(void)
{
    new_handler (*get)(void) = _ZSt15get_new_handlerv;
    if (get == NULL)
        *(void **)(void *)&get = find_function("_ZSt15get_new_handlerv"); /* as POSIX has it */
    return get == NULL ? NULL : get();
}

static NEB_COLD void throw_bad_alloc(void)
{
    void (*throw_it)(void) = _ZSt17__throw_bad_allocv;
    if (throw_it == NULL)
        *(void **)(void *)&throw_it = find_function("_ZSt17__throw_bad_allocv");
    if (throw_it != NULL)
        throw_it();
    neb_os_complain("operator new: out of memory, and no C++ library to throw std::bad_alloc");
    neb_os_abort();
}

static NEB_COLD void *new_slow(size_t size, size_t alignment, enum family family)
{
    struct place place = PLACE_OF_PROGRAM();
    for (;;) {
        void *block = neb_allocate_as(size, alignment, family, &place);
        if (block != NULL)
            return block;
        new_handler handler = current_handler();
        if (handler == NULL)
            throw_bad_alloc();
        handler();
    }
}

/* The nothrow forms call the handler too, and it may throw, which C cannot catch. So when memory is short the C++
 * library's own form takes over: it tries the throwing form, which is ours, and turns every exception into NULL. */
static NEB_COLD void *new_nothrow_slow(size_t size, size_t alignment, enum family family, const void *nothrow)
{
    struct place place = PLACE_OF_PROGRAM();
    void *block = neb_allocate_as(size, alignment, family, &place);
    if (block != NULL)
        return block;
    void *(*plain)(size_t, const void *) = NULL;
    void *(*aligned)(size_t, size_t, const void *) = NULL;
    if (alignment <= 16)
        *(void **)(void *)&plain = dlsym(RTLD_NEXT, "_ZnwmRKSt9nothrow_t");
    else
        *(void **)(void *)&aligned = dlsym(RTLD_NEXT, "_ZnwmSt11align_val_tRKSt9nothrow_t");
    return plain != NULL ? plain(size, nothrow) : aligned != NULL ? aligned(size, alignment, nothrow) : NULL;
}

/* The kind of a block is checked mode's, calls are recorded by the profile variant: no variant does both. */
static void *new_recorded(size_t size, size_t alignment)
{
    return new_slow(size, alignment, FAMILY_NEW);
}

static void *allocate_recorded(size_t size, size_t alignment)
{
    return neb_allocate_as(size, alignment, FAMILY_NEW, NULL);
}

NEB_INLINE void *new_aligned(size_t size, size_t alignment, enum family family)
{
    if (ALLOC_IS_TRACED(size))
        return neb_traced_new(size, alignment, new_recorded);
    void *block = aligned_pop(size, alignment);
    return NEB_LIKELY(block != NULL) ? block : new_slow(size, alignment, family);
}

/* What the C++ library's form leads to in the end is the throwing form above, which records. */
NEB_INLINE void *new_nothrow(size_t size, size_t alignment, enum family family, const void *nothrow)
{
    if (ALLOC_IS_TRACED(size)) {
        void *block = neb_traced_new(size, alignment, allocate_recorded);
        if (NEB_LIKELY(block != NULL))
            return block;
    }
    void *block = aligned_pop(size, alignment);
    return NEB_LIKELY(block != NULL) ? block : new_nothrow_slow(size, alignment, family, nothrow);
}

NEB_INLINE void delete_as(void *p, enum family family, size_t size, size_t alignment)
{
    const char *name = family == FAMILY_NEW ? "operator delete" : "operator delete[]";
    if (!FREE_IS_TRACED(p))
        neb_free_as(p, name, family, size, alignment);
    else if (size == SIZE_UNSTATED)
        neb_traced_free(p);
    else
        neb_traced_free_sized(p, size, name);
}

NEB_INLINE void *new_plain(size_t size, enum family family)
{
    if (ALLOC_IS_TRACED(size))
        return neb_traced_new(size, 16, new_recorded);
    if (POLICY_EVERY_CALL_SLOW)
        return new_slow(size, 16, family);
    if (NEB_UNLIKELY(size > FAST_MAX))
        return new_aligned(size, 16, family);
    void *block = fast_pop(size);
    return NEB_LIKELY(block != NULL) ? block : new_slow(size, 16, family);
}

/* The body knows the family: new and delete, or new[] and delete[]. */
#define ONE(result, name, parameters, which, body)                                                                     \
    NEB_EXPORT result name parameters;                                                                                 \
    NEB_EXPORT result name parameters                                                                                  \
    {                                                                                                                  \
        const enum family family = which;                                                                              \
        body;                                                                                                          \
    }
#define PAIR(result, scalar, array, parameters, body)                                                                  \
    ONE(result, scalar, parameters, FAMILY_NEW, body)                                                                  \
    ONE(result, array, parameters, FAMILY_NEW_ARRAY, body)

#define DELETE(size, alignment) delete_as(p, family, size, alignment)

/* new(size), new(size, nothrow), new(size, align), new(size, align, nothrow) */
PAIR(void *, _Znwm, _Znam, (size_t size), return new_plain(size, family))
PAIR(void *, _ZnwmRKSt9nothrow_t, _ZnamRKSt9nothrow_t, (size_t size, const void *nothrow),
     return new_nothrow(size, 16, family, nothrow))
PAIR(void *, _ZnwmSt11align_val_t, _ZnamSt11align_val_t, (size_t size, size_t alignment), return new_aligned(size, alignment, family))
PAIR(void *, _ZnwmSt11align_val_tRKSt9nothrow_t, _ZnamSt11align_val_tRKSt9nothrow_t,
     (size_t size, size_t alignment, const void *nothrow), return new_nothrow(size, alignment, family, nothrow))

/* delete(p), (p, nothrow), (p, size), (p, align), (p, align, nothrow), (p, size, align) */
PAIR(void, _ZdlPv, _ZdaPv, (void *p), DELETE(SIZE_UNSTATED, 0))
PAIR(void, _ZdlPvRKSt9nothrow_t, _ZdaPvRKSt9nothrow_t, (void *p, const void *nothrow), (void)nothrow; DELETE(SIZE_UNSTATED, 0))
PAIR(void, _ZdlPvm, _ZdaPvm, (void *p, size_t size), DELETE(size, 0))
PAIR(void, _ZdlPvSt11align_val_t, _ZdaPvSt11align_val_t, (void *p, size_t alignment),
     (void)alignment; DELETE(SIZE_UNSTATED, alignment))
PAIR(void, _ZdlPvSt11align_val_tRKSt9nothrow_t, _ZdaPvSt11align_val_tRKSt9nothrow_t,
     (void *p, size_t alignment, const void *nothrow), (void)alignment; (void)nothrow; DELETE(SIZE_UNSTATED, alignment))
PAIR(void, _ZdlPvmSt11align_val_t, _ZdaPvmSt11align_val_t, (void *p, size_t size, size_t alignment),
     (void)alignment; DELETE(size, alignment))
