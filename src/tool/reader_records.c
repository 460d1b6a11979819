/* reader_records.c - see reading.h: every kind of chunk but events. */
#include "tool/reading.h"

#include <stdlib.h>
#include <string.h>

typedef void chunk_decode(struct reading *reading, const struct chunk *chunk, const struct buffer *payload);

static struct process *process_of(struct reading *reading)
{
    return &reading->model->processes[reading->process];
}

/* Calls `decode` with each chunk of a kind that can be used. */
static void each_chunk(struct reading *reading, enum nbt_kind kind, chunk_decode *decode)
{
    struct buffer payload = {0};
    for (size_t i = 0; i < reading->chunks.count; i++) {
        const struct chunk *chunk = &reading->chunks.items[i];
        if (chunk->header.kind == kind && chunk_load(reading->source, chunk, reading->model, &payload))
            decode(reading, chunk, &payload);
    }
    buffer_finish(&payload);
}

/* Records with their length in front; false at the end. A record that is cut off is the end. */
static bool record_next(struct cursor *chunk, struct cursor *record)
{
    if (chunk->at == chunk->end)
        return false;
    uint64_t bytes = cursor_varint(chunk);
    *record = cursor_part(chunk, bytes);
    return !chunk->bad;
}

static char *record_text(struct cursor *record, uint64_t bytes)
{
    struct cursor part = cursor_part(record, bytes);
    return tool_copy((const char *)part.at, (size_t)(part.end - part.at));
}

/* ---- keys and values ----------------------------------------------------------------------------------- */

typedef void pair_take(struct process *process, const char *key, const char *value);

static void each_pair(struct reading *reading, const struct buffer *payload, pair_take *take)
{
    const char *at = payload->data, *end = payload->data + payload->bytes;
    while (at < end) {
        const char *key_end = memchr(at, '\0', (size_t)(end - at));
        const char *value = key_end == NULL ? NULL : key_end + 1;
        const char *value_end = value == NULL ? NULL : memchr(value, '\0', (size_t)(end - value));
        if (value_end == NULL)
            return;
        take(process_of(reading), at, value);
        at = value_end + 1;
    }
}

static void text_set(char **to, const char *value)
{
    free(*to);
    *to = tool_copy(value, strlen(value));
}

static void process_pair(struct process *process, const char *key, const char *value)
{
    if (strcmp(key, "exe") == 0)
        text_set(&process->exe, value);
    else if (strcmp(key, "arg") == 0) {
        char *longer =
            process->command == NULL ? tool_text("%s", value) : tool_text("%s %s", process->command, value);
        free(process->command);
        process->command = longer;
    } else if (strcmp(key, "version") == 0)
        text_set(&process->version, value);
    else if (strcmp(key, "arch") == 0)
        text_set(&process->arch, value);
    else if (strcmp(key, "cwd") == 0)
        text_set(&process->cwd, value);
    else if (strcmp(key, "mode") == 0)
        text_set(&process->mode_name, value);
    else if (strcmp(key, "ppid") == 0)
        process->ppid = strtoull(value, NULL, 10);
    else if (strcmp(key, "page_size") == 0)
        process->page_size = strtoull(value, NULL, 10);
}

static void decode_process(struct reading *reading, const struct chunk *chunk, const struct buffer *payload)
{
    (void)chunk;
    each_pair(reading, payload, process_pair);
}

static void end_pair(struct process *process, const char *key, const char *value)
{
    struct totals *totals = &process->totals;
    const struct {
        const char *key;
        uint64_t *to;
    } known[] = {{"allocs", &totals->allocs},
                 {"frees", &totals->frees},
                 {"reallocs", &totals->reallocs},
                 {"alloc_bytes", &totals->bytes},
                 {"live_blocks", &totals->live_blocks},
                 {"live_bytes", &totals->live_bytes},
                 {"peak_bytes", &totals->peak_bytes},
                 {"peak_ns", &totals->peak_ns},
                 {"failed", &totals->failed},
                 {"dropped_events", &totals->dropped},
                 {"other_stack_events", &totals->other_stack},
                 {"untracked_frees", &totals->untracked},
                 {"end_ns", &process->end_ns},
                 {"events", &totals->events}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(key, known[i].key) == 0)
            *known[i].to = strtoull(value, NULL, 10);
}

static void decode_end(struct reading *reading, const struct chunk *chunk, const struct buffer *payload)
{
    (void)chunk;
    process_of(reading)->ended = true;
    each_pair(reading, payload, end_pair);
}

/* ---- modules, threads, marks --------------------------------------------------------------------------- */

enum { MODULES_MAX = 1 << 20 };

static void decode_modules(struct reading *reading, const struct chunk *chunk, const struct buffer *payload)
{
    (void)chunk;
    struct cursor cursor = cursor_of(payload), record;
    while (record_next(&cursor, &record)) {
        uint64_t operation = cursor_varint(&record), number = cursor_varint(&record);
        cursor_varint(&record); /* when */
        if (operation != 1)
            continue;
        struct module module = {0};
        module.base = cursor_varint(&record);
        module.first = cursor_varint(&record);
        module.last = cursor_varint(&record);
        struct cursor id = cursor_part(&record, cursor_varint(&record));
        size_t id_bytes = (size_t)(id.end - id.at);
        module.build_id_bytes =
            (unsigned)(id_bytes < sizeof module.build_id ? id_bytes : sizeof module.build_id);
        if (module.build_id_bytes > 0)
            memcpy(module.build_id, id.at, module.build_id_bytes);
        module.path = record_text(&record, cursor_varint(&record));
        if (!record.bad && number < MODULES_MAX) {
            if (number >= reading->module_count) {
                reading->module = tool_resize(reading->module, (size_t)number + 1, sizeof *reading->module);
                memset(reading->module + reading->module_count, 0,
                       ((size_t)number + 1 - reading->module_count) * sizeof *reading->module);
                reading->module_count = (size_t)number + 1;
            }
            reading->module[number] = model_module(reading->model, &module) + 1;
        }
        free(module.path);
    }
}

size_t reading_thread(struct reading *reading, uint32_t lane, uint32_t tid, uint64_t begin_ns, char *name)
{
    struct model *model = reading->model;
    if (lane >= reading->lane_threads_count) {
        size_t count = (size_t)lane * 2 + 16;
        reading->lane_threads = tool_resize(reading->lane_threads, count, sizeof *reading->lane_threads);
        memset(reading->lane_threads + reading->lane_threads_count, 0,
               (count - reading->lane_threads_count) * sizeof *reading->lane_threads);
        reading->lane_threads_count = count;
    }
    TOOL_ROOM(model->threads, model->thread_count, model->thread_room);
    model->threads[model->thread_count++] = (struct thread){
        .process = reading->process, .lane = lane, .tid = tid, .name = name, .begin_ns = begin_ns};
    struct lane_threads *on = &reading->lane_threads[lane];
    if (on->first == 0)
        on->first = model->thread_count;
    else
        model->threads[on->last - 1].next_on_lane = model->thread_count;
    on->last = model->thread_count;
    return model->thread_count - 1;
}

static struct thread *thread_newest(struct reading *reading, uint64_t lane)
{
    if (lane >= reading->lane_threads_count || reading->lane_threads[lane].last == 0)
        return NULL;
    return &reading->model->threads[reading->lane_threads[lane].last - 1];
}

static void decode_threads(struct reading *reading, const struct chunk *chunk, const struct buffer *payload)
{
    (void)chunk;
    struct cursor cursor = cursor_of(payload), record;
    while (record_next(&cursor, &record)) {
        uint64_t operation = cursor_varint(&record), lane = cursor_varint(&record),
                 time_ns = cursor_varint(&record);
        struct thread *thread = operation == 1 ? NULL : thread_newest(reading, lane);
        if (record.bad || lane >= LANES_MAX)
            continue;
        if (operation == 1) {
            uint64_t tid = cursor_varint(&record);
            char *name = record_text(&record, cursor_varint(&record));
            reading_thread(reading, (uint32_t)lane, (uint32_t)tid, time_ns, name);
        } else if (thread != NULL && operation == 2) {
            thread->ended = true;
            thread->end_ns = time_ns;
        } else if (thread != NULL && operation == 3) {
            free(thread->name);
            thread->name = record_text(&record, cursor_varint(&record));
        } else if (thread != NULL && operation == 4) {
            thread->allocs = cursor_varint(&record);
            thread->bytes = cursor_varint(&record);
            thread->frees = cursor_varint(&record);
            thread->freed_bytes = cursor_varint(&record);
            thread->frees_remote = cursor_varint(&record);
            thread->counted = !record.bad;
        }
    }
}

static void decode_marks(struct reading *reading, const struct chunk *chunk, const struct buffer *payload)
{
    (void)chunk;
    struct model *model = reading->model;
    struct cursor cursor = cursor_of(payload), record;
    while (record_next(&cursor, &record)) {
        uint64_t time_ns = cursor_varint(&record);
        TOOL_ROOM(model->marks, model->mark_count, model->mark_room);
        model->marks[model->mark_count++] =
            (struct mark){.process = reading->process,
                          .time_ns = time_ns,
                          .text = record_text(&record, (uint64_t)(record.end - record.at))};
    }
}

/* ---- stacks -------------------------------------------------------------------------------------------- */

uint32_t reading_node(struct reading *reading, uint64_t stack)
{
    if (stack == NBT_STACK_OTHER)
        return model_unknown(reading->model, FRAME_OTHER);
    if (stack == NBT_STACK_TRUNCATED)
        return model_unknown(reading->model, FRAME_TRUNCATED);
    if (stack < NBT_STACK_FIRST)
        return model_unknown(reading->model, FRAME_UNKNOWN);
    uint64_t page = stack / STACK_PAGE;
    if (page < reading->stack_page_count && reading->stack_page[page] != NULL) {
        uint32_t node = reading->stack_page[page][stack % STACK_PAGE];
        if (node != 0)
            return node - 1;
    }
    return model_unknown(reading->model, FRAME_LOST);
}

static void stack_set(struct reading *reading, uint64_t stack, uint32_t node)
{
    size_t page = (size_t)(stack / STACK_PAGE);
    if (page >= reading->stack_page_count) {
        size_t count = page + page / 2 + 1;
        reading->stack_page = tool_resize(reading->stack_page, count, sizeof *reading->stack_page);
        memset(reading->stack_page + reading->stack_page_count, 0,
               (count - reading->stack_page_count) * sizeof *reading->stack_page);
        reading->stack_page_count = count;
    }
    if (reading->stack_page[page] == NULL)
        reading->stack_page[page] = tool_make(STACK_PAGE, sizeof **reading->stack_page);
    reading->stack_page[page][stack % STACK_PAGE] = node + 1;
}

static void decode_stacks(struct reading *reading, const struct chunk *chunk, const struct buffer *payload)
{
    struct model *model = reading->model;
    struct cursor cursor = cursor_of(payload);
    for (uint64_t id = chunk->header.base; cursor.at < cursor.end; id++) {
        uint64_t distance = cursor_varint(&cursor), module = cursor_varint(&cursor),
                 address = cursor_varint(&cursor);
        if (cursor.bad)
            return;
        if (id < NBT_STACK_FIRST || id > UINT32_MAX || distance == 0 || distance > id) {
            model_damage(
                model,
                "%s: stacks chunk at %llu: the stack %llu cannot be; the rest of the chunk is left out",
                reading->source->name, (unsigned long long)chunk->offset, (unsigned long long)id);
            return;
        }
        uint64_t number = module >> 1; /* the file's module + 1 */
        struct frame frame = {.address = address, .exact = module & 1};
        if (number != 0 && number - 1 < reading->module_count)
            frame.module = reading->module[number - 1];
        uint64_t parent = id - distance;
        uint32_t caller = parent == NBT_STACK_NONE ? (uint32_t)NODE_ROOT : reading_node(reading, parent);
        if (model->nodes[caller].depth >=
            NODE_DEPTH_MAX) /* no library keeps so many: walking them must not take for ever */
            caller = model_unknown(model, FRAME_TRUNCATED);
        uint32_t node =
            model_node(model, caller,
                       number != 0 && frame.module == 0 ? (uint32_t)FRAME_LOST : model_frame(model, frame));
        stack_set(reading, id, node);
    }
}

/* ---- sites --------------------------------------------------------------------------------------------- */

/* What a sampled count stands for. */
static uint64_t scaled(uint64_t value, uint64_t weighted, uint64_t counted)
{
    return counted == 0 ? 0 : tool_whole((double)value * ((double)weighted / (double)counted));
}

static void stats_scale(struct stats *stats, const struct nbt_site *site)
{
    uint64_t weighted = site->weighted_allocs / 256; /* it is in 256ths of a block */
    stats->allocs = weighted;
    stats->bytes = site->weighted_bytes;
    stats->frees = site->weighted_frees / 256;
    stats->freed_bytes = site->weighted_freed_bytes;
    uint64_t *blocks[] = {&stats->peak_blocks,    &stats->live_blocks_max, &stats->reallocs,
                          &stats->reallocs_moved, &stats->frees_remote,    &stats->frees_at_once,
                          &stats->life_ns};
    uint64_t *bytes[] = {&stats->peak_bytes, &stats->live_bytes_max, &stats->usable_bytes};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        *blocks[i] = scaled(*blocks[i], weighted, site->allocs);
    for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++)
        *bytes[i] = scaled(*bytes[i], site->weighted_bytes, site->bytes);
    for (unsigned i = 0; i < NBT_AGE_BUCKETS; i++)
        stats->age[i] = scaled(stats->age[i], weighted, site->allocs);
    for (unsigned i = 0; i < NBT_SIZE_BUCKETS; i++)
        stats->size[i] = scaled(stats->size[i], weighted, site->allocs);
}

static bool site_possible(const struct nbt_site *site)
{
    return site->frees <= site->allocs && site->freed_bytes <= site->bytes &&
           site->weighted_frees <= site->weighted_allocs &&
           site->weighted_freed_bytes <= site->weighted_bytes;
}

/* What the buckets of a site had beside their rest; zeros, if that is not there. */
static struct nbt_buckets buckets_at(const struct buffer *all, uint32_t number)
{
    struct nbt_buckets buckets = {0};
    if (number != 0 && number <= all->bytes / sizeof buckets)
        memcpy(&buckets, all->data + (number - 1) * sizeof buckets, sizeof buckets);
    return buckets;
}

static uint64_t bucket_whole(uint8_t rest, uint32_t full)
{
    return (uint64_t)full * 256 + rest;
}

static void site_take(struct reading *reading, const struct nbt_site *from, const struct nbt_buckets *full, uint64_t peak)
{
    struct stats stats = {.allocs = from->allocs,
                          .bytes = from->bytes,
                          .frees = from->frees,
                          .freed_bytes = from->freed_bytes,
                          .live_blocks_max = from->live_blocks_max,
                          .live_bytes_max = from->live_bytes_max,
                          .size_max = from->size_max,
                          .reallocs = from->reallocs,
                          .reallocs_moved = from->reallocs_moved,
                          .frees_remote = from->frees_remote,
                          .frees_at_once = from->frees_at_once,
                          .life_ns = from->life_ns,
                          .usable_bytes = from->usable_bytes,
                          .first_ns = from->first_ns,
                          .last_ns = from->last_ns};
    bool touched = from->peak == peak; /* else it is now what it was at the peak */
    stats.peak_blocks = touched ? from->peak_blocks : stats_live_blocks(&stats);
    stats.peak_bytes = touched ? from->peak_bytes : stats_live_bytes(&stats);
    for (unsigned i = 0; i < NBT_AGE_BUCKETS; i++)
        stats.age[i] = bucket_whole(from->age[i], full->age[i]);
    for (unsigned i = 0; i < NBT_SIZE_BUCKETS; i++)
        stats.size[i] = bucket_whole(from->size[i], full->size[i]);
    if (process_of(reading)->mode == NBT_MODE_SAMPLE)
        stats_scale(&stats, from);
    stats_add(&model_site(reading->model, reading_node(reading, from->stack))->stats, &stats);
}

/* All rows of a kind. is_numbered: others refer to them by number, so that zeros take the place of chunks that are lost. */
static struct buffer rows_of(struct reading *reading, enum nbt_kind kind, bool is_numbered)
{
    static const char zeros[NBT_ROW_BYTES];
    struct buffer all = {0}, payload = {0};
    for (size_t i = 0; i < reading->chunks.count; i++) {
        const struct chunk *chunk = &reading->chunks.items[i];
        if (chunk->header.kind != kind || !chunk_load(reading->source, chunk, reading->model, &payload))
            continue;
        while (is_numbered && all.bytes / NBT_ROW_BYTES < chunk->header.base && all.bytes < reading->source->bytes)
            buffer_add(&all, zeros, sizeof zeros);
        buffer_add(&all, payload.data, payload.bytes / NBT_ROW_BYTES * NBT_ROW_BYTES);
    }
    buffer_finish(&payload);
    return all;
}

static void read_sites(struct reading *reading)
{
    struct buffer all = rows_of(reading, NBT_SITES, false), full = rows_of(reading, NBT_BUCKETS, true);
    /* The header's figures lag behind when the process was killed: a newer peak is known from the sites it
     * changed. */
    uint64_t peak = reading->header.peak_number, torn = 0;
    size_t count = all.bytes / sizeof(struct nbt_site);
    struct nbt_site site;
    for (size_t i = 0; i < count; i++) {
        memcpy(&site, all.data + i * sizeof site, sizeof site);
        peak = site.allocs > 0 && site.peak > peak ? site.peak : peak;
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(&site, all.data + i * sizeof site, sizeof site);
        struct nbt_buckets buckets = buckets_at(&full, site.buckets);
        if (site.allocs > 0 && site_possible(&site))
            site_take(reading, &site, &buckets, peak);
        else
            torn += site.allocs > 0 || site.frees > 0;
    }
    if (torn > 0)
        model_damage(reading->model, "%s: %llu call sites have more frees than allocations; left out",
                     reading->source->name, (unsigned long long)torn);
    buffer_finish(&all);
    buffer_finish(&full);
}

/* ---- the allocator over time --------------------------------------------------------------------------- */

static void decode_timeline(struct reading *reading, const struct chunk *chunk, const struct buffer *payload)
{
    (void)chunk;
    struct process *process = process_of(reading);
    for (size_t at = 0; at + sizeof(struct nbt_point) <= payload->bytes; at += sizeof(struct nbt_point)) {
        struct nbt_point point;
        memcpy(&point, payload->data + at, sizeof point);
        if (process->point_count > 0 && point.time_ns < process->points[process->point_count - 1].time_ns)
            continue; /* it is taken apart this very moment */
        TOOL_ROOM(process->points, process->point_count, process->point_room);
        process->points[process->point_count++] = point;
        process->end_ns = point.time_ns > process->end_ns ? point.time_ns : process->end_ns;
    }
}

/* A newer snapshot replaces an older one. */
static void decode_classes(struct reading *reading, const struct chunk *chunk, const struct buffer *payload)
{
    struct process *process = process_of(reading);
    size_t count = payload->bytes / sizeof(struct nbt_class);
    if (count == 0 || (process->classes != NULL && chunk->header.time_ns < process->classes_ns))
        return;
    free(process->classes);
    process->classes = tool_make(count, sizeof *process->classes);
    memcpy(process->classes, payload->data, count * sizeof *process->classes);
    process->class_count = count;
    process->classes_ns = chunk->header.time_ns;
}

static void read_slabs(struct reading *reading)
{
    struct model *model = reading->model;
    uint64_t newest = 0;
    for (size_t i = 0; i < reading->chunks.count; i++)
        if (reading->chunks.items[i].header.kind == NBT_SLABS &&
            reading->chunks.items[i].header.time_ns > newest)
            newest = reading->chunks.items[i].header.time_ns;
    struct buffer payload = {0};
    for (size_t i = 0; i < reading->chunks.count; i++) {
        const struct chunk *chunk = &reading->chunks.items[i];
        if (chunk->header.kind != NBT_SLABS || chunk->header.time_ns != newest ||
            !chunk_load(reading->source, chunk, model, &payload))
            continue;
        struct cursor cursor = cursor_of(&payload), record;
        while (record_next(&cursor, &record)) {
            struct slab_view slab = {.process = reading->process,
                                     .block_bytes = cursor_varint(&record),
                                     .first_pin = model->pin_count};
            slab.used = cursor_varint(&record);
            slab.capacity = cursor_varint(&record);
            for (uint64_t left = cursor_varint(&record); left > 0 && record.at < record.end; left--) {
                uint64_t stack = cursor_varint(&record), blocks = cursor_varint(&record);
                TOOL_ROOM(model->pins, model->pin_count, model->pin_room);
                model->pins[model->pin_count++] = (struct pin){reading_node(reading, stack), blocks};
                slab.pin_count++;
            }
            TOOL_ROOM(model->slabs, model->slab_count, model->slab_room);
            model->slabs[model->slab_count++] = slab;
        }
    }
    buffer_finish(&payload);
}

void reading_records(struct reading *reading)
{
    each_chunk(reading, NBT_PROCESS, decode_process);
    each_chunk(reading, NBT_MODULES, decode_modules);
    each_chunk(reading, NBT_THREADS, decode_threads);
    each_chunk(reading, NBT_STACKS, decode_stacks);
    each_chunk(reading, NBT_MARKS, decode_marks);
    each_chunk(reading, NBT_TIMELINE, decode_timeline);
    each_chunk(reading, NBT_CLASSES, decode_classes);
    each_chunk(reading, NBT_END, decode_end);
    read_slabs(reading);
    if (process_of(reading)->mode != NBT_MODE_TRACE)
        read_sites(reading);
}
