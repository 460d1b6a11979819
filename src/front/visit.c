/* visit.c - nebmalloc.h inside the library: figures, trimming, names, and a walk over all live blocks.
 *
 * The walk goes over the table of chunks and looks at each granule's entry. Bits tell which of a slab's blocks are
 * free; what lies in the calling thread's magazines goes back to its slabs first, so that with one thread the walk is
 * exact. */
#define _GNU_SOURCE
#include "check/check.h"
#include "check/guard.h"
#include "front/alloc.h"
#include "front/api.h"
#include "front/region.h"
#include "front/scope.h"
#include "front/stats.h"
#include "heap/chunk.h"
#include "heap/huge.h"
#include "heap/pool.h"
#include "heap/upkeep.h"
#include "os/env.h"
#include "os/vm.h"
#include <errno.h>
#include <string.h>

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

static void stats_of_process(neb_memory_stats *all)
{
    struct stats stats;
    neb_stats_take(&stats);
    struct region_counts regions = neb_region_counts();
    all->live_bytes = stats.live_bytes;
    all->live_blocks = stats.all.live + stats.large.large_blocks + stats.large.huge_blocks;
    all->cached_bytes = stats.small_cached_bytes;
    all->cached_blocks = stats.all.cached;
    all->large_bytes = stats.large.large_bytes + stats.large.huge_bytes;
    all->large_blocks = stats.large.large_blocks + stats.large.huge_blocks;
    all->mapped_bytes = stats.mapped_bytes;
    all->mapped_bytes_peak = stats.mapped_peak_bytes;
    all->free_resident_bytes = stats.free_resident_bytes;
    all->metadata_bytes = stats.metadata_bytes;
    all->region_bytes = regions.bytes;
    all->regions = regions.regions;
    all->refills = stats.all.refills;
    all->flushes = stats.all.flushes;
    all->threads = stats.heaps;
}

static bool stats_of_thread(neb_memory_stats *mine)
{
    const struct heap *heap = heap_current();
    if (heap == &neb_heap_none)
        return false;
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        const struct pool_counts *counts = &heap->pool[class_index].counts;
        uint64_t size = neb_size_class[class_index].size, cached = bin_count(heap, class_index);
        uint64_t out = get(&counts->taken) - get(&counts->returned), live = out > cached ? out - cached : 0;
        mine->live_blocks += live;
        mine->live_bytes += live * size;
        mine->cached_blocks += cached;
        mine->cached_bytes += cached * size;
        mine->refills += get(&counts->refills);
        mine->flushes += get(&counts->flushes);
    }
    mine->threads = 1;
    return true;
}

bool neb_api_stats(neb_memory_stats *stats, bool of_thread)
{
    neb_memory_stats now;
    memset(&now, 0, sizeof now);
    now.bytes = stats->bytes;
    if (of_thread && !stats_of_thread(&now))
        return false;
    if (!of_thread)
        stats_of_process(&now);
    memcpy(stats, &now, stats->bytes < sizeof now ? stats->bytes : sizeof now);
    return true;
}

size_t neb_api_trim(void)
{
    size_t scopes = neb_scope_trim();
    return scopes + neb_trim();
}

/* ---- the walk ------------------------------------------------------------------------------------------------------------ */

typedef bool (*visit_function)(void *argument, const neb_block_info *block);

/* Where blocks are checked, a cell of the heap is more than the program's block, and may wait in quarantine. */
static bool visit_one(visit_function visit, void *argument, void *cell, size_t bytes, uint32_t kind)
{
    neb_block_info info = {cell, bytes, kind, 0};
    if (check_is_on() && !neb_check_view(cell, &info.block, &info.bytes))
        return true;
    return visit(argument, &info);
}

static bool visit_slab(const struct slab *slab, visit_function visit, void *argument)
{
    size_t size = neb_size_class[slab->class_index].size;
    for (size_t index = 0; index < slab->bump; index++) {
        if ((slab->free_bits[index / 64] >> (index % 64) & 1) != 0)
            continue;
        if (!visit_one(visit, argument, slab_block(slab, index), size, NEB_BLOCK_SMALL))
            return false;
    }
    return true;
}

struct visitor {
    visit_function visit;
    void *argument;
};

static bool visit_chunk(void *argument, struct chunk *chunk)
{
    const struct visitor *to = argument;
    for (unsigned granule = 0; granule < CHUNK_GRANULES; granule++) {
        unsigned char *base = ptr_add(chunk->base, (size_t)granule << GRANULE_SHIFT);
        uint32_t entry = page_map_load(base);
        bool goes_on = true;
        if (entry == ENTRY_NONE || chunk->head[granule] != granule)
            continue;
        if (entry_is_pooled(entry)) {
            goes_on = visit_slab(&chunk->slab[granule], to->visit, to->argument);
        } else if (entry == ENTRY_LARGE_HEAD) {
            goes_on = visit_one(to->visit, to->argument, base, neb_large_usable(base, entry), NEB_BLOCK_LARGE);
        }
        if (!goes_on)
            return false;
    }
    return true;
}

static bool visit_huge(visit_function visit, void *argument)
{
    void *base;
    size_t bytes;
    for (uint32_t number = 0; neb_huge_numbered(number, &base, &bytes); number++) {
        if (base != NULL && !visit_one(visit, argument, base, bytes, NEB_BLOCK_HUGE))
            return false;
    }
    return true;
}

static bool visit_guarded(void *argument, void *begin, size_t size)
{
    const struct visitor *visitor = argument;
    return visitor->visit(visitor->argument, &(neb_block_info){begin, size, NEB_BLOCK_HUGE, 0});
}

bool neb_api_visit(bool (*visit)(void *argument, const neb_block_info *block), void *argument)
{
    struct heap *heap = neb_heap_enter();
    (void)neb_heap_trim(heap);
    neb_heap_leave(heap);
    struct visitor to = {visit, argument};
    return neb_chunks_walk(visit_chunk, &to) && visit_huge(visit, argument) && (!POLICY_GUARD || neb_guard_walk(visit_guarded, &to));
}

bool neb_api_name(void *memory, size_t bytes, const char *name)
{
    size_t page = neb_vm_page_size(), gap = (size_t)(0 - ptr_address(memory)) & (page - 1);
    if (bytes < gap + page) {
        errno = EINVAL;
        return false;
    }
    return neb_vm_name(ptr_add(memory, gap), (bytes - gap) & ~(page - 1), name);
}
