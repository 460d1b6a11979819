/* cell.h - the cell of an address, where it is found with a few instructions: a block of a pool (record.h has the rest).
 *
 *   p --> entry: the class   chunk: its slab --> index --> slab->records[index]
 *
 * Of the slab's descriptor no more is read than must be: the entry knows the class. */
#ifndef NEB_HEAP_CELL_H
#define NEB_HEAP_CELL_H

#include "base/attr.h"
#include "heap/heap.h"
#include "heap/record.h"

/* What is kept of each cell. Written before there are threads. */
extern NEB_HIDDEN enum records neb_records_kept;

bool neb_cell_without_slab(const void *p, uint32_t entry, bool many, struct cell *cell);

NEB_INLINE struct cell cell_in_slab(const struct slab *slab, size_t index, size_t bytes)
{
    struct cell cell = {ptr_add(slab->base, index * bytes), bytes, NULL, NULL, NULL, NULL, CELL_SMALL};
    if ((POLICY_ORIGIN || neb_records_kept == RECORDS_WHOLE) && slab->records != NULL) { /* the checked policy has no others */
        struct cell_record *records = slab->records;
        struct cell_record_of_origin *with_origins = slab->records;
        cell.record = POLICY_STACKS ? &with_origins[index].record : &records[index];
        cell.state = &cell.record->state;
    } else if (slab->records != NULL) {
        _Atomic uint8_t *states = slab->records;
        cell.record = &neb_record_of_none.record;
        cell.state = &states[index];
    }
    return cell;
}

/* That of a pool's entry. False: p is behind the slab's last one. */
NEB_INLINE bool cell_in_pool(const void *p, uint32_t entry, struct cell *cell)
{
    const struct size_class *class = size_class_at(entry & ENTRY_OFFSET_MASK);
    const struct chunk *chunk = page_map_chunk(p);
    unsigned granule = chunk_granule_of(p);
    const struct slab *slab = &chunk->slab[NEB_UNLIKELY(size_class_is_wide(class)) ? chunk->head[granule] : granule];
    size_t index = size_class_index(class, ptr_offset(p, slab->base));
    if (NEB_UNLIKELY(index >= class->capacity))
        return false;
    *cell = cell_in_slab(slab, index, class->size);
    return true;
}

/* As neb_cell_of. */
NEB_INLINE bool cell_find(const void *p, bool many, struct cell *cell)
{
    uint32_t entry = page_map_load(p);
    struct cell other; /* not *cell, whose address stays here: so its fields need no memory */
    if (NEB_LIKELY(entry_is_pooled(entry)))
        return cell_in_pool(p, entry, cell);
    bool found = neb_cell_without_slab(p, entry, many, &other);
    *cell = other;
    return found;
}

/* The same if it is a block of a pool, as nearly all are, and has a record: the compiler knows what else the cell has not. */
NEB_INLINE bool cell_find_small(const void *p, struct cell *cell)
{
    uint32_t entry = page_map_load(p);
    return NEB_LIKELY(entry_is_pooled(entry)) && cell_in_pool(p, entry, cell) && NEB_LIKELY(cell->record != NULL);
}

#endif
