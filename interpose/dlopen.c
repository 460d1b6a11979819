/* dlopen.c - RTLD_DEEPBIND is dropped: a plugin that finds libc's malloc before this one frees with the one what the
 * other has given.
 *
 * Law  the call of the real function is a jump: its return address tells the loader who called, whose RUNPATH and
 *      namespace count. tests/preload/facts/deepbind.c would notice a call */
#define _GNU_SOURCE
#include "base/attr.h"
#include "front/init.h"
#include "interpose/exports.h"
#include <dlfcn.h>
#include <stdatomic.h>

typedef void *open_function(const char *file, int mode);
typedef void *open_in_function(Lmid_t namespace, const char *file, int mode);

static _Atomic(open_function *) real_dlopen;
static _Atomic(open_in_function *) real_dlmopen;

static NEB_COLD open_function *find_dlopen(void)
{
    open_function *found;
    *(void **)(void *)&found = dlsym(RTLD_NEXT, "dlopen"); /* as POSIX has it */
    atomic_store_explicit(&real_dlopen, found, memory_order_relaxed); /* a function: nothing to publish */
    return found;
}

static NEB_COLD open_in_function *find_dlmopen(void)
{
    open_in_function *found;
    *(void **)(void *)&found = dlsym(RTLD_NEXT, "dlmopen");
    atomic_store_explicit(&real_dlmopen, found, memory_order_relaxed);
    return found;
}

NEB_INLINE int mode_without_deepbind(int mode)
{
    return neb_keeps_deepbind() ? mode : mode & ~RTLD_DEEPBIND;
}

NEB_EXPORT void *dlopen(const char *file, int mode)
{
    open_function *real = atomic_load_explicit(&real_dlopen, memory_order_relaxed);
    if (NEB_UNLIKELY(real == NULL))
        real = find_dlopen();
    NEB_TAIL return real(file, mode_without_deepbind(mode));
}

/* Other namespaces have a libc of their own, and all of it. */
NEB_EXPORT void *dlmopen(Lmid_t namespace, const char *file, int mode)
{
    open_in_function *real = atomic_load_explicit(&real_dlmopen, memory_order_relaxed);
    if (NEB_UNLIKELY(real == NULL))
        real = find_dlmopen();
    NEB_TAIL return real(namespace, file, namespace == LM_ID_BASE ? mode_without_deepbind(mode) : mode);
}
