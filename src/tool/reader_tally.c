/* reader_tally.c - see reader_tally.h. */
#include "tool/reader_tally.h"

#include <stdlib.h>

struct live_block {
    uint64_t number, size, time_ns;
    uint32_t lane_plus_one; /* 0: the slot is empty */
    uint32_t site;
};

enum { POINTS_MAX = 1024 };

/* ---- live blocks ---------------------------------------------------------------------------------------- */

static size_t block_home(const struct tally *tally, uint32_t lane_plus_one, uint64_t number)
{
    return (size_t)tool_mix(number * 0x9E3779B97F4A7C15 + lane_plus_one) & tally->block_mask;
}

static size_t block_slot(const struct tally *tally, uint32_t lane_plus_one, uint64_t number)
{
    size_t at = block_home(tally, lane_plus_one, number);
    while (tally->blocks[at].lane_plus_one != 0 &&
           (tally->blocks[at].number != number || tally->blocks[at].lane_plus_one != lane_plus_one))
        at = (at + 1) & tally->block_mask;
    return at;
}

static void blocks_grow(struct tally *tally)
{
    struct live_block *old = tally->blocks;
    size_t old_mask = tally->block_mask;
    tally->block_mask = old == NULL ? 1023 : old_mask * 2 + 1;
    tally->blocks = tool_make(tally->block_mask + 1, sizeof *tally->blocks);
    for (size_t i = 0; old != NULL && i <= old_mask; i++)
        if (old[i].lane_plus_one != 0)
            tally->blocks[block_slot(tally, old[i].lane_plus_one, old[i].number)] = old[i];
    free(old);
}

static void block_add(struct tally *tally, struct live_block block)
{
    if (tally->block_count * 4 >= tally->block_mask * 3)
        blocks_grow(tally);
    struct live_block *slot = &tally->blocks[block_slot(tally, block.lane_plus_one, block.number)];
    tally->block_count += slot->lane_plus_one == 0;
    *slot = block;
}

static bool block_take(struct tally *tally, uint32_t lane_plus_one, uint64_t number, struct live_block *taken)
{
    size_t hole = block_slot(tally, lane_plus_one, number);
    if (tally->blocks[hole].lane_plus_one == 0)
        return false;
    *taken = tally->blocks[hole];
    for (size_t at = (hole + 1) & tally->block_mask; tally->blocks[at].lane_plus_one != 0;
         at = (at + 1) & tally->block_mask) {
        size_t home = block_home(tally, tally->blocks[at].lane_plus_one, tally->blocks[at].number);
        if (((at - home) & tally->block_mask) >= ((at - hole) & tally->block_mask)) {
            tally->blocks[hole] = tally->blocks[at];
            hole = at;
        }
    }
    tally->blocks[hole].lane_plus_one = 0;
    tally->block_count--;
    return true;
}

/* ---- sites and time ------------------------------------------------------------------------------------- */

static unsigned bucket(uint64_t value, unsigned count)
{
    unsigned log = value == 0 ? 0 : 63 - (unsigned)__builtin_clzll(value);
    return log < count ? log : count - 1;
}

/* Before a site changes: what it had at the newest peak. */
static void site_note_peak(struct tally *tally, struct site *site)
{
    if (site->peak_seen == tally->peak_count)
        return;
    site->peak_seen = tally->peak_count;
    site->stats.peak_bytes = site->live_at_seen_bytes;
    site->stats.peak_blocks = site->live_at_seen_blocks;
}

void tally_time(struct tally *tally, uint64_t time_ns)
{
    struct process *process = &tally->reading->model->processes[tally->reading->process];
    tally->last_ns = time_ns > tally->last_ns ? time_ns : tally->last_ns;
    if (!tally->points_made || time_ns < tally->point_next_ns)
        return;
    if (process->point_count == POINTS_MAX) {
        for (size_t i = 0; i < POINTS_MAX / 2; i++)
            process->points[i] = process->points[i * 2 + 1];
        process->point_count = POINTS_MAX / 2;
        tally->point_distance_ns *= 2;
    }
    TOOL_ROOM(process->points, process->point_count, process->point_room);
    process->points[process->point_count++] = (struct nbt_point){.time_ns = tally->last_ns,
                                                                 .live_bytes = tally->live_bytes,
                                                                 .live_blocks = tally->live_blocks,
                                                                 .allocs = tally->allocs,
                                                                 .frees = tally->frees};
    tally->point_next_ns = tally->last_ns + tally->point_distance_ns;
}

/* ---- events ---------------------------------------------------------------------------------------------- */

void tally_thread(const struct tally *tally, size_t index)
{
    struct thread *thread = &tally->reading->model->threads[index];
    if (thread->counted)
        return;
    thread->allocs = thread->bytes = thread->frees = thread->freed_bytes = thread->frees_remote = 0;
    thread->counted = true;
}

static void note_peak(struct tally *tally, uint64_t time_ns)
{
    if (tally->live_bytes <= tally->peak_bytes)
        return;
    tally->peak_bytes = tally->live_bytes;
    tally->peak_ns = time_ns;
    tally->peak_count++;
}

static void site_alloc(struct site *site, uint64_t size, uint64_t time_ns)
{
    struct stats *stats = &site->stats;
    stats->first_ns = stats->allocs == 0 ? time_ns : stats->first_ns;
    stats->last_ns = time_ns;
    stats->allocs++;
    stats->bytes += size;
    stats->size_max = size > stats->size_max ? size : stats->size_max;
    stats->size[bucket(size, NBT_SIZE_BUCKETS)]++;
    site->live_at_seen_bytes += size;
    site->live_at_seen_blocks++;
    if (site->live_at_seen_bytes > stats->live_bytes_max)
        stats->live_bytes_max = site->live_at_seen_bytes;
    if (site->live_at_seen_blocks > stats->live_blocks_max)
        stats->live_blocks_max = site->live_at_seen_blocks;
}

struct site *tally_alloc(struct tally *tally, const struct moment *now, uint64_t number, uint32_t node,
                         uint64_t size)
{
    struct model *model = tally->reading->model;
    struct site *site = model_site(model, node);
    site_note_peak(tally, site);
    site_alloc(site, size, now->time_ns);
    struct thread *thread = &model->threads[now->thread];
    thread->allocs++;
    thread->bytes += size;
    tally->allocs++;
    tally->live_blocks++;
    tally->live_bytes += size;
    struct live_block old, block = {number, size, now->time_ns, now->lane + 1, (uint32_t)(site - model->sites)};
    if (block_take(tally, block.lane_plus_one, block.number, &old)) /* the file is damaged: a number twice */
        tally->untracked++;
    block_add(tally, block);
    note_peak(tally, now->time_ns);
    return site;
}

void tally_free(struct tally *tally, const struct moment *now, uint32_t owner, uint64_t number,
                uint64_t owner_next)
{
    struct live_block block;
    if (!block_take(tally, owner + 1, number, &block)) {
        tally->untracked++;
        return;
    }
    struct site *site = &tally->reading->model->sites[block.site];
    struct stats *stats = &site->stats;
    bool is_remote = owner != now->lane;
    site_note_peak(tally, site);
    uint64_t age = owner_next > number ? owner_next - number : 1;
    stats->frees++;
    stats->freed_bytes += block.size;
    stats->age[bucket(age, NBT_AGE_BUCKETS)]++;
    stats->frees_at_once += age == 1;
    stats->frees_remote += is_remote;
    stats->life_ns += now->time_ns > block.time_ns ? now->time_ns - block.time_ns : 0;
    site->live_at_seen_bytes -= block.size;
    site->live_at_seen_blocks--;
    struct thread *thread = &tally->reading->model->threads[now->thread];
    thread->frees++;
    thread->freed_bytes += block.size;
    thread->frees_remote += is_remote;
    tally->frees++;
    tally->live_blocks--;
    tally->live_bytes -= block.size;
}

/* ---- begin and end ------------------------------------------------------------------------------------------ */

/* What earlier files said of the sites: this one's figures begin at 0, and are added to those at the end. */
static void sites_set_aside(struct tally *tally)
{
    struct model *model = tally->reading->model;
    tally->earlier_count = model->site_count;
    tally->earlier = tool_make(model->site_count, sizeof *tally->earlier);
    for (size_t i = 0; i < model->site_count; i++) {
        tally->earlier[i] = model->sites[i].stats;
        model->sites[i].stats = (struct stats){0};
    }
}

void tally_begin(struct tally *tally, struct reading *reading)
{
    struct model *model = reading->model;
    *tally = (struct tally){.reading = reading,
                            .point_distance_ns = 1000000,
                            .points_made = model->processes[reading->process].point_count == 0};
    blocks_grow(tally);
    for (size_t i = 0; i < model->thread_count; i++)
        if (model->threads[i].process == reading->process)
            model->threads[i].counted = false;
    sites_set_aside(tally);
}

void tally_end(struct tally *tally)
{
    struct model *model = tally->reading->model;
    struct process *process = &model->processes[tally->reading->process];
    for (size_t i = 0; i < model->site_count; i++) {
        struct site *site = &model->sites[i];
        site_note_peak(tally, site);
        site->peak_seen = site->live_at_seen_bytes = site->live_at_seen_blocks = 0;
        if (i < tally->earlier_count)
            stats_add(&site->stats, &tally->earlier[i]);
    }
    free(tally->earlier);
    if (tally->points_made) {
        tally->point_next_ns = 0;
        tally_time(tally, tally->last_ns);
    }
    process->end_ns = process->ended || process->end_ns > tally->last_ns ? process->end_ns : tally->last_ns;
    process->totals.peak_ns = tally->peak_ns;
    process->totals.untracked += tally->untracked;
    free(tally->blocks);
}
