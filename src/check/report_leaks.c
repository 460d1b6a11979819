/* report_leaks.c - what was lost: a report for each place in the program that lost something, then their sum.
 *
 * Said by the copy of the process (os/snapshot.h), which nobody else reports from: it waits for no other report.
 *
 * Failure    what could not be written with lines is said again without */
#include "check/report.h"

#include "check/saying.h"
#include "os/inspect.h"

static void say_blocks(struct text *text, size_t blocks, size_t bytes)
{
    neb_text_decimal(text, bytes);
    neb_text_string(text, bytes == 1 ? " byte in " : " bytes in ");
    neb_text_decimal(text, blocks);
    neb_text_string(text, blocks == 1 ? " block" : " blocks");
}

static void say_lost(struct text *text, const struct leak *leak)
{
    say_blocks(text, leak->blocks, leak->bytes);
    neb_text_string(text, " that nothing points to");
    if (leak->carried_blocks == 0)
        return;
    neb_text_string(text, ", and ");
    say_blocks(text, leak->carried_blocks, leak->carried_bytes);
    neb_text_string(text, leak->blocks == 1 ? " that only it leads to" : " that only they lead to");
}

static void leak_begin(struct report *report, const struct leak *leak)
{
    neb_report_begin(report, "memory-leak", &leak->sample, NULL);
    report->leak = leak;
    report->count = 0; /* of frames: no call is wrong */
    say_lost(&report->what, leak);
}

static void leak_add(struct leak *sum, const struct leak *leak)
{
    sum->blocks += leak->blocks;
    sum->bytes += leak->bytes;
    sum->carried_blocks += leak->carried_blocks;
    sum->carried_bytes += leak->carried_bytes;
}

static void say_sum(struct report *report, const struct leak *sum, size_t unasked)
{
    struct text *line = &report->line;
    if (neb_report_is_json()) {
        neb_report_json_number(line, "{\"summary\":\"memory-leak\",\"process\":", neb_os_inspected());
        neb_text_string(line, ",");
        neb_report_json_leak(line, sum);
        neb_report_json_number(line, ",\"threads_unasked\":", unasked);
        neb_text_string(line, "}");
        neb_report_line_end(report);
        return;
    }
    neb_text_string(line, "nebmalloc: lost: ");
    say_lost(line, sum);
    neb_report_line_end(report);
    if (unasked == 0)
        return;
    neb_text_string(line, "nebmalloc: threads that block every signal: ");
    neb_text_decimal(line, unasked);
    neb_text_string(line, "; what only their registers point to looks lost");
    neb_report_line_end(report);
}

struct leaks {
    const struct leak *leak;
    size_t count, unasked;
    bool said; /* there was something to say */
};

/* False: it could not all be written. */
static bool leaks_say(void *argument, int to)
{
    struct leaks *leaks = argument;
    struct report report;
    struct leak sum = {.blocks = 0};
    report.is_cut = leaks->said = false;
    for (size_t i = 0; i < leaks->count && !report.is_cut; i++) {
        leak_begin(&report, &leaks->leak[i]);
        if (neb_report_is_suppressed(&report))
            continue;
        leak_add(&sum, &leaks->leak[i]);
        neb_report_say(&report, to);
        leaks->said = true;
    }
    if (leaks->said && !report.is_cut)
        say_sum(&report, &sum, leaks->unasked);
    return !report.is_cut;
}

bool neb_report_leaks(const struct leak *leaks, size_t count, size_t unasked)
{
    struct leaks all = {leaks, count, unasked, false};
    neb_report_write(leaks_say, &all);
    return all.said;
}
