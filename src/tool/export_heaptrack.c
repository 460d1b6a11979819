/* export_heaptrack.c - heaptrack's interpreted format, version 3 (all numbers in hexadecimal):
 *
 *   v version format, X command, I page pages, s length text, i ip module [function file line]*, t ip parent,
 *   a size trace, + a, - a, c ms, R pages
 *
 * It is a list of events, and the model has sums. So events are made up that give the same sums: for each
 * call stack the number of allocations, their bytes, what is live at the peak and at the end, and what was
 * freed at once. Sizes of single blocks are means. The order is: blocks that are live at neither; then those
 * of the peak; then those that are left. */
#include "tool/export.h"

#include <stdlib.h>
#include <string.h>

struct part {
    uint64_t blocks, bytes;
};

/* A site's blocks, told apart by when they are live. */
struct shape {
    struct part transient, peak_only, both, end_only;
};

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Tries it with `both` blocks that are live at the peak and at the end. What they have in bytes is not known:
 * whatever lets the others come out. */
static bool shape_try(const struct stats *stats, uint64_t both, struct shape *shape)
{
    struct part peak = {stats->peak_blocks, stats->peak_bytes},
                end = {stats_live_blocks(stats), stats_live_bytes(stats)};
    if (both > peak.blocks || both > end.blocks || peak.blocks + end.blocks - both > stats->allocs)
        return false;
    uint64_t transient = stats->allocs - (peak.blocks + end.blocks - both);
    uint64_t low = peak.bytes + end.bytes > stats->bytes ? peak.bytes + end.bytes - stats->bytes : 0,
             high = least(peak.bytes, end.bytes);
    uint64_t bytes = low;
    if (both == 0)
        bytes = 0;
    else if (both == peak.blocks)
        bytes = peak.bytes;
    else if (both == end.blocks)
        bytes = end.bytes;
    if (bytes < low || bytes > high)
        return false;
    shape->both = (struct part){both, bytes};
    shape->peak_only = (struct part){peak.blocks - both, peak.bytes - bytes};
    shape->end_only = (struct part){end.blocks - both, end.bytes - bytes};
    shape->transient = (struct part){transient, stats->bytes - (peak.bytes + end.bytes - bytes)};
    const struct part *parts[] = {&shape->both, &shape->peak_only, &shape->end_only, &shape->transient};
    for (unsigned i = 0; i < 4; i++)
        if (parts[i]->blocks == 0 && parts[i]->bytes > 0)
            return false;
    return true;
}

static void shape_make(const struct stats *stats, struct shape *shape)
{
    uint64_t most = least(stats->peak_blocks, stats_live_blocks(stats));
    uint64_t fewest = stats->peak_blocks + stats_live_blocks(stats) > stats->allocs
                          ? stats->peak_blocks + stats_live_blocks(stats) - stats->allocs
                          : 0;
    const uint64_t candidates[] = {most, fewest, fewest + 1, most > 0 ? most - 1 : 0, (most + fewest) / 2};
    for (unsigned i = 0; i < sizeof candidates / sizeof candidates[0]; i++)
        if (shape_try(stats, candidates[i], shape))
            return;
    /* Estimates of mode sample need not fit together: the peak is given up. */
    *shape = (struct shape){.transient = {stats->frees, stats->freed_bytes},
                            .end_only = {stats_live_blocks(stats), stats_live_bytes(stats)}};
}

struct writing {
    FILE *out;
    struct exporting *exporting;
    struct strings strings; /* numbered from 1 on in the file */
    uint32_t *ip, *trace;   /* frame -> number, node -> number; 0: not written yet */
    uint32_t ips, traces;
    uint64_t infos, peak_bytes;
};

static unsigned put_string(struct writing *writing, const char *text)
{
    size_t before = writing->strings.count;
    uint32_t number = strings_add(&writing->strings, text);
    if (number == before) {
        fprintf(writing->out, "s %zx ", strlen(text));
        for (; *text != '\0'; text++)
            fputc(*text == '\n' ? ' ' : *text, writing->out);
        fputc('\n', writing->out);
    }
    return number + 1;
}

static uint32_t put_ip(struct writing *writing, uint32_t number)
{
    if (writing->ip[number] != 0)
        return writing->ip[number];
    size_t count;
    const struct model *model = writing->exporting->model;
    const struct frame *frame = &model->frames[number];
    const struct symbol *symbols = symbols_of(writing->exporting->symbols, number, &count);
    struct buffer line = {0};
    const char *module = frame->module == 0 ? "" : model->modules[frame->module - 1].path;
    unsigned long long base = frame->module == 0 ? 0 : model->modules[frame->module - 1].base;
    buffer_print(&line, "i %llx %x", frame->address + base, put_string(writing, module));
    for (size_t i = 0; i < count; i++) {
        buffer_print(&line, " %x", put_string(writing, symbols[i].function));
        if (symbols[i].file != NULL || count > 1)
            buffer_print(&line, " %x %x",
                         put_string(writing, symbols[i].file == NULL ? "??" : symbols[i].file),
                         symbols[i].line);
    }
    fprintf(writing->out, "%s\n", line.data);
    buffer_finish(&line);
    return writing->ip[number] = ++writing->ips;
}

static uint32_t put_trace(struct writing *writing, uint32_t node)
{
    if (node == NODE_ROOT || writing->trace[node] != 0)
        return node == NODE_ROOT ? 0 : writing->trace[node];
    const struct node *at = &writing->exporting->model->nodes[node];
    uint32_t parent = put_trace(writing, at->parent), ip = put_ip(writing, at->frame);
    fprintf(writing->out, "t %x %x\n", ip, parent);
    return writing->trace[node] = ++writing->traces;
}

/* Calls `put` for each size that the blocks of a part get: at most two, a byte apart. */
static void each_size(struct writing *writing, struct part part, uint32_t trace,
                      void (*put)(struct writing *, uint64_t info, uint64_t blocks, uint64_t size, void *),
                      void *context)
{
    if (part.blocks == 0)
        return;
    uint64_t larger = part.bytes % part.blocks, size = part.bytes / part.blocks;
    if (part.blocks > larger) {
        fprintf(writing->out, "a %llx %x\n", (unsigned long long)size, trace);
        put(writing, writing->infos++, part.blocks - larger, size, context);
    }
    if (larger > 0) {
        fprintf(writing->out, "a %llx %x\n", (unsigned long long)size + 1, trace);
        put(writing, writing->infos++, larger, size + 1, context);
    }
}

struct transient {
    uint64_t at_once; /* how many of them are freed before the next allocation */
    uint32_t trace;
};

static void put_transient(struct writing *writing, uint64_t info, uint64_t blocks, uint64_t size,
                          void *context)
{
    struct transient *transient = context;
    for (; blocks > 0 && (transient->at_once > 0 || blocks == 1 || size * 2 >= writing->peak_bytes);
         blocks--) {
        fprintf(writing->out, "+ %llx\n- %llx\n", (unsigned long long)info, (unsigned long long)info);
        transient->at_once -= transient->at_once > 0;
    }
    if (blocks == 0)
        return;
    /* Two that overlap are not temporary (heaptrack tells them apart by their allocation info, so there are
     * two of the same); above are those that would make a new peak. */
    fprintf(writing->out, "a %llx %x\n", (unsigned long long)size, transient->trace);
    unsigned long long first = info, second = writing->infos++;
    for (; blocks >= 2; blocks -= 2)
        fprintf(writing->out, "+ %llx\n+ %llx\n- %llx\n- %llx\n", first, second, first, second);
    if (blocks == 1)
        fprintf(writing->out, "+ %llx\n- %llx\n", first, first);
}

struct kept {
    uint64_t first, counts[2]; /* allocation infos from `first` on, with their blocks */
};

static void put_kept(struct writing *writing, uint64_t info, uint64_t blocks, uint64_t size, void *context)
{
    struct kept *kept = context;
    (void)size;
    kept->counts[info - kept->first] = blocks;
    for (uint64_t i = 0; i < blocks; i++)
        fprintf(writing->out, "+ %llx\n", (unsigned long long)info);
}

static void put_free(struct writing *writing, const struct kept *kept)
{
    for (unsigned k = 0; k < 2; k++)
        for (uint64_t i = 0; i < kept->counts[k]; i++)
            fprintf(writing->out, "- %llx\n", (unsigned long long)(kept->first + k));
}

void export_heaptrack(struct exporting *exporting)
{
    const struct model *model = exporting->model;
    const struct process *process = &model->processes[0];
    struct writing writing = {
        .out = exporting->out, .exporting = exporting, .peak_bytes = model->totals.peak_bytes};
    uint64_t page = process->page_size == 0 ? 4096 : process->page_size, pages = 0;
    writing.ip = tool_make(model->frame_count, sizeof *writing.ip);
    writing.trace = tool_make(model->node_count, sizeof *writing.trace);
    for (size_t i = 0; i < process->point_count; i++)
        pages = process->points[i].rss_bytes / page > pages ? process->points[i].rss_bytes / page : pages;
    fprintf(exporting->out, "v 10400 3\nX %s\nI %llx %llx\n",
            process->command == NULL ? "unknown" : process->command, (unsigned long long)page,
            (unsigned long long)pages);
    if (process->exe != NULL)
        put_string(&writing, process->exe);
    struct shape *shapes = tool_make(model->site_count, sizeof *shapes);
    struct kept *kept = tool_make(model->site_count, sizeof *kept);
    for (size_t i = 0; i < model->site_count; i++) {
        const struct stats *stats = &model->sites[i].stats;
        shape_make(stats, &shapes[i]);
        uint32_t trace = put_trace(&writing, model->sites[i].node);
        struct transient transient = {.at_once = stats->frees_at_once, .trace = trace};
        each_size(&writing, shapes[i].transient, trace, put_transient, &transient);
        progress_show("writing", i, model->site_count);
    }
    fprintf(exporting->out, "c %llx\n", (unsigned long long)(model->totals.peak_ns / 1000000));
    for (size_t i = 0; i < model->site_count; i++) {
        uint32_t trace = put_trace(&writing, model->sites[i].node);
        struct kept both = {.first = writing.infos};
        each_size(&writing, shapes[i].both, trace, put_kept, &both);
        kept[i].first = writing.infos;
        each_size(&writing, shapes[i].peak_only, trace, put_kept, &kept[i]);
    }
    fprintf(exporting->out, "R %llx\n", (unsigned long long)pages);
    for (size_t i = 0; i < model->site_count; i++)
        put_free(&writing, &kept[i]);
    for (size_t i = 0; i < model->site_count; i++) {
        struct kept end = {.first = writing.infos};
        each_size(&writing, shapes[i].end_only, put_trace(&writing, model->sites[i].node), put_kept, &end);
    }
    fprintf(exporting->out, "c %llx\n", (unsigned long long)(process->end_ns / 1000000));
    free(shapes);
    free(kept);
    free(writing.ip);
    free(writing.trace);
    strings_finish(&writing.strings);
}
