/* export_valgrind.c - what Valgrind's tools write: DHAT, massif, callgrind. */
#include "tool/export.h"

#include <stdlib.h>
#include <string.h>

static const char *command_of(const struct model *model)
{
    const struct process *process = &model->processes[0];
    return process->command != NULL ? process->command : process->exe != NULL ? process->exe : process->file;
}

/* "0x1234: function (file:line)", as Valgrind spells a frame. */
static char *valgrind_frame(const struct model *model, uint32_t frame, const struct symbol *symbol)
{
    const struct frame *at = &model->frames[frame];
    unsigned long long address = at->address + (at->module == 0 ? 0 : model->modules[at->module - 1].base);
    if (symbol->file != NULL && symbol->line > 0)
        return tool_text("0x%llX: %s (%s:%u)", address, symbol->function, path_name(symbol->file),
                         symbol->line);
    if (symbol->module[0] != '\0')
        return tool_text("0x%llX: %s (in %s)", address, symbol->function, symbol->module);
    return tool_text("0x%llX: %s", address, symbol->function);
}

/* ---- DHAT: version 2 of its JSON; times in nanoseconds ------------------------------------------------- */

void export_dhat(struct exporting *exporting)
{
    const struct model *model = exporting->model;
    struct json json = {.out = exporting->out};
    struct strings frames = {0};
    strings_add(&frames, "[root]");
    json_open(&json, NULL, '{');
    json_number(&json, "dhatFileVersion", 2);
    json_text(&json, "mode", "heap");
    json_text(&json, "verb", "Allocated");
    json_bool(&json, "bklt", true);
    json_bool(&json, "bkacc", false);
    json_text(&json, "tu", "ns");
    json_text(&json, "Mtu", "ms");
    json_number(&json, "tuth", 10000);
    json_text(&json, "cmd", command_of(model));
    json_number(&json, "pid", model->processes[0].pid);
    json_number(&json, "te", model->processes[0].end_ns);
    json_number(&json, "tg", model->totals.peak_ns);
    json_open(&json, "pps", '[');
    for (size_t i = 0; i < model->site_count; i++) {
        const struct stats *stats = &model->sites[i].stats;
        json_open(&json, NULL, '{');
        json_number(&json, "tb", stats->bytes);
        json_number(&json, "tbk", stats->allocs);
        json_number(&json, "tl", stats->life_ns);
        json_number(&json, "mb", stats->live_bytes_max);
        json_number(&json, "mbk", stats->live_blocks_max);
        json_number(&json, "gb", stats->peak_bytes);
        json_number(&json, "gbk", stats->peak_blocks);
        json_number(&json, "eb", stats_live_bytes(stats));
        json_number(&json, "ebk", stats_live_blocks(stats));
        json_open(&json, "fs", '[');
        for (uint32_t node = model->sites[i].node; node != NODE_ROOT; node = model->nodes[node].parent) {
            size_t count;
            const struct symbol *symbols = symbols_of(exporting->symbols, model->nodes[node].frame, &count);
            for (size_t k = 0; k < count; k++) {
                char *text = valgrind_frame(model, model->nodes[node].frame, &symbols[k]);
                json_number(&json, NULL, strings_add(&frames, text));
                free(text);
            }
        }
        json_close(&json, ']');
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_open(&json, "ftbl", '[');
    for (size_t i = 0; i < frames.count; i++)
        json_text(&json, NULL, frames.texts[i]);
    json_close(&json, ']');
    json_close(&json, '}');
    strings_finish(&frames);
}

/* ---- massif: snapshots over time; the peak's has the tree, from the innermost call outwards ------------ */

/* The tree of callers: below a function stand those that called it. Node 0 is the sum. */
struct caller {
    uint32_t frame, first_child, next_sibling;
    uint64_t bytes;
};

struct callers {
    struct caller *items;
    size_t count, room;
};

static uint32_t caller_child(struct callers *callers, uint32_t parent, uint32_t frame)
{
    uint32_t last = 0;
    for (uint32_t child = callers->items[parent].first_child; child != 0;
         child = callers->items[child].next_sibling) {
        if (callers->items[child].frame == frame)
            return child;
        last = child;
    }
    TOOL_ROOM(callers->items, callers->count, callers->room);
    uint32_t id = (uint32_t)callers->count++;
    callers->items[id] = (struct caller){.frame = frame};
    if (last == 0)
        callers->items[parent].first_child = id;
    else
        callers->items[last].next_sibling = id;
    return id;
}

/* Children that are less than a hundredth of the whole become one line, as massif does it. */
static void put_massif(struct exporting *exporting, const struct callers *callers, uint32_t at,
                       unsigned depth)
{
    uint64_t least = callers->items[0].bytes / 100, small = 0;
    unsigned shown = 0, left_out = 0;
    for (uint32_t child = callers->items[at].first_child; child != 0;
         child = callers->items[child].next_sibling) {
        if (callers->items[child].bytes > least) {
            shown++;
        } else {
            small += callers->items[child].bytes;
            left_out++;
        }
    }
    fprintf(exporting->out, "%*sn%u: %llu ", (int)depth, "", shown + (left_out > 0),
            (unsigned long long)callers->items[at].bytes);
    if (at == 0) {
        fputs("(heap allocation functions) malloc/new/new[], --alloc-fns, etc.\n", exporting->out);
    } else {
        size_t count;
        const struct symbol *symbols = symbols_of(exporting->symbols, callers->items[at].frame, &count);
        char *text = valgrind_frame(exporting->model, callers->items[at].frame, &symbols[count - 1]);
        fprintf(exporting->out, "%s\n", text);
        free(text);
    }
    for (uint32_t child = callers->items[at].first_child; child != 0;
         child = callers->items[child].next_sibling)
        if (callers->items[child].bytes > least)
            put_massif(exporting, callers, child, depth + 1);
    if (left_out > 0)
        fprintf(exporting->out, "%*sn0: %llu in %u place%s, %s below massif's threshold (1.00%%)\n",
                (int)depth + 1, "", (unsigned long long)small, left_out, left_out == 1 ? "" : "s",
                left_out == 1 ? "" : "all");
}

static void put_snapshot(struct exporting *exporting, unsigned number, uint64_t time_ns, uint64_t bytes,
                         uint64_t extra, const char *tree)
{
    fprintf(exporting->out,
            "#-----------\nsnapshot=%u\n#-----------\ntime=%llu\nmem_heap_B=%llu\nmem_heap_extra_B=%llu\nmem_"
            "stacks_B=0\nheap_tree=%s\n",
            number, (unsigned long long)(time_ns / 1000000), (unsigned long long)bytes,
            (unsigned long long)extra, tree);
}

void export_massif(struct exporting *exporting)
{
    const struct model *model = exporting->model;
    struct callers callers = {0};
    TOOL_ROOM(callers.items, callers.count, callers.room);
    callers.items[callers.count++] = (struct caller){0};
    for (size_t i = 0; i < model->site_count; i++) {
        uint64_t bytes = model->sites[i].stats.peak_bytes;
        uint32_t at = 0;
        callers.items[0].bytes += bytes;
        if (bytes == 0)
            continue;
        for (uint32_t node = model->sites[i].node; node != NODE_ROOT; node = model->nodes[node].parent) {
            at = caller_child(&callers, at, model->nodes[node].frame);
            callers.items[at].bytes += bytes;
        }
    }
    enum { SNAPSHOTS = 100 };
    const struct process *process = &model->processes[0];
    fprintf(exporting->out, "desc: nebmalloc\ncmd: %s\ntime_unit: ms\n", command_of(model));
    size_t step = process->point_count / SNAPSHOTS + 1;
    unsigned number = 0;
    bool peak_put = false;
    put_snapshot(exporting, number++, 0, 0, 0, "empty");
    for (size_t i = 0; i <= process->point_count;
         i += i + step > process->point_count && i < process->point_count ? process->point_count - i : step) {
        bool end = i == process->point_count;
        uint64_t time_ns = end ? process->end_ns : process->points[i].time_ns;
        if (!peak_put && (end || time_ns >= model->totals.peak_ns)) {
            put_snapshot(exporting, number++,
                         end && model->totals.peak_ns > time_ns ? time_ns : model->totals.peak_ns,
                         model->totals.peak_bytes, 0, "peak");
            put_massif(exporting, &callers, 0, 0);
            peak_put = true;
        }
        uint64_t live = end ? model->totals.live_bytes : process->points[i].live_bytes,
                 used = end ? 0 : process->points[i].used_bytes;
        put_snapshot(exporting, number++, time_ns, live, used > live ? used - live : 0, "empty");
    }
    free(callers.items);
}

/* ---- callgrind ----------------------------------------------------------------------------------------- */

static void put_position(FILE *out, struct strings *files, struct strings *functions, const char *prefix,
                         const struct symbol *symbol)
{
    const char *file = symbol == NULL || symbol->file == NULL ? "???" : symbol->file,
               *function = symbol == NULL ? "[root]" : symbol->function;
    size_t before = files->count;
    uint32_t number = strings_add(files, file);
    fprintf(out, "%s%s=(%u)", prefix, prefix[0] == 'c' ? "fi" : "fl",
            number + 1); /* fl and cfi share their numbers */
    fprintf(out, number == before ? " %s\n" : "\n", file);
    before = functions->count;
    number = strings_add(functions, function);
    fprintf(out, "%sfn=(%u)", prefix, number + 1);
    fprintf(out, number == before ? " %s\n" : "\n", function);
}

void export_callgrind(struct exporting *exporting)
{
    static const enum metric events[] = {METRIC_PEAK, METRIC_BYTES, METRIC_COUNT, METRIC_LEAKED};
    enum { EVENTS = sizeof events / sizeof events[0] };
    struct calls calls;
    struct strings files = {0}, functions = {0};
    FILE *out = exporting->out;
    calls_make(&calls, exporting->model, exporting->symbols);
    fprintf(out,
            "# callgrind format\nversion: 1\ncreator: nebmalloc\npid: %llu\ncmd: %s\npositions: "
            "line\nevents: Peak Bytes Blocks Leaked\nsummary:",
            (unsigned long long)exporting->model->processes[0].pid, command_of(exporting->model));
    for (unsigned k = 0; k < EVENTS; k++)
        fprintf(out, " %llu", (unsigned long long)calls.items[0].total[events[k]]);
    fputs("\n\n", out);
    for (size_t i = 0; i < calls.count; i++) {
        const struct call *call = &calls.items[i];
        uint32_t line = call->symbol == NULL ? 0 : call->symbol->line;
        bool any = false;
        for (unsigned k = 0; k < EVENTS; k++)
            any |= call->self[events[k]] > 0;
        if (!any && call->first_child == 0)
            continue;
        put_position(out, &files, &functions, "", call->symbol);
        if (any) {
            fprintf(out, "%u", line);
            for (unsigned k = 0; k < EVENTS; k++)
                fprintf(out, " %llu", (unsigned long long)call->self[events[k]]);
            fputc('\n', out);
        }
        for (uint32_t child = call->first_child; child != 0; child = calls.items[child].next_sibling) {
            const struct call *to = &calls.items[child];
            put_position(out, &files, &functions, "c", to->symbol);
            fprintf(out, "calls=%llu %u\n%u", (unsigned long long)to->total[METRIC_COUNT], to->symbol->line,
                    line);
            for (unsigned k = 0; k < EVENTS; k++)
                fprintf(out, " %llu", (unsigned long long)to->total[events[k]]);
            fputc('\n', out);
        }
        fputc('\n', out);
    }
    strings_finish(&files);
    strings_finish(&functions);
    calls_finish(&calls);
}
