/* wrapped.h - the system calls that a test puts itself in front of: linked with -Wl,--wrap, a call of mmap reaches
 * __wrap_mmap, and __real_mmap is libc's. */
#ifndef NEB_TESTS_WRAPPED_H
#define NEB_TESTS_WRAPPED_H

#include <stddef.h>
#include <sys/types.h>

void *__real_mmap(void *address, size_t bytes, int protection, int flags, int descriptor, off_t offset);
void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int descriptor, off_t offset);
void *__wrap_mmap64(void *address, size_t bytes, int protection, int flags, int descriptor, off_t offset);
int __real_munmap(void *address, size_t bytes);
int __wrap_munmap(void *address, size_t bytes);
int __real_mprotect(void *address, size_t bytes, int protection);
int __wrap_mprotect(void *address, size_t bytes, int protection);
int __real_madvise(void *address, size_t bytes, int advice);
int __wrap_madvise(void *address, size_t bytes, int advice);
void *__real_mremap(void *address, size_t old_bytes, size_t new_bytes, int flags, ...);
void *__wrap_mremap(void *address, size_t old_bytes, size_t new_bytes, int flags, ...);

#endif
