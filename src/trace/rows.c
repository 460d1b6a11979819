/* rows.c - see rows.h. */
#include "trace/rows.h"

#include "trace/output.h"

static struct nbt_chunk *chunk_at(struct rows *rows, uint32_t index)
{
    return atomic_load_explicit(&rows->chunk[index], memory_order_relaxed); /* lock held, or the only thread */
}

static void chunk_set(struct rows *rows, uint32_t index, struct nbt_chunk *chunk)
{
    atomic_store_explicit(&rows->chunk[index], chunk, memory_order_release); /* S1 */
}

uint32_t neb_rows_make(struct rows *rows)
{
    uint32_t index = rows->count / ROWS_IN_CHUNK, place = rows->count % ROWS_IN_CHUNK + 1;
    if (index >= ROWS_CHUNKS_MAX)
        return 0;
    if (chunk_at(rows, index) == NULL)
        chunk_set(rows, index, neb_output_begin(rows->kind, ROWS_CHUNK_BYTES, 0, rows->count, 0));
    if (chunk_at(rows, index) == NULL)
        return 0;
    neb_output_commit(chunk_at(rows, index), place * (size_t)NBT_ROW_BYTES);
    rows->count++;
    return index << ROWS_PLACE_BITS | place;
}

void neb_rows_begin(struct rows *rows)
{
    rows->count = 0;
    for (uint32_t i = 0; i < ROWS_CHUNKS_MAX; i++)
        chunk_set(rows, i, NULL);
}

void neb_rows_finish(struct rows *rows, bool is_quiet)
{
    for (uint32_t i = 0; i < ROWS_CHUNKS_MAX; i++) {
        struct nbt_chunk *chunk = chunk_at(rows, i);
        if (chunk == NULL)
            continue;
        if (is_quiet) {
            chunk_set(rows, i, NULL);
            neb_output_seal(chunk);
        } else {
            neb_output_seal_in_place(chunk);
        }
    }
}

void neb_rows_forget(struct rows *rows)
{
    for (uint32_t i = 0; i < ROWS_CHUNKS_MAX; i++) {
        struct nbt_chunk *chunk = chunk_at(rows, i);
        neb_output_drop(&chunk);
        chunk_set(rows, i, NULL);
    }
}
