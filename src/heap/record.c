/* record.c - see record.h. */
#include "heap/record.h"

#include "base/bits.h"
#include "heap/cell.h"
#include "heap/huge.h"
#include "heap/meta.h"
#include "os/lock.h"
#include <string.h>

struct cell_record_of_origin neb_record_of_none;
bool neb_states_are_in_window;
enum records neb_records_kept; /* both written before there are threads */

static unsigned order_of(const struct slab *slab)
{
    enum { WHOLE = POLICY_STACKS ? sizeof(struct cell_record_of_origin) : sizeof(struct cell_record) };
    size_t bytes = neb_records_kept == RECORDS_WHOLE ? WHOLE : 1;
    unsigned order = bits_log2_ceil(neb_size_class[slab->class_index].capacity * bytes);
    return order < 8 ? 8 : order;
}

/* In the window, of a slab that is one granule. */
static void states_set(const struct slab *slab, _Atomic uint8_t *states)
{
    size_t index = window_index(slab->base);
    if (neb_states_are_in_window && slab->granules == 1 && index < atomic_load_explicit(&neb_window_count, memory_order_acquire)) /* P4 */
        atomic_store_explicit(atomic_load_explicit(&neb_window_states, memory_order_relaxed) + index, states, memory_order_relaxed); /* the owner's alone */
}

NEB_COMMON bool neb_records_make(struct slab *slab)
{
    slab->records = NULL;
    if (neb_records_kept == RECORDS_OFF)
        return true;
    unsigned order = order_of(slab);
    void *records = neb_meta_array_take(order);
    if (records == NULL)
        return false;
    memset(records, 0, (size_t)1 << order);
    slab->records = records;
    states_set(slab, records);
    return true;
}

NEB_COMMON void neb_records_drop(struct slab *slab)
{
    if (slab->records == NULL)
        return;
    states_set(slab, NULL);
    neb_meta_array_give(slab->records, order_of(slab));
    slab->records = NULL;
}

/* ---- the walk over chunks -------------------------------------------------------------------------------------------- */

struct run_visit {
    void (*visit)(void *argument, struct chunk *chunk, unsigned first, uint32_t entry);
    void *argument;
};

static bool chunk_walk(void *argument, struct chunk *chunk)
{
    const struct run_visit *to = argument;
    for (unsigned granule = 0; granule < CHUNK_GRANULES; granule++) {
        uint32_t entry = page_map_load(ptr_add(chunk->base, (size_t)granule << GRANULE_SHIFT));
        if (entry != ENTRY_NONE && chunk->head[granule] == granule)
            to->visit(to->argument, chunk, granule, entry);
    }
    return true;
}

/* Slabs and large blocks. */
static void runs_walk(void (*visit)(void *argument, struct chunk *chunk, unsigned first, uint32_t entry), void *argument)
{
    struct run_visit to = {visit, argument};
    (void)neb_chunks_walk(chunk_walk, &to);
}

static void slab_enable(void *argument, struct chunk *chunk, unsigned first, uint32_t entry)
{
    (void)argument;
    if (entry_is_pooled(entry))
        (void)neb_records_make(&chunk->slab[first]); /* refused: these few blocks stay unchecked */
}

void neb_records_enable(enum records wanted)
{
    neb_records_kept = wanted;
    neb_states_are_in_window = wanted == RECORDS_STATES && neb_page_map_keep_states();
    runs_walk(slab_enable, NULL);
}

bool neb_records_are_enabled(void)
{
    return neb_records_kept != RECORDS_OFF;
}

/* ---- cells --------------------------------------------------------------------------------------------------------------- */

static struct cell cell_of_run(struct chunk *chunk, unsigned first)
{
    struct cell_record *record = neb_records_kept == RECORDS_OFF ? NULL : &chunk->record[first].record;
    return (struct cell){ptr_add(chunk->base, (size_t)first << GRANULE_SHIFT), (size_t)chunk->granules[first] << GRANULE_SHIFT,
                         record, record == NULL ? NULL : &record->state, NULL, &chunk->slack[first], CELL_LARGE};
}

NEB_NOINLINE bool neb_cell_without_slab(const void *p, uint32_t entry, bool many, struct cell *cell)
{
    if (entry_is_huge(entry))
        return neb_huge_cell(entry, cell) && ptr_offset(p, cell->base) < cell->bytes;
    if (entry == ENTRY_NONE)
        return many && neb_huge_cell_around(p, cell);
    struct chunk *chunk = page_map_chunk(p);
    *cell = cell_of_run(chunk, chunk->head[chunk_granule_of(p)]);
    return true;
}

bool neb_cell_of(const void *p, bool many, struct cell *cell)
{
    return cell_find(p, many, cell);
}

struct cell_visit {
    void (*visit)(void *argument, const struct cell *cell);
    void *argument;
};

static void visit_in_chunk(void *argument, struct chunk *chunk, unsigned first, uint32_t entry)
{
    const struct cell_visit *to = argument;
    if (!entry_is_pooled(entry)) {
        struct cell cell = cell_of_run(chunk, first);
        if (entry == ENTRY_LARGE_HEAD)
            to->visit(to->argument, &cell);
        return;
    }
    const struct slab *slab = &chunk->slab[first];
    for (size_t index = 0; slab->records != NULL && index < slab->capacity; index++) {
        struct cell cell = cell_in_slab(slab, index, neb_size_class[slab->class_index].size);
        to->visit(to->argument, &cell);
    }
}

void neb_cells_walk(void (*visit)(void *argument, const struct cell *cell), void *argument)
{
    struct cell_visit to = {visit, argument};
    runs_walk(visit_in_chunk, &to);
    struct cell cell;
    for (uint32_t number = 0; neb_huge_cell(number, &cell); number++)
        if (cell.base != NULL)
            visit(argument, &cell);
}
