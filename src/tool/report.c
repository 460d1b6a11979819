/* report.c - `report`: one screen that says what a run did with its memory, and where to look next. */
#include "tool/cli.h"
#include "tool/reader.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void loaded_begin(struct loaded *loaded, const struct arguments *arguments)
{
    model_init(&loaded->model);
    reader_files(&loaded->model, arguments->files, arguments->count);
    loaded->symbols = symbols_create(&loaded->model);
}

void loaded_end(struct loaded *loaded)
{
    fflush(stdout);
    symbols_complain(loaded->symbols);
    symbols_destroy(loaded->symbols);
    model_finish(&loaded->model);
}

void json_begin(struct json *json, const struct model *model, const char *command)
{
    *json = (struct json){.out = stdout};
    json_open(json, NULL, '{');
    json_text(json, "command", command);
    json_processes(json, model);
    json_totals(json, model);
}

void json_end(struct json *json)
{
    json_close(json, '}');
}

static const char *state_text(const struct process *process)
{
    if (process->state == NBT_FULL)
        return "the disk was full: later events are missing";
    if (process->killed)
        return "killed, or crashed";
    return process->state == NBT_RUNNING ? "still runs" : "";
}

void print_title(const struct model *model, const char *what)
{
    static const char *const modes[] = {"off", "sample", "profile", "trace"};
    const struct process *first = &model->processes[0];
    const char *command = first->command != NULL ? first->command
                          : first->exe != NULL   ? first->exe
                                                 : first->file;
    char *about = model->process_count == 1
                      ? tool_text("pid %llu, mode %s, %s", (unsigned long long)first->pid, modes[first->mode],
                                  number_time(first->end_ns).text)
                      : tool_text("and %zu more", model->process_count - 1);
    size_t used = term_columns(about) + term_columns(what) + 4;
    char *named = term_clean(term_shorten(command, term.width > used + 12 ? term.width - used : 12));
    printf("%s%s%s  %s%s%s%s%s\n", term_on(STYLE_TITLE), named, term_off(), term_on(STYLE_DIM), about,
           term_off(), what[0] == '\0' ? "" : ": ", what);
    free(named);
    free(about);
    for (size_t i = 0; i < model->process_count; i++)
        if (state_text(&model->processes[i])[0] != '\0')
            printf("%sprocess %llu: %s%s\n", term_on(STYLE_WARM), (unsigned long long)model->processes[i].pid,
                   state_text(&model->processes[i]), term_off());
    for (size_t i = 0; i < model->damage_count && i < 3; i++)
        printf("%s%s%s\n", term_on(STYLE_BAD), model->damage[i], term_off());
    if (model->damage_count > 3)
        printf("%s%llu more places are damaged%s\n", term_on(STYLE_BAD),
               (unsigned long long)(model->damage_count - 3 + model->damage_more), term_off());
    if (model->totals.dropped > 0 || model->totals.other_stack > 0)
        printf("%s%llu calls could not be recorded, %llu allocations have no stack%s\n", term_on(STYLE_WARM),
               (unsigned long long)model->totals.dropped, (unsigned long long)model->totals.other_stack,
               term_off());
}

static void print_figures(const struct model *model, const struct stats *all)
{
    const struct totals *totals = &model->totals;
    const char *about = model->sampled ? "about " : "";
    printf("allocated  %s%s%s%s blocks, %s", about, term_on(STYLE_NUMBER), number_count(totals->allocs).text,
           term_off(), number_bytes(totals->bytes).text);
    printf(";  freed at once %s, by others %s\n", number_percent(all->frees_at_once, all->allocs).text,
           number_percent(all->frees_remote, all->frees).text);
    printf("peak       %s%s%s%s", about, term_on(STYLE_NUMBER), number_bytes(totals->peak_bytes).text,
           term_off());
    if (model->process_count == 1 && totals->peak_ns > 0)
        printf(" at %s", number_time(totals->peak_ns).text);
    else if (model->process_count > 1)
        printf(" (the sum of each process's)");
    printf(";  reallocs %s (%s moved)", number_count(all->reallocs).text,
           number_percent(all->reallocs_moved, all->reallocs).text);
    printf("\nnot freed  %s%s%s%s in %s blocks", about,
           term_on(totals->live_bytes > 0 ? STYLE_WARM : STYLE_GOOD), number_bytes(totals->live_bytes).text,
           term_off(), number_count(totals->live_blocks).text);
    if (all->usable_bytes > all->bytes)
        printf(";  slack %s", number_percent(all->usable_bytes - all->bytes, all->usable_bytes).text);
    if (totals->failed > 0)
        printf(";  %s%s requests failed%s", term_on(STYLE_BAD), number_count(totals->failed).text,
               term_off());
    printf("\n\n");
}

static void print_best(struct groups *groups, enum metric metric, uint64_t whole, unsigned rows)
{
    static const struct grid_column columns[] = {
        {"", true, STYLE_NUMBER}, {"", true, STYLE_DIM}, {"", true, STYLE_DIM}, {"", false, STYLE_TITLE}};
    struct grid_column titled[4];
    memcpy(titled, columns, sizeof columns);
    groups_sort(groups, metric);
    titled[0].title = metric == METRIC_PEAK ? "at peak" : metric == METRIC_LEAKED ? "not freed" : "allocated";
    titled[1].title = "share";
    titled[2].title = "blocks";
    titled[3].title = "asked for by";
    struct grid *grid = grid_create(titled, 4);
    for (size_t i = 0; i < groups->count && i < rows; i++) {
        const struct stats *stats = &groups->items[i].stats;
        uint64_t value = stats_metric(stats, metric);
        if (value == 0)
            break;
        uint64_t blocks = metric == METRIC_PEAK     ? stats->peak_blocks
                          : metric == METRIC_LEAKED ? stats_live_blocks(stats)
                                                    : stats->allocs;
        char *label = symbol_label(groups->items[i].symbol);
        struct number bytes = number_bytes(value), share = number_percent(value, whole),
                      count = number_count(blocks);
        grid_add(grid, (const char *[]){bytes.text, share.text, count.text, label});
        free(label);
    }
    grid_print(grid);
}

static void report_json(struct loaded *loaded, struct groups *groups, unsigned rows)
{
    static const enum metric parts[] = {METRIC_PEAK, METRIC_LEAKED, METRIC_COUNT};
    static const char *const names[] = {"top_at_peak", "top_not_freed", "top_by_count"};
    struct json json;
    json_begin(&json, &loaded->model, "report");
    for (unsigned part = 0; part < 3; part++) {
        groups_sort(groups, parts[part]);
        json_open(&json, names[part], '[');
        for (size_t i = 0;
             i < groups->count && i < rows && stats_metric(&groups->items[i].stats, parts[part]) > 0; i++) {
            json_open(&json, NULL, '{');
            json_symbol(&json, groups->items[i].symbol);
            json_stats(&json, &groups->items[i].stats);
            json_close(&json, '}');
        }
        json_close(&json, ']');
    }
    json_end(&json);
}

int command_report(const struct arguments *arguments)
{
    struct loaded loaded;
    struct groups groups;
    loaded_begin(&loaded, arguments);
    const struct model *model = &loaded.model;
    groups_make(&groups, model, loaded.symbols, METRIC_PEAK);
    unsigned spare = term.height > 24 ? term.height - 24 : 0;
    unsigned rows = arguments->limit > 0 ? arguments->limit : 4 + spare / 4;
    if (arguments->json) {
        report_json(&loaded, &groups, arguments->limit > 0 ? arguments->limit : 20);
    } else {
        struct stats all = {0};
        for (size_t i = 0; i < model->site_count; i++)
            stats_add(&all, &model->sites[i].stats);
        print_title(model, "");
        print_figures(model, &all);
        plot_print(model, 5 + spare / 3);
        print_best(&groups, METRIC_PEAK, model->totals.peak_bytes, rows);
        if (model->totals.live_bytes > 0)
            print_best(&groups, METRIC_LEAKED, model->totals.live_bytes, rows);
        printf("%smore: top, tree, flame, leaks, lifetimes, sizes, threads, realloc, frag, export%s\n",
               term_on(STYLE_DIM), term_off());
    }
    groups_finish(&groups);
    loaded_end(&loaded);
    return TOOL_OK;
}
