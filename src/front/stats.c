/* stats.c - see stats.h. */
#include "front/stats.h"

#include "base/fmt.h"
#include "heap/heap.h"
#include "heap/meta.h"
#include "os/env.h"
#include "os/vm.h"
#include <string.h>

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed); /* statistics order nothing */
}

/* Another thread may be between two of its counters: never below zero. */
static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static void pool_add(struct class_stats *sum, const struct pool_counts *counts, uint64_t held)
{
    sum->slabs += get(&counts->slabs_made) - get(&counts->slabs_released);
    sum->cached += held;
    sum->taken += get(&counts->taken);
    sum->returned += get(&counts->returned);
    sum->refills += get(&counts->refills);
    sum->flushes += get(&counts->flushes);
    sum->grown += get(&counts->grown);
    sum->claims += get(&counts->claims);
    sum->adopted += get(&counts->adopted);
    sum->abandoned += get(&counts->abandoned);
    sum->allocs += get(&counts->allocs);
    sum->frees += get(&counts->frees);
}

static void heap_add(struct stats *stats, const struct heap *heap)
{
    bool is_mine = heap == heap_current();
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        const struct pool *pool = &heap->pool[class_index];
        uint64_t held = is_mine ? bin_count(heap, class_index) : get(&pool->counts.held);
        pool_add(&stats->class[class_index], &pool->counts, held);
        pool_add(&stats->all, &pool->counts, held);
    }
    stats->blocks_sent += get(&heap->counts.blocks_sent);
    stats->batches_sent += get(&heap->counts.batches_sent);
    stats->batches_applied += get(&heap->counts.batches_applied);
    stats->blocks_lost += get(&heap->counts.blocks_lost);
    stats->heaps++;
}

static void class_sum(struct stats *stats, unsigned class_index)
{
    struct class_stats *class = &stats->class[class_index], *all = &stats->all;
    uint64_t size = neb_size_class[class_index].size;
    class->blocks = class->slabs * neb_size_class[class_index].capacity;
    class->live = less(less(class->taken, class->returned), class->cached);
    stats->small_live_bytes += class->live * size;
    stats->small_cached_bytes += class->cached * size;
    stats->slab_bytes += class->slabs * neb_size_class[class_index].granules * GRANULE_BYTES;
    all->blocks += class->blocks;
    all->live += class->live;
}

void neb_stats_take(struct stats *stats)
{
    memset(stats, 0, sizeof *stats);
    for (uint32_t id = 1; id < neb_heap_id_bound(); id++) {
        const struct heap *heap = neb_heap_by_id(id);
        if (heap != NULL)
            heap_add(stats, heap);
    }
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++)
        class_sum(stats, class_index);
    struct chunk_counts chunks = neb_chunk_counts();
    struct vm_counts vm = neb_vm_counts();
    stats->large = neb_large_counts();
    if (POLICY_GUARD) {
        stats->guard = neb_guard_counts();
        stats->large.huge_blocks += stats->guard.live;
        stats->large.huge_bytes += stats->guard.live_bytes;
        stats->large.huge_allocs += stats->guard.served;
    }
    stats->live_bytes = stats->small_live_bytes + stats->large.large_bytes + stats->large.huge_bytes;
    stats->mapped_bytes = chunks.chunks * CHUNK_BYTES - chunks.granules_uncommitted * GRANULE_BYTES +
                          stats->large.huge_bytes + stats->large.kept_bytes;
    stats->free_resident_bytes = (chunks.granules_free - chunks.granules_clean) * GRANULE_BYTES + stats->large.kept_bytes;
    stats->free_clean_bytes = chunks.granules_clean * GRANULE_BYTES;
    stats->mapped_peak_bytes = vm.mapped_peak_bytes;
    stats->used_peak_bytes = chunks.granules_used_peak * GRANULE_BYTES;
    stats->metadata_bytes = neb_meta_bytes();
    stats->purged_bytes = vm.purged_bytes;
    stats->purges = vm.purges;
}

/* ---- the report -------------------------------------------------------------------------------------------------------- */

struct report {
    int descriptor;
    char buffer[1024];
    struct text text;
};

static void line_end(struct report *report)
{
    neb_text_string(&report->text, "\n");
    neb_os_write(report->descriptor, report->text.data, report->text.length);
    report->text = neb_text_in(report->buffer, sizeof report->buffer);
}

static void say_size(struct report *report, const char *label, uint64_t bytes)
{
    neb_text_string(&report->text, label);
    neb_text_size(&report->text, bytes);
}

static void say_count(struct report *report, const char *label, uint64_t count)
{
    neb_text_string(&report->text, label);
    neb_text_decimal(&report->text, count);
}

static void say_percent(struct report *report, const char *label, uint64_t part, uint64_t whole)
{
    say_count(report, label, whole == 0 ? 0 : part * 100 / whole);
    neb_text_string(&report->text, " %");
}

static void print_memory(struct report *report, const struct stats *stats)
{
    struct os_usage usage = neb_os_usage();
    say_size(report, "  live       ", stats->live_bytes);
    say_size(report, "  = small ", stats->small_live_bytes);
    say_percent(report, " (", stats->small_live_bytes, stats->live_bytes);
    say_size(report, ") + large ", stats->large.large_bytes);
    say_percent(report, " (", stats->large.large_bytes, stats->live_bytes);
    say_size(report, ") + huge ", stats->large.huge_bytes);
    say_percent(report, " (", stats->large.huge_bytes, stats->live_bytes);
    neb_text_string(&report->text, ")");
    line_end(report);
    say_size(report, "  peak       ", usage.resident_peak_bytes);
    say_size(report, " resident; slabs and large blocks ", stats->used_peak_bytes);
    line_end(report);
    say_size(report, "  resident   ", usage.resident_bytes);
    say_size(report, " of ", stats->mapped_bytes);
    say_size(report, " mapped; free and resident ", stats->free_resident_bytes);
    say_size(report, "; metadata ", stats->metadata_bytes);
    line_end(report);
    say_size(report, "  given back ", stats->purged_bytes);
    say_count(report, " in ", stats->purges);
    say_count(report, " calls; page faults ", usage.minor_faults);
    say_count(report, " minor, ", usage.major_faults);
    neb_text_string(&report->text, " major");
    line_end(report);
}

/* Blocks that were popped or pushed without a slow call; where calls are not counted, those that surely were: each
 * block out of a slab was popped, and each one back was pushed. */
static void print_calls(struct report *report, const struct stats *stats)
{
    const struct class_stats *all = &stats->all;
    if (POLICY_COUNT) {
        say_count(report, "  calls      ", all->allocs);
        say_count(report, " allocations, ", all->frees);
        neb_text_string(&report->text, " frees of small blocks");
    } else {
        uint64_t served = less(all->taken, all->cached);
        say_count(report, "  magazines  at least ", served);
        say_percent(report, " allocations, of which ", less(served, all->refills), served);
        neb_text_string(&report->text, " hits");
    }
    say_count(report, "; refills ", all->refills);
    say_count(report, ", flushes ", all->flushes);
    say_count(report, ", doublings ", all->grown);
    line_end(report);
    say_count(report, "  threads    ", stats->heaps);
    say_count(report, " heaps; sent ", stats->blocks_sent);
    say_count(report, " blocks in ", stats->batches_sent);
    say_count(report, " batches, ", stats->batches_applied);
    say_count(report, " applied; slabs claimed ", all->claims);
    say_count(report, ", adopted ", all->adopted);
    say_count(report, ", abandoned ", all->abandoned);
    if (stats->blocks_lost > 0)
        say_count(report, "; blocks lost without memory ", stats->blocks_lost);
    line_end(report);
    say_count(report, "  large      ", stats->large.large_blocks);
    say_count(report, " of ", stats->large.large_allocs);
    say_count(report, " blocks; huge ", stats->large.huge_blocks);
    say_count(report, " of ", stats->large.huge_allocs);
    say_count(report, ", reused ", stats->large.kept_hits);
    say_count(report, ", resized ", stats->large.resized);
    say_count(report, ", moved ", stats->large.moved);
    line_end(report);
}

static void print_guarded(struct report *report, const struct guard_counts *guard)
{
    if (guard->served == 0)
        return;
    say_count(report, "  guarded    ", guard->live);
    say_count(report, " of ", guard->served);
    say_count(report, " blocks; out of reach since they were freed ", guard->waiting);
    say_count(report, "; not to be had ", guard->refused);
    line_end(report);
}

static void print_class(struct report *report, const struct stats *stats, unsigned class_index)
{
    const struct class_stats *class = &stats->class[class_index];
    uint64_t columns[] = {neb_size_class[class_index].size, class->slabs,   class->live,    class->cached,
                          class->blocks - class->live - class->cached,      class->refills, class->flushes};
    if (class->taken == 0)
        return;
    for (unsigned column = 0; column < sizeof columns / sizeof columns[0]; column++)
        neb_text_decimal_padded(&report->text, columns[column], 10);
    neb_text_decimal_padded(&report->text, class->blocks == 0 ? 0 : class->live * 100 / class->blocks, 8);
    neb_text_string(&report->text, " %");
    line_end(report);
}

/* About 12 KiB: too much for the stack of a small thread. The last report wins if two are printed at once. */
NEB_SPARSE static struct stats last;

void neb_stats_print(int descriptor)
{
    struct report report = {.descriptor = descriptor};
    report.text = neb_text_in(report.buffer, sizeof report.buffer);
    neb_stats_take(&last);
    neb_text_string(&report.text, "nebmalloc (" POLICY_NAME ") of process ");
    neb_text_decimal(&report.text, neb_os_process_id());
    line_end(&report);
    print_memory(&report, &last);
    print_calls(&report, &last);
    print_guarded(&report, &last.guard);
    neb_text_string(&report.text, "      size     slabs      live    cached      free   refills   flushes      used");
    line_end(&report);
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++)
        print_class(&report, &last, class_index);
}

static void say_glibc(struct report *report, const char *label, uint64_t value)
{
    neb_text_string(&report->text, label);
    neb_text_decimal_padded(&report->text, value, 10);
    line_end(report);
}

void neb_stats_print_glibc(int descriptor)
{
    struct report report = {.descriptor = descriptor};
    report.text = neb_text_in(report.buffer, sizeof report.buffer);
    neb_stats_take(&last);
    uint64_t mapped = last.mapped_bytes - last.large.kept_bytes;
    neb_text_string(&report.text, "Arena 0:");
    line_end(&report);
    say_glibc(&report, "system bytes     = ", mapped - last.large.huge_bytes);
    say_glibc(&report, "in use bytes     = ", last.live_bytes - last.large.huge_bytes);
    neb_text_string(&report.text, "Total (incl. mmap):");
    line_end(&report);
    say_glibc(&report, "system bytes     = ", mapped);
    say_glibc(&report, "in use bytes     = ", last.live_bytes);
    say_glibc(&report, "max mmap regions = ", last.large.huge_blocks_peak);
    say_glibc(&report, "max mmap bytes   = ", last.large.huge_bytes_peak);
}
