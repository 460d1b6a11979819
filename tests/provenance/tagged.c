/* tagged.c - mappings whose memory has a tag (aarch64, MTE): only pointers that come from the mapping carry it.
 *
 *   mmap          an anonymous mapping gets a tag by chance, never 0; the pointer to it has the same
 *   a load        through a pointer with another tag, or without one as an integer's cast makes it, is SIGSEGV
 *
 * It stands in front of the C library's calls in a program that the core is linked into. Memory that the system gives anew (commit,
 * purge) has tag 0; it is tagged with that of the pointer which the core passed, so that a pointer without a tag is noticed there, too.
 *
 * Law  whoever has no pointer cannot reach the memory, since 0 is the tag of no mapping. */
#define _GNU_SOURCE
#include <arm_acle.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PROT_MTE
#define PROT_MTE 0x20
#endif

enum { TAG_BYTES = 16, TAG_SHIFT = 56, TAGS_BUT_NONE = 0xfffe };

static void *system_address(const void *p)
{
    return (void *)((uintptr_t)p & (((uintptr_t)1 << TAG_SHIFT) - 1)); /* the harness may: only the core has to keep the law */
}

static void tag(void *base, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += TAG_BYTES)
        __arm_mte_set_tag((char *)base + at);
}

static void need_tag(const void *base)
{
    if (base == system_address(base))
        abort();
}

static int is_writable(int protection)
{
    return (protection & PROT_WRITE) != 0;
}

/* A mapping in the place of another is the core's way to commit where protections cannot be changed. */
void *mmap(void *address, size_t bytes, int protection, int flags, int descriptor, off_t offset)
{
    int is_anonymous = (flags & MAP_ANONYMOUS) != 0;
    if (is_anonymous && is_writable(protection))
        protection |= PROT_MTE;
    long place = syscall(SYS_mmap, system_address(address), bytes, protection, flags, descriptor, offset);
    if (place == -1)
        return MAP_FAILED;
    void *base = (void *)place;
    if (!is_anonymous)
        return base;
    if ((flags & MAP_FIXED) == 0)
        base = __arm_mte_create_random_tag(base, 1);
    else
        need_tag(base = address);
    if (is_writable(protection))
        tag(base, bytes);
    return base;
}

int munmap(void *base, size_t bytes)
{
    need_tag(base);
    return (int)syscall(SYS_munmap, system_address(base), bytes);
}

int mprotect(void *base, size_t bytes, int protection)
{
    need_tag(base);
    int answer = (int)syscall(SYS_mprotect, system_address(base), bytes, is_writable(protection) ? protection | PROT_MTE : protection);
    if (answer == 0 && is_writable(protection))
        tag(base, bytes);
    return answer;
}

int madvise(void *base, size_t bytes, int advice)
{
    need_tag(base);
    int answer = (int)syscall(SYS_madvise, system_address(base), bytes, advice);
    if (answer == 0 && advice == MADV_DONTNEED)
        tag(base, bytes);
    return answer;
}

/* What is moved gets the tag of the place to which it comes. */
void *mremap(void *base, size_t old_bytes, size_t new_bytes, int flags, ...)
{
    void *target = base;
    need_tag(base);
    if ((flags & MREMAP_FIXED) != 0) {
        va_list rest;
        va_start(rest, flags);
        target = va_arg(rest, void *);
        va_end(rest);
        need_tag(target);
    }
    if (syscall(SYS_mremap, system_address(base), old_bytes, new_bytes, flags, system_address(target)) == -1 ||
        mprotect(target, new_bytes, PROT_READ | PROT_WRITE) != 0)
        return MAP_FAILED;
    return target;
}

/* Before anything is mapped: without tags every test would pass, and show nothing. */
__attribute__((constructor)) static void tags_start(void)
{
    if (prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_SYNC | (TAGS_BUT_NONE << PR_MTE_TAG_SHIFT), 0, 0, 0) != 0)
        abort();
}
