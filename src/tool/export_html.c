/* export_html.c - the report for the browser: web/report.html with the model in it as JSON. Nothing is
 * fetched from anywhere.
 *
 * Functions are listed once, in `frames`; the tree of calls is three arrays by node: its parent, its frame,
 * and for each metric what ends in it. `caller` is the frame that lists name a node's blocks by. */
#include "tool/cli.h"
#include "tool/export.h"
#include "tool/web.h"

#include <stdlib.h>
#include <string.h>

static const enum metric shown[] = {METRIC_PEAK, METRIC_BYTES, METRIC_COUNT, METRIC_LEAKED, METRIC_LIFETIME};
enum { SHOWN = sizeof shown / sizeof shown[0] };

/* The nearest call on the way out that is not part of an allocator; the call itself if all are. */
static const struct symbol *call_caller(const struct calls *calls, uint32_t at)
{
    for (uint32_t call = at; call != 0; call = calls->items[call].parent)
        if (!symbol_passes_on(calls->items[call].symbol->function))
            return calls->items[call].symbol;
    return calls->items[at].symbol;
}

static void put_tree(struct json *json, const struct calls *calls, struct symbol_list *frames)
{
    json_open(json, "tree", '{');
    json_open(json, "parent", '[');
    for (size_t i = 0; i < calls->count; i++)
        json_number(json, NULL, calls->items[i].parent);
    json_close(json, ']');
    static const struct symbol root = {.function = "[root]", .module = ""};
    json_open(json, "frame", '[');
    for (size_t i = 0; i < calls->count; i++)
        json_number(
            json, NULL,
            symbol_list_number(frames, calls->items[i].symbol == NULL ? &root : calls->items[i].symbol));
    json_close(json, ']');
    json_open(json, "caller", '[');
    for (size_t i = 0; i < calls->count; i++)
        json_number(json, NULL, i == 0 ? 0 : symbol_list_number(frames, call_caller(calls, (uint32_t)i)));
    json_close(json, ']');
    json_open(json, "self", '[');
    for (size_t i = 0; i < calls->count; i++) {
        json_open(json, NULL, '[');
        for (unsigned k = 0; k < SHOWN; k++)
            json_number(json, NULL, calls->items[i].self[shown[k]]);
        json_close(json, ']');
    }
    json_close(json, ']');
    json_close(json, '}');
}

static void put_threads(struct json *json, const struct model *model)
{
    json_open(json, "threads", '[');
    for (size_t i = 0; i < model->thread_count; i++) {
        const struct thread *thread = &model->threads[i];
        const uint64_t figures[] = {thread->allocs, thread->bytes, thread->frees, thread->frees_remote};
        static const char *const names[] = {"allocs", "bytes", "frees", "frees_remote"};
        json_open(json, NULL, '{');
        json_number(json, "process", thread->process);
        json_number(json, "tid", thread->tid);
        json_text(json, "name", thread->name);
        json_number(json, "begin_ns", thread->begin_ns);
        if (thread->ended)
            json_number(json, "end_ns", thread->end_ns);
        else
            json_null(json, "end_ns");
        for (unsigned k = 0; k < 4; k++) {
            if (thread->counted)
                json_number(json, names[k], figures[k]);
            else
                json_null(json, names[k]);
        }
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void put_time(struct json *json, const struct model *model)
{
    json_open(json, "timelines", '[');
    for (size_t i = 0; i < model->process_count; i++) {
        json_open(json, NULL, '[');
        for (size_t k = 0; k < model->processes[i].point_count; k++) {
            const struct nbt_point *point = &model->processes[i].points[k];
            const uint64_t numbers[] = {point->time_ns,   point->live_bytes, point->live_blocks,
                                        point->rss_bytes, point->used_bytes, point->allocs};
            json_open(json, NULL, '[');
            for (unsigned n = 0; n < 6; n++)
                json_number(json, NULL, numbers[n]);
            json_close(json, ']');
        }
        json_close(json, ']');
    }
    json_close(json, ']');
    json_open(json, "marks", '[');
    for (size_t i = 0; i < model->mark_count; i++) {
        json_open(json, NULL, '{');
        json_number(json, "time_ns", model->marks[i].time_ns);
        json_text(json, "text", model->marks[i].text);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void put_allocator(struct json *json, struct exporting *exporting, struct symbol_list *frames)
{
    const struct model *model = exporting->model;
    json_open(json, "classes", '[');
    for (size_t p = 0; p < model->process_count; p++)
        for (size_t i = 0; i < model->processes[p].class_count; i++) {
            const struct nbt_class *class = &model->processes[p].classes[i];
            json_open(json, NULL, '{');
            json_number(json, "block_bytes", class->block_bytes);
            json_number(json, "slabs", class->slabs);
            json_number(json, "slab_bytes", class->slab_bytes);
            json_number(json, "live", class->live);
            json_number(json, "live_bytes", class->live_bytes);
            json_number(json, "cached", class->cached);
            json_close(json, '}');
        }
    json_close(json, ']');
    size_t count;
    struct pinner *pinners = pinners_make(model, &count);
    json_open(json, "pins", '[');
    for (size_t i = 0; i < count && i < 200; i++) {
        size_t depth;
        const struct symbol *const *stack = symbols_stack(exporting->symbols, pinners[i].node, &depth);
        json_open(json, NULL, '{');
        json_number(json, "idle_bytes", pinners[i].idle_bytes);
        json_number(json, "slabs", pinners[i].slabs);
        json_number(json, "blocks", pinners[i].blocks);
        json_open(json, "stack", '[');
        while (depth-- > 0)
            json_number(json, NULL, symbol_list_number(frames, stack[depth]));
        json_close(json, ']');
        json_close(json, '}');
    }
    json_close(json, ']');
    free(pinners);
}

static void put_buckets(struct json *json, const char *key, const uint64_t *buckets, unsigned count)
{
    json_open(json, key, '[');
    for (unsigned i = 0; i < count; i++)
        json_number(json, NULL, buckets[i]);
    json_close(json, ']');
}

void export_html(struct exporting *exporting)
{
    static const char *const columns[] = {"at peak", "allocated", "blocks", "not freed", "lifetime"};
    const struct model *model = exporting->model;
    struct json json = {.out = exporting->out, .dense = true};
    struct symbol_list frames = {0};
    struct calls calls;
    struct stats all = {0};
    calls_make(&calls, model, exporting->symbols);
    for (size_t i = 0; i < model->site_count; i++)
        stats_add(&all, &model->sites[i].stats);
    fwrite(web_before, 1, web_before_bytes, exporting->out);
    json_open(&json, NULL, '{');
    json_processes(&json, model);
    json_totals(&json, model);
    json_open(&json, "metrics", '[');
    for (unsigned k = 0; k < SHOWN; k++) {
        json_open(&json, NULL, '{');
        json_text(&json, "name", metric_facts[shown[k]].name);
        json_text(&json, "title", metric_facts[shown[k]].title);
        json_text(&json, "unit", metric_facts[shown[k]].unit);
        json_text(&json, "short", columns[k]);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    put_tree(&json, &calls, &frames);
    put_threads(&json, model);
    put_time(&json, model);
    put_allocator(&json, exporting, &frames);
    put_buckets(&json, "sizes", all.size, NBT_SIZE_BUCKETS);
    put_buckets(&json, "ages", all.age, NBT_AGE_BUCKETS);
    json_open(&json, "frames", '['); /* last: by now all are numbered */
    for (size_t i = 0; i < frames.count; i++) {
        json_open(&json, NULL, '{');
        json_symbol(&json, frames.items[i]);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_close(&json, '}');
    fwrite(web_after, 1, web_after_bytes, exporting->out);
    calls_finish(&calls);
    symbol_list_finish(&frames);
}
