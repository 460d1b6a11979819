/* dlclose.c - unwind rules of a library that is unloaded are forgotten: another may come to stand at its addresses.
 *
 * Only in the variants that walk call stacks (variants.map). Rules are forgotten afterwards: as long as the library is there,
 * its destructors may call malloc. */
#define _GNU_SOURCE
#include "base/attr.h"
#include "unwind/rule.h"
#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>

typedef int close_function(void *handle);

static _Atomic(close_function *) real_dlclose;

static NEB_COLD close_function *find_dlclose(void)
{
    close_function *found;
    *(void **)(void *)&found = dlsym(RTLD_NEXT, "dlclose"); /* as POSIX has it */
    atomic_store_explicit(&real_dlclose, found, memory_order_relaxed); /* a function: nothing to publish */
    return found;
}

NEB_EXPORT int dlclose(void *handle)
{
    close_function *real = atomic_load_explicit(&real_dlclose, memory_order_relaxed);
    if (NEB_UNLIKELY(real == NULL))
        real = find_dlclose();
    int result = real(handle);
    neb_rules_forget();
    return result;
}
