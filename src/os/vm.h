/* vm.h - memory from and to the operating system.
 *
 * Every call may change errno; front/ saves it where C promises that it is untouched. Any thread, no locks.
 * A refused system call (seccomp, limits) is a NULL or false answer, never an abort. */
#ifndef NEB_OS_VM_H
#define NEB_OS_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes; a power of two, asked from the kernel once: 4 KiB to 64 KiB depending on the machine. */
size_t neb_vm_page_size(void);

/* Zeroed private memory, page aligned; NULL when the system has none. bytes: a multiple of the page size. */
void *neb_vm_map(size_t bytes);
/* The same, aligned to a power of two of at least the page size. */
void *neb_vm_map_aligned(size_t bytes, size_t alignment);
bool neb_vm_unmap(void *base, size_t bytes);

/* Address space without memory: it counts against no limit but that of address space. */
void *neb_vm_reserve(size_t bytes);
void *neb_vm_reserve_aligned(size_t bytes, size_t alignment);
/* Makes a part of it readable and writable; it reads as zero. */
bool neb_vm_commit(void *base, size_t bytes);

/* Gives the pages back; they read as zero afterwards. False: they still hold their contents. */
bool neb_vm_purge(void *base, size_t bytes);
/* Faults the pages in, for writing, in one system call. A hint. */
void neb_vm_populate(void *base, size_t bytes);
/* Asks for huge pages in the range. A hint. */
void neb_vm_advise_huge(void *base, size_t bytes);
/* Takes that back, and huge pages that are there stay. A hint. */
void neb_vm_advise_small(void *base, size_t bytes);
/* Makes the range inaccessible. A hint: false when the system refuses. */
bool neb_vm_guard(void *base, size_t bytes);
/* Takes that back. What the range held is lost where only a new mapping in its place will do; then it reads as zero.
 * False: the system refuses. */
bool neb_vm_unguard(void *base, size_t bytes);

/* Gives the range a name in /proc/self/maps. False: the kernel does not do that. */
bool neb_vm_name(void *base, size_t bytes, const char *name);

/* Grows or shrinks a mapping where it is. */
bool neb_vm_resize_in_place(void *base, size_t old_bytes, size_t new_bytes);
/* Moves a mapping's pages without copying onto a reserved range of new_bytes, which becomes readable and writable.
 * False: nothing changed. */
bool neb_vm_move(void *base, size_t old_bytes, void *target, size_t new_bytes);

struct vm_counts {
    uint64_t mapped_peak_bytes; /* the most that was mapped at one time */
    uint64_t mapped_bytes, unmapped_bytes, purged_bytes, purges, populated_bytes, moves;
};
struct vm_counts neb_vm_counts(void);

#endif
