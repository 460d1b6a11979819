/* record.h - what is remembered of each block where blocks are checked: out of line, so that no bug of the program
 * reaches it.
 *
 *   slab    records[index], an array beside the bitmap      cell = the block of the slab's class
 *   large   chunk->record[first granule], ->slack           cell = the run of granules
 *   huge    the slot's record, front and slack              cell = the mapping
 *
 *   cell    | front: canary | the program's block: size bytes | slack: canary |
 *
 * The heap only keeps the room and finds it; what stands in a record is the business of check/. Off until
 * neb_records_enable: then slab->records is NULL, nothing is spent. Where only states are wanted, a slab has an array of
 * those instead: 64 of them in a cache line.
 *
 * Invariant  a cell has one record for as long as it exists; the record's state is NONE when the cell was never
 *            handed out since
 * Ownership  state: any thread, by compare-and-swap (R2); the other fields: who made the state LIVE, or FREED
 * Failure    a slab whose records cannot be had is not made
 * Sync       R2: what a state says is written before it */
#ifndef NEB_HEAP_RECORD_H
#define NEB_HEAP_RECORD_H

#include "base/attr.h"
#include "policy/policy.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum record_state {
    RECORD_NONE,
    RECORD_LIVE,    /* the program's */
    RECORD_FREED,   /* in quarantine */
    RECORD_HIDDEN,  /* in quarantine, and inaccessible */
    RECORD_RELEASED /* the heap's again */
};

struct cell_record {
    _Atomic uint16_t slack; /* small: bytes of the cell behind the block */
    _Atomic uint8_t form;   /* kind, the front's log2, whether it was resized: check/ packs them */
    _Atomic uint8_t state;
};

struct cell_origin {
    _Atomic uint32_t alloc_stack, free_stack;   /* check/stacks.h; 0: none */
    _Atomic uint16_t alloc_thread, free_thread; /* numbers of threads; 0: unknown */
};

/* Slabs have these in the variants that take stacks (cell_origin), else the record alone: sixteen in a cache line, not four. */
struct cell_record_of_origin {
    struct cell_record record;
    struct cell_origin origin;
};
_Static_assert(sizeof(struct cell_record) == 4 && sizeof(struct cell_record_of_origin) == 16, "whole cache lines");

struct slab;
struct size_class;

enum cell_kind { CELL_SMALL, CELL_LARGE, CELL_HUGE };

struct cell {
    unsigned char *base;
    size_t bytes;
    struct cell_record *record; /* NULL: the block was made before records were; that of neb_record_of_none: only its state is kept */
    _Atomic uint8_t *state;
    size_t *front;               /* huge: where this stands, since the record may not hold it; else NULL */
    _Atomic size_t *slack;       /* large and huge: so does this; small: NULL */
    enum cell_kind kind;
};

/* Reads as that of a block that fills its cell, and of which nothing is known. Never written. */
extern NEB_HIDDEN struct cell_record_of_origin neb_record_of_none;

/* What is known of a cell's origin, where the variant takes stacks; else nothing, never written. */
NEB_INLINE struct cell_origin *cell_origin(const struct cell *cell)
{
    struct cell_record_of_origin *whole = (void *)cell->record;
    return POLICY_STACKS ? &whole->origin : &neb_record_of_none.origin;
}

enum records { RECORDS_OFF, RECORDS_STATES, RECORDS_WHOLE };

/* Once, before there are threads: from now on every slab has records, or states; those that exist already too. */
void neb_records_enable(enum records wanted);
bool neb_records_are_enabled(void);
/* Whether the page map's window leads to states. */
extern NEB_HIDDEN bool neb_states_are_in_window;
/* For the makers of slabs. False: no memory. */
bool neb_records_make(struct slab *slab);
void neb_records_drop(struct slab *slab);

/* The cell in which p lies, which may be any address. False: in none. O(1), but O(huge blocks) inside a huge block
 * behind its first granule, where many is set; then LOCK_HUGE is taken. */
bool neb_cell_of(const void *p, bool many, struct cell *cell);
/* Every cell that has a record, also those of slabs and blocks that others are using at this moment. */
void neb_cells_walk(void (*visit)(void *argument, const struct cell *cell), void *argument);

#endif
