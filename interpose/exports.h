/* exports.h - prototypes of what libc's own headers do not declare for C11, and of the C++ operators. */
#ifndef NEB_INTERPOSE_EXPORTS_H
#define NEB_INTERPOSE_EXPORTS_H

#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>

void cfree(void *p);
void *aligned_alloc(size_t alignment, size_t size);
int posix_memalign(void **result, size_t alignment, size_t size);
void *valloc(size_t size);
void *reallocarray(void *p, size_t count, size_t size);
void free_sized(void *p, size_t size);
void free_aligned_sized(void *p, size_t alignment, size_t size);

#endif
