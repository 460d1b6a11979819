/* large.c - runs of granules; what is beyond them is in huge.c. See large.h. */
#include "heap/large.h"

#include "heap/chunk.h"
#include "heap/huge.h"

static _Atomic size_t blocks, granules_used;
static _Atomic uint64_t allocs, resized;

static void count(int block_change, ptrdiff_t granule_change)
{
    atomic_fetch_add_explicit(&blocks, (size_t)block_change, memory_order_relaxed); /* statistics */
    atomic_fetch_add_explicit(&granules_used, (size_t)granule_change, memory_order_relaxed);
}

static unsigned granules_for(size_t size)
{
    return (unsigned)((size + GRANULE_BYTES - 1) >> GRANULE_SHIFT);
}

void *neb_large_alloc(size_t size, size_t alignment, bool *zeroed)
{
    if (size > LARGE_MAX || alignment > GRANULE_BYTES)
        return neb_huge_alloc(size, alignment, zeroed);
    struct granules taken = neb_granules_take(granules_for(size), GRANULES_SPARSE);
    if (taken.chunk == NULL)
        return NULL;
    unsigned char *base = granules_base(&taken);
    taken.chunk->granules[taken.first] = (uint8_t)taken.count;
    atomic_store_explicit(&taken.chunk->record[taken.first].record.state, RECORD_NONE, memory_order_relaxed); /* P1 orders it */
    if (taken.count > 1)
        neb_page_map_fill(base + GRANULE_BYTES, taken.count - 1, ENTRY_LARGE_BODY);
    neb_page_map_fill(base, 1, ENTRY_LARGE_HEAD);
    count(1, (ptrdiff_t)taken.count);
    atomic_fetch_add_explicit(&allocs, 1, memory_order_relaxed);
    if (zeroed != NULL)
        *zeroed = taken.is_clean;
    return base;
}

static bool is_head(const void *p, uint32_t entry)
{
    return entry == ENTRY_LARGE_HEAD && ptr_address(p) % GRANULE_BYTES == 0;
}

static unsigned granules_of(const void *p)
{
    return page_map_chunk(p)->granules[chunk_granule_of(p)];
}

bool neb_large_free(void *p, uint32_t entry)
{
    if (entry_is_huge(entry))
        return neb_huge_free(p, entry);
    if (!is_head(p, entry) ||
        !atomic_compare_exchange_strong_explicit(page_map_entry(p), &entry, ENTRY_NONE, memory_order_acq_rel, memory_order_relaxed))
        return false;
    unsigned granules = granules_of(p);
    if (granules > 1)
        neb_page_map_fill(ptr_add(p, GRANULE_BYTES), granules - 1, ENTRY_NONE);
    count(-1, -(ptrdiff_t)granules);
    neb_granules_give(page_map_chunk(p), chunk_granule_of(p), granules);
    return true;
}

size_t neb_large_usable(const void *p, uint32_t entry)
{
    if (entry_is_huge(entry))
        return neb_huge_usable(p, entry);
    return is_head(p, entry) ? (size_t)granules_of(p) << GRANULE_SHIFT : 0;
}

static bool run_grow(void *p, unsigned old, unsigned granules)
{
    struct chunk *chunk = page_map_chunk(p);
    if (!neb_granules_extend(chunk, chunk_granule_of(p), old, granules))
        return false;
    neb_page_map_fill(ptr_add(p, (size_t)old << GRANULE_SHIFT), granules - old, ENTRY_LARGE_BODY);
    chunk->granules[chunk_granule_of(p)] = (uint8_t)granules;
    return true;
}

static void run_shrink(void *p, unsigned old, unsigned granules)
{
    struct chunk *chunk = page_map_chunk(p);
    neb_page_map_fill(ptr_add(p, (size_t)granules << GRANULE_SHIFT), old - granules, ENTRY_NONE);
    chunk->granules[chunk_granule_of(p)] = (uint8_t)granules;
    neb_granules_give(chunk, chunk_granule_of(p) + granules, old - granules);
}

void *neb_large_resize(void *p, uint32_t entry, size_t size)
{
    if (entry_is_huge(entry))
        return neb_huge_resize(p, entry, size);
    unsigned old = granules_of(p), granules = granules_for(size);
    if (size > LARGE_MAX || size <= SMALL_MAX)
        return NULL;
    if (granules > old && !run_grow(p, old, granules))
        return NULL;
    if (granules < old)
        run_shrink(p, old, granules);
    count(0, (ptrdiff_t)granules - (ptrdiff_t)old);
    atomic_fetch_add_explicit(&resized, 1, memory_order_relaxed);
    return p;
}

struct large_counts neb_large_counts(void)
{
    struct large_counts counts = neb_huge_counts();
    counts.large_blocks = atomic_load_explicit(&blocks, memory_order_relaxed);
    counts.large_bytes = atomic_load_explicit(&granules_used, memory_order_relaxed) << GRANULE_SHIFT;
    counts.large_allocs = atomic_load_explicit(&allocs, memory_order_relaxed);
    counts.resized += atomic_load_explicit(&resized, memory_order_relaxed);
    return counts;
}
