/* cxx.c - operator new and delete, in C, by their mangled names (Itanium ABI, LP64).
 *
 *   new: allocate; while that fails call the new_handler, which may free something, throw, or end the program;
 *   without a handler throw std::bad_alloc, or answer NULL in the nothrow forms
 *
 * Exceptions pass through these frames, so the file is compiled with -fexceptions. The C++ library is found when it
 * is needed: the preloaded library must not depend on it. */
#define _GNU_SOURCE
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

static NEB_COLD void *new_slow(size_t size, size_t alignment)
{
    for (;;) {
        void *block = neb_allocate(size, alignment);
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
static NEB_COLD void *new_nothrow_slow(size_t size, size_t alignment, const void *nothrow)
{
    void *block = neb_allocate(size, alignment);
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

NEB_INLINE void *new_aligned(size_t size, size_t alignment)
{
    return call_is_traced() ? neb_traced_new(size, alignment, new_slow) : new_slow(size, alignment);
}

/* What the C++ library's form leads to in the end is the throwing form above, which records. */
NEB_INLINE void *new_nothrow(size_t size, size_t alignment, const void *nothrow)
{
    if (call_is_traced()) {
        void *block = neb_traced_new(size, alignment, neb_allocate);
        if (NEB_LIKELY(block != NULL))
            return block;
    }
    return new_nothrow_slow(size, alignment, nothrow);
}

NEB_INLINE void delete_plain(void *p)
{
    if (call_is_traced())
        neb_traced_free(p);
    else
        neb_free(p);
}

NEB_INLINE void delete_sized(void *p, size_t size)
{
    if (call_is_traced())
        neb_traced_free_sized(p, size, "operator delete");
    else
        neb_free_sized(p, size, "operator delete");
}

NEB_INLINE void *new_plain(size_t size)
{
    if (call_is_traced())
        return neb_traced_new(size, 16, new_slow);
    if (NEB_UNLIKELY(size > FAST_MAX || POLICY_EVERY_CALL_SLOW))
        return new_slow(size, 16);
    void *block = bin_pop(heap_current()->bin_by_step[(size + 15) >> STEP_SHIFT]);
    return NEB_LIKELY(block != NULL) ? block : new_slow(size, 16);
}

#define PAIR(result, scalar, array, parameters, body)                                                                  \
    NEB_EXPORT result scalar parameters;                                                                               \
    NEB_EXPORT result scalar parameters                                                                                \
    {                                                                                                                  \
        body;                                                                                                          \
    }                                                                                                                  \
    NEB_EXPORT result array parameters;                                                                                \
    NEB_EXPORT result array parameters                                                                                 \
    {                                                                                                                  \
        body;                                                                                                          \
    }

/* new(size), new(size, nothrow), new(size, align), new(size, align, nothrow) */
PAIR(void *, _Znwm, _Znam, (size_t size), return new_plain(size))
PAIR(void *, _ZnwmRKSt9nothrow_t, _ZnamRKSt9nothrow_t, (size_t size, const void *nothrow),
     return new_nothrow(size, 16, nothrow))
PAIR(void *, _ZnwmSt11align_val_t, _ZnamSt11align_val_t, (size_t size, size_t alignment), return new_aligned(size, alignment))
PAIR(void *, _ZnwmSt11align_val_tRKSt9nothrow_t, _ZnamSt11align_val_tRKSt9nothrow_t,
     (size_t size, size_t alignment, const void *nothrow), return new_nothrow(size, alignment, nothrow))

/* delete(p), (p, nothrow), (p, size), (p, align), (p, align, nothrow), (p, size, align) */
PAIR(void, _ZdlPv, _ZdaPv, (void *p), delete_plain(p))
PAIR(void, _ZdlPvRKSt9nothrow_t, _ZdaPvRKSt9nothrow_t, (void *p, const void *nothrow), (void)nothrow; delete_plain(p))
PAIR(void, _ZdlPvm, _ZdaPvm, (void *p, size_t size), delete_sized(p, size))
PAIR(void, _ZdlPvSt11align_val_t, _ZdaPvSt11align_val_t, (void *p, size_t alignment), (void)alignment; delete_plain(p))
PAIR(void, _ZdlPvSt11align_val_tRKSt9nothrow_t, _ZdaPvSt11align_val_tRKSt9nothrow_t,
     (void *p, size_t alignment, const void *nothrow), (void)alignment; (void)nothrow; delete_plain(p))
PAIR(void, _ZdlPvmSt11align_val_t, _ZdaPvmSt11align_val_t, (void *p, size_t size, size_t alignment),
     (void)alignment; delete_sized(p, size))
