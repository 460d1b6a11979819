/* export.c - `export`, and the formats that are a few lines: folded, csv, json. */
#include "tool/export.h"

#include "tool/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct format {
    const char *name, *what;
    export_write *write;
    bool binary;
} formats[] = {
    {"folded", "a line a stack, for flamegraph.pl and its relatives; --sort chooses the number",
     export_folded, false},
    {"pprof", "profile.proto, for `go tool pprof` and its relatives", export_pprof, true},
    {"gperftools", "gperftools' heap profile with symbols, for `google-pprof`", export_gperftools, false},
    {"heaptrack", "for heaptrack_print and heaptrack_gui", export_heaptrack, false},
    {"dhat", "Valgrind's DHAT: load it into dh_view.html", export_dhat, false},
    {"massif", "Valgrind's massif, for ms_print and massif-visualizer", export_massif, false},
    {"speedscope", "for speedscope", export_speedscope, false},
    {"perfetto", "time line as Chrome's trace events, for Perfetto", export_perfetto, false},
    {"callgrind", "for callgrind_annotate and kcachegrind", export_callgrind, false},
    {"csv", "a row a call stack", export_csv, false},
    {"json", "all of it", export_json, false},
    {"html", "a report for the browser, one file, works offline", export_html, false},
};
enum { FORMATS = sizeof formats / sizeof formats[0] };

void export_list(FILE *out)
{
    for (size_t i = 0; i < FORMATS; i++)
        fprintf(out, "%s%-10s %s\n", i == 0 ? "" : "          ", formats[i].name, formats[i].what);
}

int command_export(const struct arguments *arguments)
{
    const struct format *format = NULL;
    for (size_t i = 0; arguments->format != NULL && i < FORMATS; i++)
        if (strcmp(formats[i].name, arguments->format) == 0)
            format = &formats[i];
    if (format == NULL)
        tool_die(TOOL_USAGE, "export: %s%s%s; `nebmalloc export --help` lists the formats",
                 arguments->format == NULL ? "--format is missing" : "no format '",
                 arguments->format == NULL ? "" : arguments->format, arguments->format == NULL ? "" : "'");
    char *name = arguments->output != NULL      ? tool_copy(arguments->output, strlen(arguments->output))
                 : format->write == export_html ? tool_text("%s.html", arguments->files[0])
                                                : tool_copy("-", 1);
    if (format->binary && strcmp(name, "-") == 0 && isatty(STDOUT_FILENO))
        tool_die(TOOL_USAGE, "export: %s is binary; name a file with --output", format->name);
    struct loaded loaded;
    struct output output;
    loaded_begin(&loaded, arguments);
    struct exporting exporting = {&loaded.model, loaded.symbols,
                                  arguments->metric == METRIC_COUNT_OF ? METRIC_PEAK : arguments->metric,
                                  NULL};
    output_open(&output, name);
    exporting.out = output.file;
    format->write(&exporting);
    progress_end();
    output_commit(&output);
    if (format->write == export_html && strcmp(name, "-") != 0)
        printf("%s\n", name);
    free(name);
    loaded_end(&loaded);
    return TOOL_OK;
}

/* ---- folded -------------------------------------------------------------------------------------------- */

/* A stack's separator cannot stand in a name. */
static void put_folded_name(FILE *out, const char *name)
{
    for (; *name != '\0'; name++)
        fputc(*name == ';' ? ':' : (unsigned char)*name < 0x20 ? ' ' : *name, out);
}

void export_folded(struct exporting *exporting)
{
    for (size_t i = 0; i < exporting->model->site_count; i++) {
        size_t count;
        const struct site *site = &exporting->model->sites[i];
        uint64_t value = stats_metric(&site->stats, exporting->metric);
        if (value == 0)
            continue;
        const struct symbol *const *stack = symbols_stack(exporting->symbols, site->node, &count);
        for (size_t k = 0; k < count; k++) {
            if (k > 0)
                fputc(';', exporting->out);
            put_folded_name(exporting->out, stack[k]->function);
        }
        if (count == 0)
            fputs("[unknown]", exporting->out);
        fprintf(exporting->out, " %llu\n", (unsigned long long)value);
    }
}

/* ---- csv ----------------------------------------------------------------------------------------------- */

static void put_csv(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

void export_csv(struct exporting *exporting)
{
    fputs("allocs,bytes,frees,freed_bytes,leaked_blocks,leaked_bytes,peak_blocks,peak_bytes,largest,reallocs,"
          "frees_by_other_threads,"
          "freed_before_next,lifetime_ns,function,file,line,module,stack\r\n",
          exporting->out);
    for (size_t i = 0; i < exporting->model->site_count; i++) {
        const struct site *site = &exporting->model->sites[i];
        const struct stats *stats = &site->stats;
        const uint64_t numbers[] = {stats->allocs,
                                    stats->bytes,
                                    stats->frees,
                                    stats->freed_bytes,
                                    stats_live_blocks(stats),
                                    stats_live_bytes(stats),
                                    stats->peak_blocks,
                                    stats->peak_bytes,
                                    stats->size_max,
                                    stats->reallocs,
                                    stats->frees_remote,
                                    stats->frees_at_once,
                                    stats->life_ns};
        for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++)
            fprintf(exporting->out, "%llu,", (unsigned long long)numbers[k]);
        const struct symbol *caller = view_caller(exporting->symbols, site->node);
        put_csv(exporting->out, caller->function);
        fputc(',', exporting->out);
        put_csv(exporting->out, caller->file == NULL ? "" : caller->file);
        fprintf(exporting->out, ",%u,", caller->line);
        put_csv(exporting->out, caller->module);
        fputc(',', exporting->out);
        struct buffer text = {0};
        size_t count;
        const struct symbol *const *stack = symbols_stack(exporting->symbols, site->node, &count);
        buffer_add(&text, "", 0);
        while (count-- > 0)
            buffer_print(&text, "%s%s", stack[count]->function, count == 0 ? "" : " < ");
        put_csv(exporting->out, text.data);
        fputs("\r\n", exporting->out);
        buffer_finish(&text);
    }
}

/* ---- json ---------------------------------------------------------------------------------------------- */

void export_json(struct exporting *exporting)
{
    const struct model *model = exporting->model;
    struct json json = {.out = exporting->out};
    json_open(&json, NULL, '{');
    json_processes(&json, model);
    json_totals(&json, model);
    json_open(&json, "sites", '[');
    for (size_t i = 0; i < model->site_count; i++) {
        json_open(&json, NULL, '{');
        json_stats(&json, &model->sites[i].stats);
        json_stack(&json, "stack", exporting->symbols, model->sites[i].node);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_open(&json, "threads", '[');
    for (size_t i = 0; i < model->thread_count; i++) {
        const struct thread *thread = &model->threads[i];
        json_open(&json, NULL, '{');
        json_number(&json, "process", thread->process);
        json_number(&json, "tid", thread->tid);
        json_text(&json, "name", thread->name);
        json_bool(&json, "counted", thread->counted);
        json_number(&json, "allocs", thread->allocs);
        json_number(&json, "bytes", thread->bytes);
        json_number(&json, "frees", thread->frees);
        json_number(&json, "frees_of_other_threads_blocks", thread->frees_remote);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_open(&json, "marks", '[');
    for (size_t i = 0; i < model->mark_count; i++) {
        json_open(&json, NULL, '{');
        json_number(&json, "process", model->marks[i].process);
        json_number(&json, "time_ns", model->marks[i].time_ns);
        json_text(&json, "text", model->marks[i].text);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_open(&json, "timelines", '[');
    for (size_t i = 0; i < model->process_count; i++) {
        json_open(&json, NULL, '[');
        for (size_t k = 0; k < model->processes[i].point_count; k++) {
            const struct nbt_point *point = &model->processes[i].points[k];
            json_open(&json, NULL, '{');
            json_number(&json, "time_ns", point->time_ns);
            json_number(&json, "live_bytes", point->live_bytes);
            json_number(&json, "live_blocks", point->live_blocks);
            json_number(&json, "allocs", point->allocs);
            json_number(&json, "frees", point->frees);
            json_number(&json, "rss_bytes", point->rss_bytes);
            json_number(&json, "used_bytes", point->used_bytes);
            json_number(&json, "mapped_bytes", point->mapped_bytes);
            json_close(&json, '}');
        }
        json_close(&json, ']');
    }
    json_close(&json, ']');
    json_close(&json, '}');
}
