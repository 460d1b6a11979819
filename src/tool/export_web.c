/* export_web.c - JSON for viewers in the browser: speedscope, and Chrome's trace events for Perfetto. */
#include "tool/export.h"

#include <stdlib.h>
#include <string.h>

void export_speedscope(struct exporting *exporting)
{
    static const enum metric shown[] = {METRIC_PEAK, METRIC_BYTES, METRIC_COUNT, METRIC_LEAKED,
                                        METRIC_LIFETIME};
    const struct model *model = exporting->model;
    struct symbol_list frames = {0};
    struct json json = {.out = exporting->out};
    for (size_t i = 0; i < model->site_count; i++) {
        size_t count;
        const struct symbol *const *stack = symbols_stack(exporting->symbols, model->sites[i].node, &count);
        for (size_t k = 0; k < count; k++)
            symbol_list_number(&frames, stack[k]);
    }
    json_open(&json, NULL, '{');
    json_text(&json, "$schema", "https://www.speedscope.app/file-format-schema.json");
    json_text(&json, "exporter", "nebmalloc");
    json_text(&json, "name",
              model->processes[0].command == NULL ? model->processes[0].file : model->processes[0].command);
    json_open(&json, "shared", '{');
    json_open(&json, "frames", '[');
    for (size_t i = 0; i < frames.count; i++) {
        json_open(&json, NULL, '{');
        json_text(&json, "name", frames.items[i]->function);
        if (frames.items[i]->file != NULL) {
            json_text(&json, "file", frames.items[i]->file);
            json_number(&json, "line", frames.items[i]->line);
        }
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_close(&json, '}');
    json_open(&json, "profiles", '[');
    for (size_t m = 0; m < sizeof shown / sizeof shown[0]; m++) {
        const struct metric_fact *fact = &metric_facts[shown[m]];
        uint64_t sum = 0;
        json_open(&json, NULL, '{');
        json_text(&json, "type", "sampled");
        json_text(&json, "name", fact->title);
        json_text(&json, "unit",
                  strcmp(fact->unit, "bytes") == 0 ? "bytes"
                  : fact->unit[0] == 'n'           ? "nanoseconds"
                                                   : "none");
        json_open(&json, "samples", '[');
        for (size_t i = 0; i < model->site_count; i++) {
            size_t count;
            const struct symbol *const *stack =
                symbols_stack(exporting->symbols, model->sites[i].node, &count);
            uint64_t value = stats_metric(&model->sites[i].stats, shown[m]);
            if (value == 0)
                continue;
            sum += value;
            json_open(&json, NULL, '[');
            for (size_t k = 0; k < count; k++)
                json_number(&json, NULL, symbol_list_number(&frames, stack[k]));
            json_close(&json, ']');
        }
        json_close(&json, ']');
        json_open(&json, "weights", '[');
        for (size_t i = 0; i < model->site_count; i++)
            if (stats_metric(&model->sites[i].stats, shown[m]) > 0)
                json_number(&json, NULL, stats_metric(&model->sites[i].stats, shown[m]));
        json_close(&json, ']');
        json_number(&json, "startValue", 0);
        json_number(&json, "endValue", sum);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_close(&json, '}');
    symbol_list_finish(&frames);
}

/* ---- trace events -------------------------------------------------------------------------------------- */

static void event_begin(struct json *json, const char *name, const char *phase, const struct process *process,
                        uint64_t time_ns)
{
    json_open(json, NULL, '{');
    json_text(json, "name", name);
    json_text(json, "ph", phase);
    json_number(json, "pid", process->pid);
    json_double(json, "ts", (double)time_ns / 1000);
}

static void put_counter(struct json *json, const char *name, const struct process *process, uint64_t time_ns,
                        uint64_t value)
{
    event_begin(json, name, "C", process, time_ns);
    json_open(json, "args", '{');
    json_number(json, "value", value);
    json_close(json, '}');
    json_close(json, '}');
}

void export_perfetto(struct exporting *exporting)
{
    const struct model *model = exporting->model;
    struct json json = {.out = exporting->out};
    json_open(&json, NULL, '{');
    json_text(&json, "displayTimeUnit", "ms");
    json_open(&json, "traceEvents", '[');
    for (size_t i = 0; i < model->process_count; i++) {
        const struct process *process = &model->processes[i];
        event_begin(&json, "process_name", "M", process, 0);
        json_open(&json, "args", '{');
        json_text(&json, "name", process->command == NULL ? process->file : process->command);
        json_close(&json, '}');
        json_close(&json, '}');
        for (size_t k = 0; k < process->point_count; k++) {
            const struct nbt_point *point = &process->points[k];
            put_counter(&json, "heap bytes", process, point->time_ns, point->live_bytes);
            put_counter(&json, "heap blocks", process, point->time_ns, point->live_blocks);
            put_counter(&json, "allocations", process, point->time_ns, point->allocs);
            if (point->rss_bytes > 0)
                put_counter(&json, "resident bytes", process, point->time_ns, point->rss_bytes);
            if (point->used_bytes > 0)
                put_counter(&json, "slab bytes", process, point->time_ns, point->used_bytes);
        }
    }
    for (size_t i = 0; i < model->thread_count; i++) {
        const struct thread *thread = &model->threads[i];
        const struct process *process = &model->processes[thread->process];
        event_begin(&json, "thread_name", "M", process, 0);
        json_number(&json, "tid", thread->tid);
        json_open(&json, "args", '{');
        json_text(&json, "name", thread->name);
        json_close(&json, '}');
        json_close(&json, '}');
        uint64_t end = thread->ended ? thread->end_ns : process->end_ns;
        event_begin(&json, "thread allocates", "X", process, thread->begin_ns);
        json_number(&json, "tid", thread->tid);
        json_double(&json, "dur", end > thread->begin_ns ? (double)(end - thread->begin_ns) / 1000 : 0);
        json_open(&json, "args", '{');
        json_number(&json, "allocs", thread->allocs);
        json_number(&json, "bytes", thread->bytes);
        json_close(&json, '}');
        json_close(&json, '}');
    }
    for (size_t i = 0; i < model->mark_count; i++) {
        event_begin(&json, model->marks[i].text, "i", &model->processes[model->marks[i].process],
                    model->marks[i].time_ns);
        json_text(&json, "s", "p");
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_close(&json, '}');
}
