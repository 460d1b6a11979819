/* guard.h - blocks that stand against an inaccessible page: a read or write beyond them, or after they were freed, faults.
 *
 *   area     [first slots of 2 pages][slots of 4 pages][8]...          one reservation, inaccessible
 *   slot     | inaccessible .......... | data pages: .... block| page |     the block ends there, or begins at its page
 *   freed    | inaccessible .................................. | page |     no memory, no mapping of its own
 *
 * All blocks (the option guard), those of some sizes or callers (filter.h), or a few among many (guard_sample): then the
 * area is small, its slots serve blocks of up to a page, and the sides alternate at random. A freed slot serves again when
 * many younger ones wait, in the order in which they were freed. What no slot can serve is an ordinary block: when a quarter of the
 * mappings that the kernel allows is in use, or the address space is limited.
 *
 * Where a few among many are guarded, the area is one mapping, whose inaccessible pages are fences (os/fence.h), if the kernel has them:
 * then blocks come and go without mappings of their own.
 *
 * Bytes of a data page that are not the block's are canaries, verified when the block is freed and at the end.
 *
 * Invariant  an address of the area is in no entry of the page map; a slot's record tells what the heap's records tell, and
 *            reports are given it as a cell (check/block.h)
 * Ownership  a slot: by its record's state, as check.h has it; NONE: who took it from the list; FREED: who freed it, then the
 *            list
 * Locks      LOCK_GUARD, for a few instructions, and while records are made
 * Failure    NULL: the block is to be an ordinary one
 * Sync       K1 as in check.h; G1: a class's records are made before they are found */
#ifndef NEB_CHECK_GUARD_H
#define NEB_CHECK_GUARD_H

#include "check/check.h"
#include "check/spans.h"

enum guard_side { GUARD_AT_END, GUARD_AT_START, GUARD_AT_RANDOM };

struct guard_options {
    enum guard_side side;
    size_t alignment;   /* of blocks that are asked for without one: a power of two up to 16 */
    bool is_sample;     /* a small area */
    unsigned stack_depth;
};

/* Whether all blocks are to be guarded that the filter takes. */
extern NEB_HIDDEN bool neb_guard_is_wanted;

/* Once, before there are threads. False: there is no address space. */
bool neb_guard_init(const struct guard_options *options);

/* NULL: no slot for it. alignment: a power of two; up to 16 it is the option's business. */
void *neb_guard_alloc(size_t size, size_t alignment, enum family family, enum content content);
/* One that grows, and is likely to grow on: it begins at its slot's first page, with room for as much again at most. What is behind it on its
 * last page are canaries. */
void *neb_guard_alloc_growing(size_t size, enum family family);
/* Such a block grows where it is, up to its slot's end. False: it has to move. p is in use. */
bool neb_guard_grow(void *p, size_t size);
/* False: p is not in the area, or nothing was ever there. Else the block is freed, or what is wrong is reported. */
bool neb_guard_free(void *p, const struct check_call *call);
bool neb_guard_knows(const void *p);
/* As neb_check_size, of a pointer that is known. */
bool neb_guard_size(const void *p, const char *call, size_t *size);
/* The cell of the block that an address is in or next to. False: not in the area, or no block is near. */
bool neb_guard_cell_near(const void *p, struct cell *cell);
/* The end of the process: the canaries of blocks in use. */
void neb_guard_verify(void);
/* Blocks in use. False from visit ends it, and is the answer. */
bool neb_guard_walk(bool (*visit)(void *argument, void *begin, size_t size), void *argument);

/* Every slot that was ever used, as a cell. */
void neb_guard_cells_walk(void (*visit)(void *argument, const struct cell *cell), void *argument);
/* The area; what is remembered of its slots. */
void neb_guard_span(struct spans *spans);
void neb_guard_record_spans(struct spans *spans);

struct guard_counts {
    size_t live, waiting; /* blocks in use; freed ones that are kept out of reach */
    size_t live_bytes;    /* of blocks, not of their pages */
    uint64_t served, refused;
};
struct guard_counts neb_guard_counts(void);

#endif
