/* huge.h - the mappings of large.h, for large.c alone. */
#ifndef NEB_HEAP_HUGE_H
#define NEB_HEAP_HUGE_H

#include "heap/large.h"

void *neb_huge_alloc(size_t size, size_t alignment, bool *zeroed);
bool neb_huge_free(void *p, uint32_t entry);
size_t neb_huge_usable(const void *p, uint32_t entry);
void *neb_huge_resize(void *p, uint32_t entry, size_t size);
struct large_counts neb_huge_counts(void);
struct cell;
/* By number, or by the entry that holds it; base NULL: not in use. False: there is no such number nor a higher one. */
bool neb_huge_cell(uint32_t number, struct cell *cell);
/* Of the block in use around an address. Waits for LOCK_HUGE for a while only, since a signal handler may ask. */
bool neb_huge_cell_around(const void *p, struct cell *cell);
/* Every block has a number from 0 on; *base NULL: not in use. False: there is no such number nor a higher one. */
bool neb_huge_numbered(uint32_t number, void **base, size_t *bytes);

#endif
