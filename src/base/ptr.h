/* ptr.h - the only place of pointer arithmetic on untyped memory.
 *
 * Law  an address may be computed from a pointer (to look something up, to align), never the reverse: every
 *      pointer made here comes from another pointer to the same mapping or object. */
#ifndef NEB_BASE_PTR_H
#define NEB_BASE_PTR_H

#include "base/attr.h"
#include <stddef.h>
#include <stdint.h>

/* A memory tag is no part of the address, where the build has them. */
NEB_INLINE uintptr_t ptr_address(const volatile void *p)
{
#if defined(__ARM_FEATURE_MEMORY_TAGGING)
    return (uintptr_t)p & ~((uintptr_t)15 << 56);
#else
    return (uintptr_t)p;
#endif
}

NEB_INLINE unsigned char *ptr_add(void *base, size_t bytes)
{
    return (unsigned char *)base + bytes;
}

/* Bytes from base up to p, which may be any pointer: only the addresses are compared. */
NEB_INLINE size_t ptr_offset(const volatile void *p, const volatile void *base)
{
    return (size_t)(ptr_address(p) - ptr_address(base));
}

/* The lowest pointer at or above p whose address is a multiple of alignment (a power of two). */
NEB_INLINE unsigned char *ptr_align_up(void *p, size_t alignment)
{
    return ptr_add(p, (size_t)(0 - ptr_address(p)) & (alignment - 1));
}

NEB_INLINE size_t size_align_up(size_t size, size_t alignment)
{
    return (size + (alignment - 1)) & ~(alignment - 1);
}

#endif
