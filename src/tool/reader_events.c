/* reader_events.c - see reading.h: a trace's events, added up while they stream past.
 *
 *   lane 0  chunk chunk chunk \
 *   lane 1  chunk chunk        > the lane whose next event is oldest --> live blocks, sites, threads, time
 * line lane 2  chunk             /
 *
 * Lanes are merged by (epoch, time, lane); within a lane events stand in order. A lane whose next event names
 * a block that another lane has not made yet waits until that lane has: the other one is run on
 * (`lane_run_to`). In a damaged file that block may never come: the event then names a block that is not
 * live, and is counted as untracked.
 *
 * Memory     32 bytes a live block, and half of that again for room; a chunk and 8 KiB for each lane in the
 * middle of one Invariant  a block of (lane, number) is live at most once Peak       sites are not visited
 * when the total reaches a new maximum: peak_count counts up, and a site notes what it had before it changes
 * for the first time after that. */
#include "tool/reading.h"

#include <stdlib.h>
#include <string.h>

struct block {
    uint64_t number, size, time_ns;
    uint32_t lane_plus_one; /* 0: the slot is empty */
    uint32_t site;
};

struct lane {
    uint32_t id;
    uint32_t *chunk; /* numbers of its chunks in reading.chunks, in order */
    size_t chunk_count, chunk_room, chunk_next;
    struct buffer payload;
    struct cursor cursor;
    uint64_t number; /* of its next allocation */
    uint64_t epoch, time_ns, last_stack, last_number;
    uint32_t *sizes; /* NBT_SIZE_SLOTS of them, while it is in the middle of a chunk */
    size_t thread;   /* the thread that is on the lane now; SIZE_MAX: none yet */
    bool open, done, running;
};

struct fold {
    struct reading *reading;
    struct lane *lanes;
    size_t lane_count, lane_room;
    struct block *blocks;
    size_t block_mask, block_count;
    uint64_t allocs, frees, live_bytes, live_blocks, peak_bytes, peak_ns, peak_count;
    uint64_t events, event_bytes, event_bytes_done, failed, dropped, untracked, last_ns;
    uint64_t point_distance_ns, point_next_ns;
    bool points_made;
    struct stats *earlier;
    size_t earlier_count;
};

enum { POINTS_MAX = 1024, LANE_DEPTH_MAX = 64 };

/* ---- live blocks: open addressing, deletion moves the followers up ------------------------------------- */

static size_t block_home(const struct fold *fold, uint32_t lane_plus_one, uint64_t number)
{
    return (size_t)tool_mix(number * 0x9E3779B97F4A7C15 + lane_plus_one) & fold->block_mask;
}

static size_t block_slot(const struct fold *fold, uint32_t lane_plus_one, uint64_t number)
{
    size_t at = block_home(fold, lane_plus_one, number);
    while (fold->blocks[at].lane_plus_one != 0 &&
           (fold->blocks[at].number != number || fold->blocks[at].lane_plus_one != lane_plus_one))
        at = (at + 1) & fold->block_mask;
    return at;
}

static void blocks_grow(struct fold *fold)
{
    struct block *old = fold->blocks;
    size_t old_mask = fold->block_mask;
    fold->block_mask = old == NULL ? 1023 : old_mask * 2 + 1;
    fold->blocks = tool_make(fold->block_mask + 1, sizeof *fold->blocks);
    for (size_t i = 0; old != NULL && i <= old_mask; i++)
        if (old[i].lane_plus_one != 0)
            fold->blocks[block_slot(fold, old[i].lane_plus_one, old[i].number)] = old[i];
    free(old);
}

static struct block *block_add(struct fold *fold, struct block block)
{
    if (fold->block_count * 4 >= fold->block_mask * 3)
        blocks_grow(fold);
    struct block *slot = &fold->blocks[block_slot(fold, block.lane_plus_one, block.number)];
    fold->block_count += slot->lane_plus_one == 0;
    *slot = block;
    return slot;
}

static bool block_take(struct fold *fold, uint32_t lane_plus_one, uint64_t number, struct block *taken)
{
    size_t hole = block_slot(fold, lane_plus_one, number);
    if (fold->blocks[hole].lane_plus_one == 0)
        return false;
    *taken = fold->blocks[hole];
    for (size_t at = (hole + 1) & fold->block_mask; fold->blocks[at].lane_plus_one != 0;
         at = (at + 1) & fold->block_mask) {
        size_t home = block_home(fold, fold->blocks[at].lane_plus_one, fold->blocks[at].number);
        if (((at - home) & fold->block_mask) >= ((at - hole) & fold->block_mask)) {
            fold->blocks[hole] = fold->blocks[at];
            hole = at;
        }
    }
    fold->blocks[hole].lane_plus_one = 0;
    fold->block_count--;
    return true;
}

/* ---- sites and threads --------------------------------------------------------------------------------- */

static unsigned bucket(uint64_t value, unsigned count)
{
    unsigned log = value == 0 ? 0 : 63 - (unsigned)__builtin_clzll(value);
    return log < count ? log : count - 1;
}

/* Before a site changes: what it had at the newest peak. */
static void site_note_peak(struct fold *fold, struct site *site)
{
    if (site->peak_seen == fold->peak_count)
        return;
    site->peak_seen = fold->peak_count;
    site->stats.peak_bytes = site->live_at_seen_bytes;
    site->stats.peak_blocks = site->live_at_seen_blocks;
}

static void note_time(struct fold *fold, uint64_t time_ns)
{
    struct process *process = &fold->reading->model->processes[fold->reading->process];
    fold->last_ns = time_ns > fold->last_ns ? time_ns : fold->last_ns;
    if (!fold->points_made || time_ns < fold->point_next_ns)
        return;
    if (process->point_count == POINTS_MAX) {
        for (size_t i = 0; i < POINTS_MAX / 2; i++)
            process->points[i] = process->points[i * 2 + 1];
        process->point_count = POINTS_MAX / 2;
        fold->point_distance_ns *= 2;
    }
    TOOL_ROOM(process->points, process->point_count, process->point_room);
    process->points[process->point_count++] = (struct nbt_point){.time_ns = fold->last_ns,
                                                                 .live_bytes = fold->live_bytes,
                                                                 .live_blocks = fold->live_blocks,
                                                                 .allocs = fold->allocs,
                                                                 .frees = fold->frees};
    fold->point_next_ns = fold->last_ns + fold->point_distance_ns;
}

/* The thread that is on the lane at its present time. */
static void lane_thread(struct fold *fold, struct lane *lane)
{
    struct reading *reading = fold->reading;
    struct model *model = reading->model;
    if (lane->thread == SIZE_MAX) {
        bool known = lane->id < reading->lane_threads_count && reading->lane_threads[lane->id].first != 0;
        lane->thread = known ? reading->lane_threads[lane->id].first - 1
                             : reading_thread(reading, lane->id, 0, lane->time_ns, tool_copy("", 0));
    }
    for (size_t next; (next = model->threads[lane->thread].next_on_lane) != 0; lane->thread = next - 1)
        if (model->threads[next - 1].begin_ns > lane->time_ns)
            break;
    struct thread *thread = &model->threads[lane->thread];
    if (!thread->counted) {
        thread->allocs = thread->bytes = thread->frees = thread->freed_bytes = thread->frees_remote = 0;
        thread->counted = true;
    }
}

static struct thread *current_thread(const struct fold *fold, const struct lane *lane)
{
    return &fold->reading->model->threads[lane->thread];
}

static void alloc_event(struct fold *fold, struct lane *lane, uint64_t size)
{
    struct model *model = fold->reading->model;
    struct site *site = model_site(model, reading_node(fold->reading, lane->last_stack));
    struct stats *stats = &site->stats;
    site_note_peak(fold, site);
    stats->first_ns = stats->allocs == 0 ? lane->time_ns : stats->first_ns;
    stats->last_ns = lane->time_ns;
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
    struct thread *thread = current_thread(fold, lane);
    thread->allocs++;
    thread->bytes += size;
    fold->allocs++;
    fold->live_blocks++;
    fold->live_bytes += size;
    struct block old,
        block = {lane->number, size, lane->time_ns, lane->id + 1, (uint32_t)(site - model->sites)};
    if (block_take(fold, block.lane_plus_one, block.number, &old)) /* the file is damaged: a number twice */
        fold->untracked++;
    block_add(fold, block);
    lane->number++;
    if (fold->live_bytes > fold->peak_bytes) {
        fold->peak_bytes = fold->live_bytes;
        fold->peak_ns = lane->time_ns;
        fold->peak_count++;
    }
}

static void free_event(struct fold *fold, struct lane *lane, uint32_t owner_id, uint64_t number,
                       uint64_t owner_next)
{
    struct block block;
    if (!block_take(fold, owner_id + 1, number, &block)) {
        fold->untracked++;
        return;
    }
    struct site *site = &fold->reading->model->sites[block.site];
    struct stats *stats = &site->stats;
    site_note_peak(fold, site);
    uint64_t age = owner_next > number ? owner_next - number : 1;
    stats->frees++;
    stats->freed_bytes += block.size;
    stats->age[bucket(age, NBT_AGE_BUCKETS)]++;
    stats->frees_at_once += age == 1;
    stats->frees_remote += owner_id != lane->id;
    stats->life_ns += lane->time_ns > block.time_ns ? lane->time_ns - block.time_ns : 0;
    site->live_at_seen_bytes -= block.size;
    site->live_at_seen_blocks--;
    struct thread *thread = current_thread(fold, lane);
    thread->frees++;
    thread->freed_bytes += block.size;
    thread->frees_remote += owner_id != lane->id;
    fold->frees++;
    fold->live_blocks--;
    fold->live_bytes -= block.size;
}

static void size_remember(struct lane *lane, uint64_t size)
{
    lane->sizes[lane->last_stack % NBT_SIZE_SLOTS] = size > UINT32_MAX ? 0 : (uint32_t)size;
}

static void realloc_noted(struct fold *fold, struct lane *lane, uint64_t size_and_moved)
{
    size_remember(lane, size_and_moved >> 1);
    alloc_event(fold, lane, size_and_moved >> 1);
    struct model *model = fold->reading->model;
    struct stats *stats = &model_site(model, reading_node(fold->reading, lane->last_stack))->stats;
    stats->reallocs++;
    stats->reallocs_moved += size_and_moved & 1;
}

/* ---- lanes --------------------------------------------------------------------------------------------- */

static struct lane *lane_find(const struct fold *fold, uint64_t id)
{
    size_t low = 0, high = fold->lane_count; /* in order of id */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (fold->lanes[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < fold->lane_count && fold->lanes[low].id == id ? &fold->lanes[low] : NULL;
}

/* The time and epoch of a lane's next chunk, before it is loaded. */
static void lane_peek(const struct fold *fold, struct lane *lane)
{
    if (lane->chunk_next == lane->chunk_count) {
        lane->done = true;
        return;
    }
    const struct nbt_chunk *header = &fold->reading->chunks.items[lane->chunk[lane->chunk_next]].header;
    lane->epoch = header->epoch;
    lane->time_ns = header->time_ns;
}

static void lane_close(struct fold *fold, struct lane *lane)
{
    fold->event_bytes_done += lane->payload.bytes;
    buffer_finish(&lane->payload);
    free(lane->sizes);
    lane->sizes = NULL;
    lane->open = false;
    lane_peek(fold, lane);
}

static bool lane_open(struct fold *fold, struct lane *lane)
{
    struct reading *reading = fold->reading;
    const struct chunk *chunk = &reading->chunks.items[lane->chunk[lane->chunk_next++]];
    if (!chunk_load(reading->source, chunk, reading->model, &lane->payload)) {
        lane_close(fold, lane);
        return false;
    }
    lane->cursor = cursor_of(&lane->payload);
    lane->sizes = tool_make(NBT_SIZE_SLOTS, sizeof *lane->sizes);
    lane->last_stack = lane->last_number = 0;
    lane->number = chunk->header.base;
    lane->open = true;
    lane_thread(fold, lane);
    return true;
}

static void lane_run_to(struct fold *fold, struct lane *lane, uint64_t number, unsigned depth);

/* The lane that made a block, run on until it has made it. NULL: there is no such lane. */
static struct lane *lane_of_block(struct fold *fold, struct lane *lane, uint64_t id, uint64_t number,
                                  unsigned depth)
{
    struct lane *owner = lane_find(fold, id);
    if (owner != NULL && owner != lane && owner->number <= number && !owner->running &&
        depth < LANE_DEPTH_MAX)
        lane_run_to(fold, owner, number, depth + 1);
    return owner;
}

static void step_stack(struct lane *lane, struct cursor *cursor)
{
    lane->last_stack += zigzag_undo(cursor_varint(cursor));
}

/* false: the rest of the chunk cannot be read. */
static bool event_other(struct fold *fold, struct lane *lane, uint64_t what, unsigned depth)
{
    struct cursor *cursor = &lane->cursor;
    switch (what) {
    case NBT_STAMP:
        lane->epoch += cursor_varint(cursor);
        lane->time_ns += cursor_varint(cursor);
        if (!cursor->bad) {
            lane_thread(fold, lane);
            note_time(fold, lane->time_ns);
        }
        return true;
    case NBT_FREE_REMOTE:
    case NBT_REALLOC_REMOTE: {
        uint64_t id = cursor_varint(cursor);
        lane->last_number += zigzag_undo(cursor_varint(cursor));
        uint64_t number = lane->last_number, size = 0;
        if (what == NBT_REALLOC_REMOTE) {
            step_stack(lane, cursor);
            size = cursor_varint(cursor);
        }
        if (cursor->bad)
            return true;
        struct lane *owner = lane_of_block(fold, lane, id, number, depth);
        if (owner == NULL)
            fold->untracked++;
        else
            free_event(fold, lane, owner->id, number, owner->number);
        if (what == NBT_REALLOC_REMOTE)
            realloc_noted(fold, lane, size);
        return true;
    }
    case NBT_REALLOC: {
        uint64_t age = cursor_varint(cursor) + 1;
        step_stack(lane, cursor);
        uint64_t size = cursor_varint(cursor);
        if (cursor->bad)
            return true;
        free_event(fold, lane, lane->id, lane->number - age, lane->number);
        realloc_noted(fold, lane, size);
        return true;
    }
    case NBT_ALLOC_ALIGNED: {
        step_stack(lane, cursor);
        uint64_t size = cursor_varint(cursor);
        cursor_varint(cursor); /* the alignment */
        if (cursor->bad)
            return true;
        size_remember(lane, size);
        alloc_event(fold, lane, size);
        return true;
    }
    case NBT_FAILED:
        step_stack(lane, cursor);
        cursor_varint(cursor);
        fold->failed += !cursor->bad;
        return true;
    case NBT_DROPPED:
        fold->dropped += cursor_varint(cursor);
        return true;
    default:
        model_damage(
            fold->reading->model,
            "%s: events of lane %u: an event of kind %llu is not known; the rest of its chunk is left out",
            fold->reading->source->name, lane->id, (unsigned long long)what);
        return false;
    }
}

/* Runs a lane until a stamp moved it on (number UINT64_MAX), or until it has made its allocation `number`, or
 * to the end of its chunk. */
static void lane_run(struct fold *fold, struct lane *lane, uint64_t number, unsigned depth)
{
    if (!lane->open && !lane_open(fold, lane))
        return;
    struct cursor *cursor = &lane->cursor;
    lane->running = true;
    while (cursor->at < cursor->end && lane->number <= number) {
        uint64_t value = cursor_varint(cursor);
        unsigned kind = (unsigned)value & 3;
        value >>= 2;
        fold->events++;
        if (kind == NBT_ALLOC || kind == NBT_ALLOC_SIZED) {
            lane->last_stack += zigzag_undo(value);
            uint64_t size = lane->sizes[lane->last_stack % NBT_SIZE_SLOTS];
            if (kind == NBT_ALLOC_SIZED) {
                size = cursor_varint(cursor);
                size_remember(lane, size);
            }
            if (!cursor->bad)
                alloc_event(fold, lane, size);
        } else if (kind == NBT_FREE) {
            if (!cursor->bad)
                free_event(fold, lane, lane->id, lane->number - value - 1, lane->number);
        } else {
            if (value == NBT_STAMP || value == NBT_DROPPED)
                fold->events--;
            if (!event_other(fold, lane, value, depth))
                cursor->at = cursor->end;
            if (value == NBT_STAMP && number == UINT64_MAX)
                break;
        }
    }
    lane->running = false;
    if (cursor->at == cursor->end)
        lane_close(fold, lane);
}

static void lane_run_to(struct fold *fold, struct lane *lane, uint64_t number, unsigned depth)
{
    while (!lane->done && lane->number <= number)
        lane_run(fold, lane, number, depth);
}

static int lane_compare(const void *a, const void *b)
{
    uint32_t left = ((const struct lane *)a)->id, right = ((const struct lane *)b)->id;
    return left < right ? -1 : left > right;
}

static void lanes_make(struct fold *fold)
{
    struct chunks *chunks = &fold->reading->chunks;
    uint32_t *place = NULL; /* lane's id -> its index + 1, while lanes are not sorted yet */
    size_t places = 0;
    for (size_t i = 0; i < chunks->count; i++) {
        const struct chunk *chunk = &chunks->items[i];
        uint32_t id = chunk->header.lane;
        if (chunk->header.kind != NBT_EVENTS || chunk->available == 0)
            continue;
        if (id >= LANES_MAX) {
            model_damage(fold->reading->model, "%s: events of lane %u: there cannot be so many",
                         fold->reading->source->name, id);
            continue;
        }
        if (id >= places) {
            size_t count = (size_t)id * 2 + 64;
            place = tool_resize(place, count, sizeof *place);
            memset(place + places, 0, (count - places) * sizeof *place);
            places = count;
        }
        if (place[id] == 0) {
            TOOL_ROOM(fold->lanes, fold->lane_count, fold->lane_room);
            fold->lanes[fold->lane_count++] = (struct lane){.id = id, .thread = SIZE_MAX};
            place[id] = (uint32_t)fold->lane_count;
        }
        struct lane *lane = &fold->lanes[place[id] - 1];
        TOOL_ROOM(lane->chunk, lane->chunk_count, lane->chunk_room);
        lane->chunk[lane->chunk_count++] = (uint32_t)i;
        fold->event_bytes += chunk->header.codec == NBT_RAW ? chunk->available : chunk->header.raw_bytes;
    }
    free(place);
    if (fold->lane_count > 0)
        qsort(fold->lanes, fold->lane_count, sizeof *fold->lanes, lane_compare);
    for (size_t i = 0; i < fold->lane_count; i++)
        lane_peek(fold, &fold->lanes[i]);
}

/* ---- the lane whose next event is oldest: a heap of lanes with the time they had when they were put in - */

struct turn {
    uint64_t epoch, time_ns;
    uint32_t lane; /* its index: lanes are in order of id */
};

struct turns {
    struct turn *items;
    size_t count;
};

static bool turn_before(const struct turn *a, const struct turn *b)
{
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch;
    return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->lane < b->lane;
}

static void turns_put(struct turns *turns, struct turn turn)
{
    size_t at = turns->count++;
    for (; at > 0 && turn_before(&turn, &turns->items[(at - 1) / 2]); at = (at - 1) / 2)
        turns->items[at] = turns->items[(at - 1) / 2];
    turns->items[at] = turn;
}

static struct turn turns_take(struct turns *turns)
{
    struct turn first = turns->items[0], last = turns->items[--turns->count];
    size_t at = 0;
    for (size_t child; (child = at * 2 + 1) < turns->count; at = child) {
        child += child + 1 < turns->count && turn_before(&turns->items[child + 1], &turns->items[child]);
        if (!turn_before(&turns->items[child], &last))
            break;
        turns->items[at] = turns->items[child];
    }
    if (turns->count > 0)
        turns->items[at] = last;
    return first;
}

static struct turn turn_of(const struct fold *fold, uint32_t lane)
{
    return (struct turn){fold->lanes[lane].epoch, fold->lanes[lane].time_ns, lane};
}

static void lanes_merge(struct fold *fold)
{
    struct turns turns = {tool_make(fold->lane_count, sizeof *turns.items), 0};
    for (size_t i = 0; i < fold->lane_count; i++)
        if (!fold->lanes[i].done)
            turns_put(&turns, turn_of(fold, (uint32_t)i));
    while (turns.count > 0) {
        struct turn turn = turns_take(&turns), now = turn_of(fold, turn.lane);
        struct lane *lane = &fold->lanes[turn.lane];
        if (lane->done)
            continue;
        if (!turn_before(&turn, &now)) /* else it was run on for another lane meanwhile */
            lane_run(fold, lane, UINT64_MAX, 0);
        if (!lane->done)
            turns_put(&turns, turn_of(fold, turn.lane));
        progress_show("reading events", fold->event_bytes_done, fold->event_bytes);
    }
    free(turns.items);
}

/* What earlier files said of the sites: this one's figures begin at 0, and are added to those at the end. */
static void sites_set_aside(struct fold *fold)
{
    struct model *model = fold->reading->model;
    fold->earlier_count = model->site_count;
    fold->earlier = tool_make(model->site_count, sizeof *fold->earlier);
    for (size_t i = 0; i < model->site_count; i++) {
        fold->earlier[i] = model->sites[i].stats;
        model->sites[i].stats = (struct stats){0};
    }
}

/* Sums up what was seen, and lets go of it. */
static void fold_finish(struct fold *fold)
{
    struct model *model = fold->reading->model;
    struct process *process = &model->processes[fold->reading->process];
    for (size_t i = 0; i < model->site_count; i++) {
        struct site *site = &model->sites[i];
        site_note_peak(fold, site);
        site->peak_seen = site->live_at_seen_bytes = site->live_at_seen_blocks = 0;
        if (i < fold->earlier_count)
            stats_add(&site->stats, &fold->earlier[i]);
    }
    free(fold->earlier);
    if (fold->points_made) {
        fold->point_next_ns = 0;
        note_time(fold, fold->last_ns);
    }
    process->end_ns = process->ended || process->end_ns > fold->last_ns ? process->end_ns : fold->last_ns;
    process->totals.events = fold->events;
    process->totals.peak_ns = fold->peak_ns;
    process->totals.failed = fold->failed > process->totals.failed ? fold->failed : process->totals.failed;
    process->totals.dropped =
        fold->dropped > process->totals.dropped ? fold->dropped : process->totals.dropped;
    process->totals.untracked += fold->untracked;
    for (size_t i = 0; i < fold->lane_count; i++) {
        buffer_finish(&fold->lanes[i].payload);
        free(fold->lanes[i].sizes);
        free(fold->lanes[i].chunk);
    }
    free(fold->lanes);
    free(fold->blocks);
}

void reading_events(struct reading *reading)
{
    struct fold fold = {.reading = reading, .point_distance_ns = 1000000};
    lanes_make(&fold);
    if (fold.lane_count == 0)
        return;
    fold.points_made = reading->model->processes[reading->process].point_count == 0;
    blocks_grow(&fold);
    for (size_t i = 0; i < reading->model->thread_count; i++) /* counted here, not taken from the file */
        if (reading->model->threads[i].process == reading->process)
            reading->model->threads[i].counted = false;
    sites_set_aside(&fold);
    lanes_merge(&fold);
    fold_finish(&fold);
}
