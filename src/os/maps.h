/* maps.h - the mappings of this process, as the kernel lists them, and what stands in them.
 *
 * Addresses are numbers here: memory that nobody gave us a pointer to is read through a file, which also answers where a
 * touch would fault.
 *
 * Threads    any; any context. Allocates nothing
 * Failure    where /proc is missing there are no mappings, and nothing can be read */
#ifndef NEB_OS_MAPS_H
#define NEB_OS_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct os_map_entry {
    uintptr_t start, end;
    bool readable, writable, is_shared;
    const char *name; /* a path, "[stack]" and its like, or "": valid until the next line */
};

/* In ascending order; a false answer ends it, and is the answer. */
bool neb_os_maps_walk(bool (*visit)(void *argument, const struct os_map_entry *entry), void *argument);

struct os_mapping {
    uintptr_t start, end;
    char name[128];
};
/* The one that holds an address. Slow: for error messages. */
bool neb_os_mapping_of(uintptr_t address, struct os_mapping *mapping);

/* A process's memory as a file, and which pages it has. What it shares with others has to be asked before it is copied: a copy has
 * those pages only when it touches them. */
struct os_memory {
    int contents, pages, shared_pages; /* descriptors; negative: refused */
};
/* In the process, before it is copied; then in the copy, or in the same process. False: contents cannot be read. */
void neb_os_memory_prepare(struct os_memory *memory);
bool neb_os_memory_open(struct os_memory *memory);
void neb_os_memory_close(const struct os_memory *memory);
/* How many bytes from an address on were read: fewer up to what cannot be, 0 if that begins there. */
size_t neb_os_memory_read(const struct os_memory *memory, uintptr_t address, void *to, size_t bytes);
/* The first stretch between two addresses of pages that the process has. In private mappings: its own, not those that only a file
 * backs; in shared ones: that it has touched. Where the kernel does not tell, all of them. The stretch may be cut off, and the search
 * too: start == end says that there is none before. */
struct os_stretch {
    uintptr_t start, end;
};
struct os_stretch neb_os_memory_pages(const struct os_memory *memory, bool is_shared, uintptr_t start, uintptr_t end);

#endif
