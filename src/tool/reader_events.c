/* reader_events.c - see reading.h: a trace's events, in order, while they stream past.
 *
 *   lane 0  chunk chunk chunk  \
 *   lane 1  chunk chunk         > the lane whose next event is oldest --> reader_tally.h adds up
 *   lane 2  chunk              /
 *
 * Lanes are merged by (epoch, time, lane); within a lane events stand in order. A lane whose next event names
 * a block that another lane has not made yet waits until that lane has: the other one is run on
 * (`lane_run_to`). In a damaged file that block may never come: the event then names a block that is not live.
 *
 * Memory  a chunk and 8 KiB for each lane in the middle of one */
#include "tool/reader_tally.h"

#include <stdlib.h>
#include <string.h>

struct lane {
    uint32_t *chunk; /* numbers of its chunks in reading.chunks, in order */
    size_t chunk_count, chunk_room, chunk_next;
    struct buffer payload;
    struct cursor cursor;
    uint64_t number; /* of its next allocation */
    uint64_t epoch, last_stack, last_number;
    uint32_t *sizes;   /* NBT_SIZE_SLOTS of them, while it is in the middle of a chunk */
    struct moment now; /* its thread: the one that is on the lane; SIZE_MAX: none yet */
    bool open, done, running;
};

struct fold {
    struct reading *reading;
    struct tally tally;
    struct lane *lanes;
    size_t lane_count, lane_room;
    uint64_t events, event_bytes, event_bytes_done, failed, dropped;
};

enum { LANE_DEPTH_MAX = 64 };

/* ---- events --------------------------------------------------------------------------------------------- */

/* The thread that is on the lane at its present time. */
static void lane_thread(struct fold *fold, struct lane *lane)
{
    struct reading *reading = fold->reading;
    struct model *model = reading->model;
    struct moment *now = &lane->now;
    if (now->thread == SIZE_MAX) {
        bool known = now->lane < reading->lane_threads_count && reading->lane_threads[now->lane].first != 0;
        now->thread = known ? reading->lane_threads[now->lane].first - 1
                            : reading_thread(reading, now->lane, 0, now->time_ns, tool_copy("", 0));
    }
    for (size_t next; (next = model->threads[now->thread].next_on_lane) != 0; now->thread = next - 1)
        if (model->threads[next - 1].begin_ns > now->time_ns)
            break;
    tally_thread(&fold->tally, now->thread);
}

static struct site *alloc_event(struct fold *fold, struct lane *lane, uint64_t size)
{
    uint32_t node = reading_node(fold->reading, lane->last_stack);
    return tally_alloc(&fold->tally, &lane->now, lane->number++, node, size);
}

static void free_event(struct fold *fold, struct lane *lane, const struct lane *owner, uint64_t number)
{
    tally_free(&fold->tally, &lane->now, owner->now.lane, number, owner->number);
}

static void size_remember(struct lane *lane, uint64_t size)
{
    lane->sizes[lane->last_stack % NBT_SIZE_SLOTS] = size > UINT32_MAX ? 0 : (uint32_t)size;
}

static void realloc_noted(struct fold *fold, struct lane *lane, uint64_t size_and_moved)
{
    size_remember(lane, size_and_moved >> 1);
    struct stats *stats = &alloc_event(fold, lane, size_and_moved >> 1)->stats;
    stats->reallocs++;
    stats->reallocs_moved += size_and_moved & 1;
}

/* ---- lanes --------------------------------------------------------------------------------------------- */

static struct lane *lane_find(const struct fold *fold, uint64_t id)
{
    size_t low = 0, high = fold->lane_count; /* in order of id */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (fold->lanes[middle].now.lane < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < fold->lane_count && fold->lanes[low].now.lane == id ? &fold->lanes[low] : NULL;
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
    lane->now.time_ns = header->time_ns;
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
        lane->now.time_ns += cursor_varint(cursor);
        if (!cursor->bad) {
            lane_thread(fold, lane);
            tally_time(&fold->tally, lane->now.time_ns);
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
            fold->tally.untracked++;
        else
            free_event(fold, lane, owner, number);
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
        free_event(fold, lane, lane, lane->number - age);
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
        (void)alloc_event(fold, lane, size);
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
            fold->reading->source->name, lane->now.lane, (unsigned long long)what);
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
                (void)alloc_event(fold, lane, size);
        } else if (kind == NBT_FREE) {
            if (!cursor->bad)
                free_event(fold, lane, lane, lane->number - value - 1);
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
    uint32_t left = ((const struct lane *)a)->now.lane, right = ((const struct lane *)b)->now.lane;
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
            fold->lanes[fold->lane_count++] = (struct lane){.now = {.lane = id, .thread = SIZE_MAX}};
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
    return (struct turn){fold->lanes[lane].epoch, fold->lanes[lane].now.time_ns, lane};
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

static void fold_finish(struct fold *fold)
{
    struct totals *totals = &fold->reading->model->processes[fold->reading->process].totals;
    tally_end(&fold->tally);
    totals->events = fold->events;
    totals->failed = fold->failed > totals->failed ? fold->failed : totals->failed;
    totals->dropped = fold->dropped > totals->dropped ? fold->dropped : totals->dropped;
    for (size_t i = 0; i < fold->lane_count; i++) {
        buffer_finish(&fold->lanes[i].payload);
        free(fold->lanes[i].sizes);
        free(fold->lanes[i].chunk);
    }
    free(fold->lanes);
}

void reading_events(struct reading *reading)
{
    struct fold fold = {.reading = reading};
    lanes_make(&fold);
    if (fold.lane_count == 0)
        return;
    tally_begin(&fold.tally, reading);
    lanes_merge(&fold);
    fold_finish(&fold);
}
