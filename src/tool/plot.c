/* plot.c - heap over time, in characters.
 *
 *   12.3 MiB |          ▂▃▅▆▇▇▇█▓▓▓░░░     █ what the program asked for, at eighths of a line
 *            |    ▂▃▅▆▇█████████▓▓▓░░░     ▓ size-class slack and free blocks of slabs in use
 *            |▂▃▅▆█████████████████░░░     ░ the process's other resident memory
 *            +------------------------ */
#include "tool/cli.h"

#include <stdlib.h>
#include <string.h>

struct level {
    uint64_t live, used, rss;
};

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Adds a process's points to the columns that stand for [first, last): in each the largest of its points, or
 * what the last point before it said. */
static void process_levels(const struct process *process, uint64_t first, uint64_t last, struct level *levels,
                           unsigned columns)
{
    size_t next = 0;
    struct level now = {0};
    for (unsigned i = 0; i < columns; i++) {
        uint64_t until =
            first + tool_whole((double)(last - first) * (i + 1) / columns) - process->start_unix_ns;
        struct level most = now;
        if (process->start_unix_ns > first + tool_whole((double)(last - first) * (i + 1) / columns))
            continue; /* it did not run yet */
        for (; next < process->point_count && process->points[next].time_ns <= until; next++) {
            const struct nbt_point *point = &process->points[next];
            now = (struct level){point->live_bytes, larger(point->used_bytes, point->live_bytes),
                                 point->rss_bytes};
            most = (struct level){larger(most.live, now.live), larger(most.used, now.used),
                                  larger(most.rss, now.rss)};
        }
        if (next == process->point_count &&
            (process->point_count == 0 || until > process->end_ns + (last - first) / columns))
            continue; /* it is over */
        levels[i].live += most.live;
        levels[i].used += most.used;
        levels[i].rss += larger(most.rss, most.rss == 0 ? 0 : most.used);
    }
}

static const char *cell(const struct level *level, double bottom, double step)
{
    static const char *const eighths[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    double filled = ((double)level->live - bottom) / step;
    if (filled >= 0.999)
        return term.unicode ? "█" : "#";
    unsigned part = filled <= 0 ? 0 : (unsigned)(filled * 8 + 0.5);
    if (part > 0)
        return term.unicode ? eighths[part] : filled >= 0.5 ? "#" : ".";
    if ((double)level->used > bottom + step / 2)
        return term.unicode ? "▓" : "=";
    if ((double)level->rss > bottom + step / 2)
        return term.unicode ? "░" : ":";
    return " ";
}

void plot_print(const struct model *model, unsigned lines)
{
    enum { LABEL = 10, COLUMNS_MAX = 512 };
    unsigned columns = term.width - LABEL - 3 < COLUMNS_MAX ? term.width - LABEL - 3 : COLUMNS_MAX;
    struct level levels[COLUMNS_MAX] = {{0}};
    uint64_t first = UINT64_MAX, last = 0;
    for (size_t i = 0; i < model->process_count; i++) {
        const struct process *process = &model->processes[i];
        if (process->point_count == 0)
            continue;
        first = process->start_unix_ns < first ? process->start_unix_ns : first;
        last = larger(last, process->start_unix_ns +
                                larger(process->end_ns, process->points[process->point_count - 1].time_ns));
    }
    if (last <= first || lines == 0)
        return;
    for (size_t i = 0; i < model->process_count; i++)
        process_levels(&model->processes[i], first, last, levels, columns);
    uint64_t top = 1;
    bool slack = false, rss = false;
    for (unsigned i = 0; i < columns; i++) {
        top = larger(top, larger(levels[i].live, larger(levels[i].used, levels[i].rss)));
        slack |= levels[i].used > levels[i].live;
        rss |= levels[i].rss > levels[i].used;
    }
    double step = (double)top / lines;
    for (unsigned line = lines; line-- > 0;) {
        bool labelled = line == lines - 1 || line == lines / 2;
        struct number number = number_bytes(tool_whole(step * (line + 1)));
        printf("%s%*s %s%s", term_on(STYLE_DIM), LABEL, labelled ? number.text : "", term.unicode ? "│" : "|",
               term_off());
        const char *colour = "";
        for (unsigned i = 0; i < columns; i++) {
            const char *text = cell(&levels[i], step * line, step);
            bool other = strcmp(text, "▓") == 0 || strcmp(text, "=") == 0,
                 rest = strcmp(text, "░") == 0 || strcmp(text, ":") == 0;
            const char *wanted = other  ? term_on(STYLE_WARM)
                                 : rest ? term_on(STYLE_DIM)
                                        : term_on(STYLE_NUMBER);
            if (wanted != colour)
                printf("%s%s", term_off(), wanted);
            colour = wanted;
            fputs(text, stdout);
        }
        printf("%s\n", term_off());
    }
    struct number span = number_time(last - first);
    char *legend =
        tool_text("%s heap%s%s%s%s", term.unicode ? "█" : "#", slack ? (term.unicode ? "  ▓" : "  =") : "",
                  slack ? " slack and free blocks" : "", rss ? (term.unicode ? "  ░" : "  :") : "",
                  rss ? " other resident memory" : "");
    size_t used = term_columns(legend) + strlen(span.text) + 2;
    printf("%s%*s 0  %s%*s%s%s\n", term_on(STYLE_DIM), LABEL, "", legend,
           (int)(columns > used ? columns - used : 1), "", span.text, term_off());
    free(legend);
}

char *bar_text(uint64_t part, uint64_t whole, unsigned columns)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    struct buffer text = {0};
    double filled = whole == 0 ? 0 : (double)part / (double)whole * columns;
    unsigned full = filled < columns ? (unsigned)filled : columns;
    buffer_add(&text, "", 0);
    for (unsigned i = 0; i < full; i++)
        buffer_print(&text, "%s", term.unicode ? "█" : "#");
    if (full < columns && term.unicode)
        buffer_print(&text, "%s", eighths[(unsigned)((filled - full) * 8)]);
    return text.data;
}
