/* saying.h - a report in words or as JSON, and the way to whoever reads it; for the files of this room that report.
 *
 *   report_begin --> what is wrong, in a line --> write --> say: the line, the block, stacks, bytes around
 *                                                   |         into the symbolizer, which adds files and lines,
 *                                                   `-------> or else, and again if that failed, to stderr or the report's file
 *
 * Ownership  a report: who began it
 * Failure    what cannot be written is lost; nothing waits for ever
 * Locks      none: one report is said at a time, which is the business of report.c */
#ifndef NEB_CHECK_SAYING_H
#define NEB_CHECK_SAYING_H

#include "base/fmt.h"
#include "check/report.h"
#include "check/stack.h"

struct report {
    const char *kind;
    char what_buffer[384];
    struct text what;
    const void *focus; /* the byte around which the picture is drawn; NULL: none */
    const struct cell *cell;
    const struct leak *leak; /* NULL: another kind of error */
    uintptr_t pcs[STACK_DEPTH_MAX];
    int count;
    int to; /* descriptor */
    bool is_cut; /* something could not be written: the rest is not */
    char buffer[640];
    struct text line;
};

/* Of report.h's init and child, what concerns this file. */
void neb_saying_init(const struct report_options *options);
void neb_saying_child(void);

/* Says all of it. */
void neb_report_say(struct report *report, int to);
/* Lets say write, once or, if something was lost on the way, twice. Its answer: all was written. */
void neb_report_write(bool (*say)(void *argument, int to), void *argument);
bool neb_report_is_json(void);
/* Writes the line that was put together. */
void neb_report_line_end(struct report *report);
void neb_report_json_number(struct text *text, const char *name, uint64_t value);
void neb_report_json_leak(struct text *text, const struct leak *leak);

/* In report.c: a report without a word yet, and whether its kind and stack are to be passed over. */
void neb_report_begin(struct report *report, const char *kind, const struct cell *cell, const void *focus);
bool neb_report_is_suppressed(const struct report *report);

#endif
