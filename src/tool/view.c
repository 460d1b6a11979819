/* view.c - see view.h. */
#include "tool/view.h"

#include "tool/term.h"

#include <stdlib.h>
#include <string.h>

const char *path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

char *symbol_label(const struct symbol *symbol)
{
    if (symbol->file != NULL && symbol->line > 0)
        return term_clean(tool_text("%s (%s:%u)", symbol->function, path_name(symbol->file), symbol->line));
    if (symbol->named && symbol->module[0] != '\0')
        return term_clean(tool_text("%s (%s)", symbol->function, symbol->module));
    return term_clean(tool_text("%s", symbol->function));
}

const struct symbol *view_caller(struct symbols *symbols, uint32_t node)
{
    size_t count;
    const struct symbol *const *stack = symbols_stack(symbols, node, &count);
    for (size_t i = count; i-- > 0;)
        if (!symbol_passes_on(stack[i]->function))
            return stack[i];
    static const struct symbol none = {.function = "[unknown]", .module = ""};
    return count == 0 ? &none : stack[count - 1];
}

static bool listed_same(const void *context, uint32_t id, const void *key)
{
    const struct symbol *a = ((const struct symbol *const *)context)[id], *b = key;
    return strcmp(a->function, b->function) == 0 && strcmp(a->module, b->module) == 0;
}

uint32_t symbol_list_number(struct symbol_list *list, const struct symbol *symbol)
{
    uint64_t hash = tool_hash(symbol->function, strlen(symbol->function));
    uint32_t id = table_find(&list->table, hash, listed_same, list->items, symbol);
    if (id != UINT32_MAX)
        return id;
    TOOL_ROOM(list->items, list->count, list->room);
    list->items[list->count] = symbol;
    table_add(&list->table, hash, (uint32_t)list->count);
    return (uint32_t)list->count++;
}

void symbol_list_finish(struct symbol_list *list)
{
    free(list->items);
    table_finish(&list->table);
    *list = (struct symbol_list){0};
}

/* ---- groups -------------------------------------------------------------------------------------------- */

static bool same_function(const struct symbol *a, const struct symbol *b)
{
    return strcmp(a->function, b->function) == 0 && strcmp(a->module, b->module) == 0 &&
           (a->file == b->file || (a->file != NULL && b->file != NULL && strcmp(a->file, b->file) == 0));
}

static bool group_same(const void *context, uint32_t id, const void *key)
{
    return same_function(((const struct groups *)context)->items[id].symbol, key);
}

static enum metric sort_metric;

static int group_compare(const void *a, const void *b)
{
    const struct group *left = a, *right = b;
    uint64_t more = stats_metric(&left->stats, sort_metric), less = stats_metric(&right->stats, sort_metric);
    if (more != less)
        return more > less ? -1 : 1;
    if (left->stats.bytes != right->stats.bytes)
        return left->stats.bytes > right->stats.bytes ? -1 : 1;
    return strcmp(left->symbol->function, right->symbol->function);
}

void groups_sort(struct groups *groups, enum metric metric)
{
    sort_metric = metric;
    if (groups->count > 0)
        qsort(groups->items, groups->count, sizeof *groups->items, group_compare);
    table_finish(&groups->table); /* its ids are of the old order */
}

void groups_make(struct groups *groups, const struct model *model, struct symbols *symbols,
                 enum metric metric)
{
    *groups = (struct groups){0};
    for (size_t i = 0; i < model->site_count; i++) {
        const struct site *site = &model->sites[i];
        const struct symbol *symbol = view_caller(symbols, site->node);
        uint64_t hash = tool_hash(symbol->function, strlen(symbol->function));
        uint32_t id = table_find(&groups->table, hash, group_same, groups, symbol);
        if (id == UINT32_MAX) {
            id = (uint32_t)groups->count;
            TOOL_ROOM(groups->items, groups->count, groups->room);
            groups->items[groups->count++] = (struct group){.symbol = symbol, .node = site->node};
            table_add(&groups->table, hash, id);
        }
        struct group *group = &groups->items[id];
        stats_add(&group->stats, &site->stats);
        group->sites++;
        uint64_t value = stats_metric(&site->stats, metric);
        if (value > group->node_value) {
            group->node_value = value;
            group->node = site->node;
        }
    }
    groups_sort(groups, metric);
}

void groups_finish(struct groups *groups)
{
    free(groups->items);
    table_finish(&groups->table);
    *groups = (struct groups){0};
}

/* ---- the tree of calls --------------------------------------------------------------------------------- */

struct call_key {
    uint32_t parent;
    const struct symbol *symbol;
};

static bool call_same(const void *context, uint32_t id, const void *key)
{
    const struct call *call = &((const struct calls *)context)->items[id];
    const struct call_key *wanted = key;
    return call->parent == wanted->parent && strcmp(call->symbol->function, wanted->symbol->function) == 0 &&
           strcmp(call->symbol->module, wanted->symbol->module) == 0;
}

static uint32_t call_child(struct calls *calls, uint32_t parent, const struct symbol *symbol)
{
    uint64_t hash = tool_mix(tool_hash(symbol->function, strlen(symbol->function)) + parent);
    struct call_key key = {parent, symbol};
    uint32_t id = table_find(&calls->table, hash, call_same, calls, &key);
    if (id != UINT32_MAX)
        return id;
    id = (uint32_t)calls->count;
    TOOL_ROOM(calls->items, calls->count, calls->room);
    calls->items[calls->count++] =
        (struct call){.symbol = symbol, .parent = parent, .next_sibling = calls->items[parent].first_child};
    calls->items[parent].first_child = id;
    table_add(&calls->table, hash, id);
    return id;
}

void calls_make(struct calls *calls, const struct model *model, struct symbols *symbols)
{
    *calls = (struct calls){0};
    TOOL_ROOM(calls->items, calls->count, calls->room);
    calls->items[calls->count++] = (struct call){0};
    for (size_t i = 0; i < model->site_count; i++) {
        size_t count;
        const struct symbol *const *stack = symbols_stack(symbols, model->sites[i].node, &count);
        uint32_t at = 0;
        for (size_t k = 0; k < count; k++)
            at = call_child(calls, at, stack[k]);
        for (enum metric metric = 0; metric < METRIC_COUNT_OF; metric++)
            calls->items[at].self[metric] += stats_metric(&model->sites[i].stats, metric);
    }
    for (size_t i = 0; i < calls->count; i++)
        memcpy(calls->items[i].total, calls->items[i].self, sizeof calls->items[i].total);
    for (size_t i = calls->count; i-- > 1;) /* children come after their parents */
        for (enum metric metric = 0; metric < METRIC_COUNT_OF; metric++)
            calls->items[calls->items[i].parent].total[metric] += calls->items[i].total[metric];
}

static const struct calls *sort_calls;

static int call_compare(const void *a, const void *b)
{
    const struct call *left = &sort_calls->items[*(const uint32_t *)a],
                      *right = &sort_calls->items[*(const uint32_t *)b];
    if (left->total[sort_metric] != right->total[sort_metric])
        return left->total[sort_metric] > right->total[sort_metric] ? -1 : 1;
    return strcmp(left->symbol->function, right->symbol->function);
}

void calls_sort(struct calls *calls, enum metric metric)
{
    uint32_t *children = NULL;
    size_t room = 0;
    sort_metric = metric;
    sort_calls = calls;
    for (size_t i = 0; i < calls->count; i++) {
        size_t count = 0;
        for (uint32_t child = calls->items[i].first_child; child != 0;
             child = calls->items[child].next_sibling) {
            TOOL_ROOM(children, count, room);
            children[count++] = child;
        }
        if (count < 2)
            continue;
        qsort(children, count, sizeof *children, call_compare);
        calls->items[i].first_child = children[0];
        for (size_t k = 0; k < count; k++)
            calls->items[children[k]].next_sibling = k + 1 < count ? children[k + 1] : 0;
    }
    free(children);
}

void calls_finish(struct calls *calls)
{
    free(calls->items);
    table_finish(&calls->table);
    *calls = (struct calls){0};
}

/* ---- JSON ---------------------------------------------------------------------------------------------- */

static void json_buckets(struct json *json, const char *key, const uint64_t *buckets, unsigned count)
{
    while (count > 0 && buckets[count - 1] == 0)
        count--;
    json_open(json, key, '[');
    for (unsigned i = 0; i < count; i++)
        json_number(json, NULL, buckets[i]);
    json_close(json, ']');
}

void json_stats(struct json *json, const struct stats *stats)
{
    json_number(json, "allocs", stats->allocs);
    json_number(json, "bytes", stats->bytes);
    json_number(json, "frees", stats->frees);
    json_number(json, "freed_bytes", stats->freed_bytes);
    json_number(json, "leaked_blocks", stats_live_blocks(stats));
    json_number(json, "leaked_bytes", stats_live_bytes(stats));
    json_number(json, "peak_blocks", stats->peak_blocks);
    json_number(json, "peak_bytes", stats->peak_bytes);
    json_number(json, "own_peak_blocks", stats->live_blocks_max);
    json_number(json, "own_peak_bytes", stats->live_bytes_max);
    json_number(json, "largest", stats->size_max);
    json_number(json, "reallocs", stats->reallocs);
    json_number(json, "reallocs_moved", stats->reallocs_moved);
    json_number(json, "frees_by_other_threads", stats->frees_remote);
    json_number(json, "freed_before_next", stats->frees_at_once);
    json_number(json, "lifetime_ns", stats->life_ns);
    json_number(json, "usable_bytes", stats->usable_bytes);
    json_number(json, "first_ns", stats->first_ns);
    json_number(json, "last_ns", stats->last_ns);
    json_buckets(json, "ages_log2", stats->age, NBT_AGE_BUCKETS);
    json_buckets(json, "sizes_log2", stats->size, NBT_SIZE_BUCKETS);
}

void json_symbol(struct json *json, const struct symbol *symbol)
{
    json_text(json, "function", symbol->function);
    json_text(json, "module", symbol->module);
    if (symbol->file != NULL) {
        json_text(json, "file", symbol->file);
        json_number(json, "line", symbol->line);
    }
    if (symbol->inlined)
        json_bool(json, "inlined", true);
}

void json_stack(struct json *json, const char *key, struct symbols *symbols, uint32_t node)
{
    size_t count;
    const struct symbol *const *stack = symbols_stack(symbols, node, &count);
    json_open(json, key, '[');
    while (count-- > 0) {
        json_open(json, NULL, '{');
        json_symbol(json, stack[count]);
        json_close(json, '}');
    }
    json_close(json, ']');
}

void json_processes(struct json *json, const struct model *model)
{
    static const char *const modes[] = {"off", "sample", "profile", "trace"};
    static const char *const states[] = {"running", "closed", "full"};
    json_open(json, "processes", '[');
    for (size_t i = 0; i < model->process_count; i++) {
        const struct process *process = &model->processes[i];
        json_open(json, NULL, '{');
        json_text(json, "file", process->file);
        json_text(json, "exe", process->exe);
        json_text(json, "command", process->command);
        json_number(json, "pid", process->pid);
        json_number(json, "ppid", process->ppid);
        json_text(json, "mode", modes[process->mode]);
        json_text(json, "state",
                  process->killed      ? "killed"
                  : process->state < 3 ? states[process->state]
                                       : "unknown");
        json_number(json, "start_unix_ns", process->start_unix_ns);
        json_number(json, "end_ns", process->end_ns);
        json_number(json, "file_bytes", process->file_bytes);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_open(json, "damage", '[');
    for (size_t i = 0; i < model->damage_count; i++)
        json_text(json, NULL, model->damage[i]);
    json_close(json, ']');
}

void json_totals(struct json *json, const struct model *model)
{
    const struct totals *totals = &model->totals;
    json_open(json, "totals", '{');
    json_bool(json, "estimated", model->sampled);
    json_number(json, "allocs", totals->allocs);
    json_number(json, "bytes", totals->bytes);
    json_number(json, "frees", totals->frees);
    json_number(json, "freed_bytes", totals->freed_bytes);
    json_number(json, "leaked_blocks", totals->live_blocks);
    json_number(json, "leaked_bytes", totals->live_bytes);
    json_number(json, "peak_bytes", totals->peak_bytes);
    json_number(json, "peak_ns", totals->peak_ns);
    json_number(json, "reallocs", totals->reallocs);
    json_number(json, "failed", totals->failed);
    json_number(json, "dropped", totals->dropped);
    json_number(json, "other_stack", totals->other_stack);
    json_number(json, "untracked_frees", totals->untracked);
    json_number(json, "call_stacks", model->site_count);
    json_close(json, '}');
}
