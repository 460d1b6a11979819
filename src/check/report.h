/* report.h - what is said about an error: one function for each kind that check/ finds.
 *
 *   nebmalloc: ERROR: KIND CALL(ADDRESS): what is wrong         the first line, for machines and for people in a hurry
 *     thread, block, stacks of this call, the allocation and the free, bytes around
 *
 * In the checked policy another process, the symbolizer, adds files, lines and inlined functions to the stacks.
 * Or one JSON object a line. To stderr or the file of the option report. Then the option on_error decides: abort, go on, or
 * stop for a debugger. Written without stdio and without the heap.
 *
 * Threads    any; one report at a time. A second error while one is reported by the same thread gets its first line and
 *            ends the process; another thread waits for a while only
 * Failure    what cannot be written is lost; nothing waits for ever, nothing recurses */
#ifndef NEB_CHECK_REPORT_H
#define NEB_CHECK_REPORT_H

#include "heap/record.h"
#include "os/signal.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct report_options {
    bool json;
    const char *file;         /* NULL: stderr */
    const char *suppressions; /* a file in LeakSanitizer's syntax; NULL: none */
    const char *symbolizer;   /* a program; "none"; NULL: nebmalloc, where it stands beside the library */
};

/* Once, before there are threads. A file that cannot be opened or read gets a line. */
void neb_report_init(const struct report_options *options);
/* In the child of a fork. */
void neb_report_child(void);

void neb_report_double_free(const char *call, const void *p, const struct cell *cell);
/* A pointer into a block, not to its beginning. */
void neb_report_inside(const char *call, const void *p, const struct cell *cell);
void neb_report_freed_used(const char *call, const void *p, const struct cell *cell);
/* Found when the block left the quarantine: its byte at offset was changed. */
void neb_report_write_after_free(const struct cell *cell, size_t offset);
/* Found in call: bytes first to last, counted from 1 at the block's end onwards, or at its beginning backwards. */
void neb_report_overflow(const char *call, const struct cell *cell, size_t first, size_t last);
void neb_report_underflow(const char *call, const struct cell *cell, size_t first, size_t last);
/* These are said, and the process goes on: memory is as it should be. */
void neb_report_family(const char *call, const void *p, const struct cell *cell);
void neb_report_size(const char *call, const void *p, const struct cell *cell, size_t stated);
void neb_report_alignment(const char *call, const void *p, const struct cell *cell, size_t stated, size_t made);
/* A read or write that the processor refused. */
void neb_report_fault(const struct os_fault *fault, const struct cell *cell);
/* One in memory that is no block: what it was. */
void neb_report_fault_after_end(const struct os_fault *fault, const char *what);

/* What one place in the program has lost. */
struct leak {
    size_t blocks, bytes;                 /* that nothing points to */
    size_t carried_blocks, carried_bytes; /* that only those point to */
    struct cell sample;                   /* one of the former */
};
/* At the end of the process, from its copy (os/snapshot.h): each, then their sum; the process is not ended. unasked: threads whose
 * registers are unknown. False: all of them are suppressed. */
bool neb_report_leaks(const struct leak *leaks, size_t count, size_t unasked);

#endif
