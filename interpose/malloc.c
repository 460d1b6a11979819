/* malloc.c - the names of C: what programs call instead of the system's.
 *
 * Semantics are glibc's where the standard leaves room: malloc(0) is a block, realloc(p, 0) frees, requests above
 * PTRDIFF_MAX fail with ENOMEM, free keeps errno. While a mode records, a call goes on in front/traced.c, by a jump: the
 * caller's stack begins there with the program's own return address. */
#include "base/bits.h"
#include "check/check.h"
#include "front/alloc.h"
#include "front/init.h"
#include "front/traced.h"
#include "interpose/exports.h"
#include "os/vm.h"
#include <errno.h>

/* Arguments as glibc passes them to constructors: the environment is known even before libc's own start. */
__attribute__((constructor)) static void library_start(int argc, char **argv, char **environment)
{
    (void)argc;
    (void)argv;
    neb_init(environment);
}

__attribute__((destructor)) static void library_end(void)
{
    neb_exit();
}

/* These two begin at a line: each is one line of instructions or little more. bench: pair takes 4 % less time */
NEB_ALIGNED(64) NEB_EXPORT void *malloc(size_t size)
{
    if (ALLOC_IS_TRACED(size))
        return neb_traced_malloc(size);
    return neb_malloc(size);
}

NEB_ALIGNED(64) NEB_EXPORT void free(void *p)
{
    if (FREE_IS_TRACED(p))
        neb_traced_free(p);
    else
        neb_free(p);
}

NEB_EXPORT void cfree(void *p)
{
    if (FREE_IS_TRACED(p))
        neb_traced_free(p);
    else
        neb_free(p);
}

NEB_EXPORT void *calloc(size_t count, size_t size)
{
    return ALLOC_IS_TRACED(count * size) ? neb_traced_calloc(count, size) : neb_calloc(count, size);
}

NEB_EXPORT void *realloc(void *p, size_t size)
{
    return REALLOC_IS_TRACED(p, size) ? neb_traced_realloc(p, size) : neb_realloc(p, size);
}

NEB_EXPORT void *reallocarray(void *p, size_t count, size_t size)
{
    return REALLOC_IS_TRACED(p, count * size) ? neb_traced_reallocarray(p, count, size) : neb_reallocarray(p, count, size);
}

NEB_INLINE void *memalign_plain(size_t alignment, size_t size)
{
    return ALLOC_IS_TRACED(size) ? neb_traced_memalign(alignment, size) : neb_memalign(alignment, size);
}

/* glibc rounds an odd alignment up to a power of two, and refuses only what has none. */
NEB_INLINE void *memalign_rounded(size_t alignment, size_t size)
{
    if (alignment > SIZE_MAX / 2 + 1) {
        errno = EINVAL;
        return NULL;
    }
    if (!bits_is_power_of_two(alignment))
        alignment = alignment == 0 ? 1 : (size_t)1 << bits_log2_ceil(alignment);
    return memalign_plain(alignment, size);
}

NEB_EXPORT void *memalign(size_t alignment, size_t size)
{
    return memalign_rounded(alignment, size);
}

NEB_EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign_rounded(alignment, size);
}

NEB_EXPORT int posix_memalign(void **result, size_t alignment, size_t size)
{
    if (alignment % sizeof(void *) != 0 || !bits_is_power_of_two(alignment))
        return EINVAL;
    if (ALLOC_IS_TRACED(size))
        return neb_traced_posix_memalign(result, alignment, size);
    void *block = neb_memalign(alignment, size);
    if (block == NULL)
        return ENOMEM; /* which errno is too, as with glibc */
    *result = block;
    return 0;
}

NEB_EXPORT void *valloc(size_t size)
{
    return memalign_plain(neb_vm_page_size(), size);
}

NEB_EXPORT void *pvalloc(size_t size)
{
    size_t page = neb_vm_page_size();
    if (size > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    return memalign_plain(page, size_align_up(size, page));
}

NEB_EXPORT size_t malloc_usable_size(void *p)
{
    return neb_usable_size(p);
}

NEB_EXPORT void free_sized(void *p, size_t size)
{
    if (FREE_IS_TRACED(p))
        neb_traced_free_sized(p, size, "free_sized");
    else
        neb_free_sized(p, size, "free_sized");
}

NEB_EXPORT void free_aligned_sized(void *p, size_t alignment, size_t size)
{
    if (FREE_IS_TRACED(p))
        neb_traced_free_sized(p, size, "free_aligned_sized");
    else
        neb_free_as(p, "free_aligned_sized", FAMILY_MALLOC, size, alignment);
}
