/* model.c - see model.h. */
#include "tool/model.h"

#include <stdlib.h>
#include <string.h>

enum { DAMAGE_LINES_MAX = 100 };

const struct metric_fact metric_facts[METRIC_COUNT_OF] = {
    {"peak", "bytes at the peak", "bytes"},
    {"bytes", "bytes allocated", "bytes"},
    {"count", "allocations", "blocks"},
    {"leaked", "bytes not freed", "bytes"},
    {"leaked-blocks", "blocks not freed", "blocks"},
    {"lifetime", "lifetime, summed over blocks", "ns"},
    {"temporary", "freed before the next allocation", "blocks"},
};

uint64_t stats_metric(const struct stats *stats, enum metric metric)
{
    switch (metric) {
    case METRIC_PEAK:
        return stats->peak_bytes;
    case METRIC_BYTES:
        return stats->bytes;
    case METRIC_COUNT:
        return stats->allocs;
    case METRIC_LEAKED:
        return stats_live_bytes(stats);
    case METRIC_LEAKED_BLOCKS:
        return stats_live_blocks(stats);
    case METRIC_LIFETIME:
        return stats->life_ns;
    case METRIC_TEMPORARY:
        return stats->frees_at_once;
    case METRIC_COUNT_OF:
        break;
    }
    return 0;
}

enum metric metric_find(const char *name)
{
    enum metric metric = 0;
    while (metric < METRIC_COUNT_OF && strcmp(metric_facts[metric].name, name) != 0)
        metric++;
    return metric;
}

void model_init(struct model *model)
{
    *model = (struct model){0};
    for (unsigned i = 0; i < FRAME_FIRST;
         i++) { /* told apart by their address: they are never looked up by it */
        TOOL_ROOM(model->frames, model->frame_count, model->frame_room);
        model->frames[model->frame_count++] = (struct frame){0};
    }
    TOOL_ROOM(model->nodes, model->node_count, model->node_room);
    model->nodes[model->node_count++] = (struct node){0};
}

void model_finish(struct model *model)
{
    for (size_t i = 0; i < model->process_count; i++) {
        struct process *process = &model->processes[i];
        free(process->file);
        free(process->exe);
        free(process->command);
        free(process->version);
        free(process->mode_name);
        free(process->arch);
        free(process->cwd);
        free(process->points);
        free(process->classes);
    }
    for (size_t i = 0; i < model->module_count; i++)
        free(model->modules[i].path);
    for (size_t i = 0; i < model->thread_count; i++)
        free(model->threads[i].name);
    for (size_t i = 0; i < model->mark_count; i++)
        free(model->marks[i].text);
    for (size_t i = 0; i < model->damage_count; i++)
        free(model->damage[i]);
    void *arrays[] = {model->processes,    model->modules, model->frames,  model->nodes,
                      model->site_of_node, model->sites,   model->threads, model->marks,
                      model->slabs,        model->pins,    model->damage};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++)
        free(arrays[i]);
    table_finish(&model->module_table);
    table_finish(&model->frame_table);
    table_finish(&model->node_table);
    *model = (struct model){0};
}

/* ---- what is the same is kept once --------------------------------------------------------------------- */

static bool module_same(const void *context, uint32_t id, const void *key)
{
    const struct module *a = &((const struct model *)context)->modules[id], *b = key;
    return a->build_id_bytes == b->build_id_bytes &&
           memcmp(a->build_id, b->build_id, a->build_id_bytes) == 0 && strcmp(a->path, b->path) == 0;
}

uint32_t model_module(struct model *model, const struct module *module)
{
    uint64_t hash = tool_hash(module->path, strlen(module->path));
    uint32_t id = table_find(&model->module_table, hash, module_same, model, module);
    if (id != UINT32_MAX)
        return id;
    TOOL_ROOM(model->modules, model->module_count, model->module_room);
    struct module *made = &model->modules[model->module_count];
    *made = *module;
    made->path = tool_copy(module->path, strlen(module->path));
    const char *slash = strrchr(made->path, '/');
    made->name = slash == NULL ? made->path : slash + 1;
    table_add(&model->module_table, hash, (uint32_t)model->module_count);
    return (uint32_t)model->module_count++;
}

static bool frame_same(const void *context, uint32_t id, const void *key)
{
    const struct frame *a = &((const struct model *)context)->frames[id], *b = key;
    return a->address == b->address && a->module == b->module && a->exact == b->exact;
}

uint32_t model_frame(struct model *model, struct frame frame)
{
    uint64_t hash = tool_mix(frame.address * 2 + frame.exact + ((uint64_t)frame.module << 44));
    uint32_t id = table_find(&model->frame_table, hash, frame_same, model, &frame);
    if (id != UINT32_MAX)
        return id;
    TOOL_ROOM(model->frames, model->frame_count, model->frame_room);
    model->frames[model->frame_count] = frame;
    table_add(&model->frame_table, hash, (uint32_t)model->frame_count);
    return (uint32_t)model->frame_count++;
}

static bool node_same(const void *context, uint32_t id, const void *key)
{
    const struct node *a = &((const struct model *)context)->nodes[id], *b = key;
    return a->parent == b->parent && a->frame == b->frame;
}

uint32_t model_node(struct model *model, uint32_t parent, uint32_t frame)
{
    struct node node = {parent, frame, model->nodes[parent].depth + 1};
    uint64_t hash = tool_mix((uint64_t)parent << 32 | frame);
    uint32_t id = table_find(&model->node_table, hash, node_same, model, &node);
    if (id != UINT32_MAX)
        return id;
    TOOL_ROOM(model->nodes, model->node_count, model->node_room);
    model->nodes[model->node_count] = node;
    table_add(&model->node_table, hash, (uint32_t)model->node_count);
    return (uint32_t)model->node_count++;
}

uint32_t model_unknown(struct model *model, enum model_frame frame)
{
    return model_node(model, NODE_ROOT, frame);
}

struct site *model_site(struct model *model, uint32_t node)
{
    if (node >= model->site_of_node_room) {
        size_t room = model->site_of_node_room * 2 > model->node_count ? model->site_of_node_room * 2
                                                                       : model->node_count + 64;
        model->site_of_node = tool_resize(model->site_of_node, room, sizeof *model->site_of_node);
        memset(model->site_of_node + model->site_of_node_room, 0,
               (room - model->site_of_node_room) * sizeof *model->site_of_node);
        model->site_of_node_room = room;
    }
    if (model->site_of_node[node] == 0) {
        TOOL_ROOM(model->sites, model->site_count, model->site_room);
        model->sites[model->site_count++] = (struct site){.node = node};
        model->site_of_node[node] = (uint32_t)model->site_count;
    }
    return &model->sites[model->site_of_node[node] - 1];
}

void model_damage(struct model *model, const char *format, ...)
{
    if (model->damage_count == DAMAGE_LINES_MAX) {
        model->damage_more++;
        return;
    }
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    TOOL_ROOM(model->damage, model->damage_count, model->damage_room);
    model->damage[model->damage_count++] = tool_copy(text, strlen(text));
}

/* ---- sums ---------------------------------------------------------------------------------------------- */

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void stats_add(struct stats *sum, const struct stats *more)
{
    if (more->allocs > 0) {
        sum->first_ns = sum->allocs == 0 || more->first_ns < sum->first_ns ? more->first_ns : sum->first_ns;
        sum->last_ns = larger(sum->last_ns, more->last_ns);
    }
    sum->allocs += more->allocs;
    sum->bytes += more->bytes;
    sum->frees += more->frees;
    sum->freed_bytes += more->freed_bytes;
    sum->peak_blocks += more->peak_blocks;
    sum->peak_bytes += more->peak_bytes;
    sum->live_blocks_max += more->live_blocks_max; /* an upper bound: they need not be at the same time */
    sum->live_bytes_max += more->live_bytes_max;
    sum->size_max = larger(sum->size_max, more->size_max);
    sum->reallocs += more->reallocs;
    sum->reallocs_moved += more->reallocs_moved;
    sum->frees_remote += more->frees_remote;
    sum->frees_at_once += more->frees_at_once;
    sum->life_ns += more->life_ns;
    sum->usable_bytes += more->usable_bytes;
    for (unsigned i = 0; i < NBT_AGE_BUCKETS; i++)
        sum->age[i] += more->age[i];
    for (unsigned i = 0; i < NBT_SIZE_BUCKETS; i++)
        sum->size[i] += more->size[i];
}

void model_sum(struct model *model)
{
    struct stats all = {0};
    for (size_t i = 0; i < model->site_count; i++)
        stats_add(&all, &model->sites[i].stats);
    model->totals = (struct totals){.allocs = all.allocs,
                                    .frees = all.frees,
                                    .reallocs = all.reallocs,
                                    .bytes = all.bytes,
                                    .freed_bytes = all.freed_bytes,
                                    .live_blocks = stats_live_blocks(&all),
                                    .live_bytes = stats_live_bytes(&all),
                                    .peak_bytes = all.peak_bytes};
    for (size_t i = 0; i < model->process_count; i++) {
        const struct totals *one = &model->processes[i].totals;
        model->totals.failed += one->failed;
        model->totals.dropped += one->dropped;
        model->totals.other_stack += one->other_stack;
        model->totals.untracked += one->untracked;
        model->totals.events += one->events;
        model->sampled |= model->processes[i].mode == NBT_MODE_SAMPLE;
        model->totals.peak_ns = larger(model->totals.peak_ns, one->peak_ns);
    }
}
