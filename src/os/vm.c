/* vm.c - see vm.h.
 *
 * Sync  the page size is written at most a few times, always with the same value; counters are statistics and order nothing: relaxed
 *       is enough for both. */
#define _GNU_SOURCE
#include "os/vm.h"

#include "base/ptr.h"
#include <stdatomic.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; older kernels answer EINVAL */
#endif

static _Atomic size_t page_size;
static _Atomic uint64_t mapped_peak_bytes, mapped_bytes, unmapped_bytes, purged_bytes, purges, populated_bytes, moves;

static void count(_Atomic uint64_t *counter, uint64_t amount)
{
    atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

static void count_mapped(uint64_t amount)
{
    uint64_t mapped = atomic_fetch_add_explicit(&mapped_bytes, amount, memory_order_relaxed) + amount;
    uint64_t now = mapped - atomic_load_explicit(&unmapped_bytes, memory_order_relaxed);
    uint64_t peak = atomic_load_explicit(&mapped_peak_bytes, memory_order_relaxed);
    while (now > peak && !atomic_compare_exchange_weak_explicit(&mapped_peak_bytes, &peak, now, memory_order_relaxed,
                                                                memory_order_relaxed)) {
    }
}

size_t neb_vm_page_size(void)
{
    size_t size = atomic_load_explicit(&page_size, memory_order_relaxed);
    if (size == 0) {
        size = getauxval(AT_PAGESZ);
        if (size == 0)
            size = 4096;
        atomic_store_explicit(&page_size, size, memory_order_relaxed);
    }
    return size;
}

static void *map(size_t bytes, int protection)
{
    /* NORESERVE: a chunk is asked for as address space; what is touched is what counts. Ignored where the
     * administrator forbade overcommitting. */
    void *base = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return base == MAP_FAILED ? NULL : base;
}

void *neb_vm_map(size_t bytes)
{
    void *base = map(bytes, PROT_READ | PROT_WRITE);
    if (base != NULL)
        count_mapped(bytes);
    return base;
}

/* Where unmapping the slack is refused, it stays as address space that nobody touches. */
static void *map_aligned(size_t bytes, size_t alignment, int protection)
{
    size_t page = neb_vm_page_size();
    if (alignment <= page)
        return map(bytes, protection);
    /* The kernel places mappings downwards, one below the other, so that after one that was aligned the next of
     * the same kind mostly is too: one system call instead of three. */
    unsigned char *base = map(bytes, protection);
    if (base == NULL || ptr_align_up(base, alignment) == base)
        return base;
    (void)munmap(base, bytes);
    size_t slack = alignment - page;
    if (bytes + slack < bytes)
        return NULL;
    base = map(bytes + slack, protection);
    if (base == NULL)
        return NULL;
    unsigned char *aligned = ptr_align_up(base, alignment);
    size_t before = ptr_offset(aligned, base);
    if (before > 0)
        (void)munmap(base, before);
    if (slack > before)
        (void)munmap(aligned + bytes, slack - before);
    return aligned;
}

void *neb_vm_map_aligned(size_t bytes, size_t alignment)
{
    void *base = map_aligned(bytes, alignment, PROT_READ | PROT_WRITE);
    if (base != NULL)
        count_mapped(bytes);
    return base;
}

void *neb_vm_reserve(size_t bytes)
{
    return map(bytes, PROT_NONE);
}

void *neb_vm_reserve_aligned(size_t bytes, size_t alignment)
{
    return map_aligned(bytes, alignment, PROT_NONE);
}

/* Where a sandbox refuses to change protections, a new mapping takes the old one's place. */
static bool open_or_replace(void *base, size_t bytes)
{
    return mprotect(base, bytes, PROT_READ | PROT_WRITE) == 0 ||
           mmap(base, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
}

bool neb_vm_commit(void *base, size_t bytes)
{
    if (!open_or_replace(base, bytes))
        return false;
    count_mapped(bytes);
    return true;
}

NEB_SELDOM bool neb_vm_unmap(void *base, size_t bytes)
{
    if (munmap(base, bytes) != 0)
        return false;
    count(&unmapped_bytes, bytes);
    return true;
}

NEB_SELDOM bool neb_vm_purge(void *base, size_t bytes)
{
    if (madvise(base, bytes, MADV_DONTNEED) != 0)
        return false;
    count(&purged_bytes, bytes);
    count(&purges, 1);
    return true;
}

void neb_vm_populate(void *base, size_t bytes)
{
    if (madvise(base, bytes, MADV_POPULATE_WRITE) == 0)
        count(&populated_bytes, bytes);
}

NEB_SELDOM void neb_vm_advise_huge(void *base, size_t bytes)
{
    (void)madvise(base, bytes, MADV_HUGEPAGE);
}

NEB_SELDOM void neb_vm_advise_small(void *base, size_t bytes)
{
    (void)madvise(base, bytes, MADV_NOHUGEPAGE);
}

bool neb_vm_guard(void *base, size_t bytes)
{
    return mprotect(base, bytes, PROT_NONE) == 0;
}

NEB_SELDOM bool neb_vm_unguard(void *base, size_t bytes)
{
    return open_or_replace(base, bytes);
}

NEB_SELDOM bool neb_vm_name(void *base, size_t bytes, const char *name)
{
    enum { SET_VMA = 0x53564d41, SET_VMA_ANON_NAME = 0 }; /* Linux 5.17 */
    return prctl(SET_VMA, SET_VMA_ANON_NAME, base, bytes, name) == 0;
}

static void count_resize(size_t old_bytes, size_t new_bytes)
{
    if (new_bytes > old_bytes)
        count_mapped(new_bytes - old_bytes);
    else
        count(&unmapped_bytes, old_bytes - new_bytes);
}

NEB_SELDOM bool neb_vm_resize_in_place(void *base, size_t old_bytes, size_t new_bytes)
{
    if (mremap(base, old_bytes, new_bytes, 0) == MAP_FAILED)
        return false;
    count_resize(old_bytes, new_bytes);
    return true;
}

NEB_SELDOM bool neb_vm_move(void *base, size_t old_bytes, void *target, size_t new_bytes)
{
    if (mremap(base, old_bytes, new_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, target) == MAP_FAILED)
        return false;
    count_resize(old_bytes, new_bytes);
    count(&moves, 1);
    return true;
}

NEB_SELDOM struct vm_counts neb_vm_counts(void)
{
    return (struct vm_counts){
        .mapped_peak_bytes = atomic_load_explicit(&mapped_peak_bytes, memory_order_relaxed),
        .mapped_bytes = atomic_load_explicit(&mapped_bytes, memory_order_relaxed),
        .unmapped_bytes = atomic_load_explicit(&unmapped_bytes, memory_order_relaxed),
        .purged_bytes = atomic_load_explicit(&purged_bytes, memory_order_relaxed),
        .purges = atomic_load_explicit(&purges, memory_order_relaxed),
        .populated_bytes = atomic_load_explicit(&populated_bytes, memory_order_relaxed),
        .moves = atomic_load_explicit(&moves, memory_order_relaxed),
    };
}
