/* rows.h - records of 256 bytes that stand in the file itself and are changed in place: nothing has to be written at the end.
 *
 *   number = chunk's index << 8 | place there, from 1 on        0: none
 *
 * Ownership  a row: whoever counts in it (site.h)
 * Locks      making one: LOCK_TRACE_LANES is held; then those of the file
 * Failure    number 0: no room, or the disk is full
 * Sync       S1: a chunk is published after it was made */
#ifndef NEB_TRACE_ROWS_H
#define NEB_TRACE_ROWS_H

#include "base/attr.h"
#include "base/ptr.h"
#include "policy/tuning.h"
#include "trace/format.h"
#include <stdatomic.h>
#include <stdbool.h>

enum {
    ROWS_PLACE_BITS = 8,
    ROWS_IN_CHUNK = (ROWS_CHUNK_BYTES - sizeof(struct nbt_chunk)) / NBT_ROW_BYTES,
    ROWS_CHUNKS_MAX = SITES_MAX / ROWS_IN_CHUNK
};
_Static_assert(ROWS_IN_CHUNK < 1 << ROWS_PLACE_BITS, "a place fits");

struct rows {
    enum nbt_kind kind;
    uint32_t count; /* LOCK_TRACE_LANES */
    struct nbt_chunk *_Atomic chunk[ROWS_CHUNKS_MAX];
};

/* NULL: the number is none, or of a file before this one. */
NEB_INLINE void *rows_at(struct rows *rows, uint32_t number)
{
    uint32_t index = number >> ROWS_PLACE_BITS, place = number % (1 << ROWS_PLACE_BITS);
    if (NEB_UNLIKELY(index >= ROWS_CHUNKS_MAX || place == 0))
        return NULL;
    struct nbt_chunk *chunk = atomic_load_explicit(&rows->chunk[index], memory_order_acquire); /* S1 */
    return NEB_UNLIKELY(chunk == NULL) ? NULL : ptr_add(chunk, sizeof *chunk + (place - 1) * (size_t)NBT_ROW_BYTES);
}

/* The number of a new row, all zero. */
uint32_t neb_rows_make(struct rows *rows);

void neb_rows_begin(struct rows *rows);
/* is_quiet: nobody is in the middle of counting, so that nothing need stay mapped. */
void neb_rows_finish(struct rows *rows, bool is_quiet);
void neb_rows_forget(struct rows *rows);

#endif
