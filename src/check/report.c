/* report.c - see report.h. */
#include "check/report.h"

#include "base/ptr.h"
#include "check/block.h"
#include "check/saying.h"
#include "check/stacks.h"
#include "check/suppress.h"
#include "heap/fault.h"
#include "os/env.h"
#include "os/inspect.h"
#include "os/thread.h"
#include "policy/policy.h"
#include <string.h>

enum { WAITS = 2000 }; /* for another thread's report, each after the others ran */

static _Atomic uint32_t reporter; /* thread id of who reports; 0: nobody */

void neb_report_begin(struct report *report, const char *kind, const struct cell *cell, const void *focus)
{
    report->kind = kind;
    report->leak = NULL;
    report->what = neb_text_in(report->what_buffer, sizeof report->what_buffer);
    report->line = neb_text_in(report->buffer, sizeof report->buffer);
    report->focus = focus;
    report->cell = cell != NULL && cell->record != NULL ? cell : NULL;
    report->count = POLICY_STACKS ? neb_stack_capture(report->pcs, (int)(sizeof report->pcs / sizeof report->pcs[0])) : 0;
}
/* False: this thread is reporting already; what it reports in turn gets one line. */
static bool reporter_enter(void)
{
    uint32_t me = neb_os_thread_id();
    for (int waits = 0;; waits++) {
        uint32_t nobody = 0;
        if (atomic_compare_exchange_strong_explicit(&reporter, &nobody, me, memory_order_acquire, memory_order_relaxed) ||
            waits == WAITS)
            return true;
        if (nobody == me)
            return false;
        neb_os_yield();
    }
}
bool neb_report_is_suppressed(const struct report *report)
{
    const uintptr_t *pcs = report->pcs;
    int count = report->count;
    if (report->leak != NULL && report->cell != NULL) {
        const struct cell_origin *origin = cell_origin(report->cell);
        count = neb_stacks_get(atomic_load_explicit(&origin->alloc_stack, memory_order_relaxed), &pcs);
    }
    return neb_suppress_matches(report->kind, pcs, count);
}
static bool report_say(void *argument, int to)
{
    struct report *report = argument;
    neb_report_say(report, to);
    return !report->is_cut;
}

static void report_end(struct report *report, bool goes_on)
{
    if (neb_report_is_suppressed(report))
        return;
    if (!reporter_enter()) {
        neb_os_complain("an error while an error was reported:");
        neb_os_complain(report->what.data);
        neb_os_abort();
    }
    neb_report_write(report_say, report);
    atomic_store_explicit(&reporter, 0, memory_order_release);
    if (neb_check.on_error == ON_ERROR_STOP)
        neb_os_stop();
    else if (neb_check.on_error == ON_ERROR_ABORT && !goes_on)
        neb_os_abort();
}
/* What the heap itself found: its text begins with the call. */
static void on_heap_fault(const char *kind, const char *what, bool goes_on)
{
    struct report report;
    neb_report_begin(&report, kind, NULL, NULL);
    neb_text_string(&report.what, what);
    report_end(&report, goes_on);
}
void neb_report_init(const struct report_options *options)
{
    neb_saying_init(options);
    if (options->suppressions != NULL && !neb_suppress_load(options->suppressions))
        neb_os_complain("NEBMALLOC: suppressions: the file cannot be read, or a line is not TYPE:PATTERN; ignored from there on");
    neb_fault_set_reporter(on_heap_fault);
}

void neb_report_child(void)
{
    neb_saying_child();
}

/* ---- one function for each kind ---------------------------------------------------------------------------------------------- */

static void say_call(struct report *report, const char *call, const void *p)
{
    neb_text_string(&report->what, call);
    neb_text_string(&report->what, "(");
    neb_text_hex(&report->what, ptr_address(p));
    neb_text_string(&report->what, "): ");
}

static void say_size(struct report *report, uint64_t bytes)
{
    neb_text_decimal(&report->what, bytes);
    neb_text_string(&report->what, bytes == 1 ? " byte" : " bytes");
}

void neb_report_double_free(const char *call, const void *p, const struct cell *cell)
{
    struct report report;
    neb_report_begin(&report, "double-free", cell, NULL);
    say_call(&report, call, p);
    neb_text_string(&report.what, "double free: the block is already free");
    report_end(&report, false);
}

void neb_report_inside(const char *call, const void *p, const struct cell *cell)
{
    struct report report;
    struct block block = neb_block_of(cell);
    bool before = ptr_address(p) < ptr_address(block.begin);
    size_t offset = before ? ptr_offset(block.begin, p) : ptr_offset(p, block.begin);
    bool behind = !before && offset >= block.size;
    neb_report_begin(&report, "invalid-free", cell, p);
    say_call(&report, call, p);
    neb_text_string(&report.what, "invalid pointer: ");
    neb_text_decimal(&report.what, behind ? offset - block.size : offset);
    neb_text_string(&report.what, before ? " bytes before a" : behind ? " bytes behind a" : " bytes inside a");
    neb_text_string(&report.what, block.state == RECORD_LIVE ? " block of " : " freed block of ");
    say_size(&report, block.size);
    report_end(&report, false);
}

void neb_report_freed_used(const char *call, const void *p, const struct cell *cell)
{
    struct report report;
    neb_report_begin(&report, "heap-use-after-free", cell, NULL);
    say_call(&report, call, p);
    neb_text_string(&report.what, "use after free: the block is free");
    report_end(&report, false);
}

void neb_report_write_after_free(const struct cell *cell, size_t offset)
{
    struct report report;
    struct block block = neb_block_of(cell);
    neb_report_begin(&report, "heap-use-after-free", cell, block.begin + offset);
    say_call(&report, "write", block.begin + offset);
    neb_text_string(&report.what, "written after free: byte ");
    neb_text_decimal(&report.what, offset);
    neb_text_string(&report.what, " of a block of ");
    say_size(&report, block.size);
    report_end(&report, false);
}

static void say_changed(struct report *report, size_t first, size_t last)
{
    neb_text_string(&report->what, first == last ? "byte " : "bytes ");
    neb_text_decimal(&report->what, first);
    if (first != last) {
        neb_text_string(&report->what, " to ");
        neb_text_decimal(&report->what, last);
    }
}

void neb_report_overflow(const char *call, const struct cell *cell, size_t first, size_t last)
{
    struct report report;
    struct block block = neb_block_of(cell);
    neb_report_begin(&report, "heap-buffer-overflow", cell, block.begin + block.size + first - 1);
    say_call(&report, call, block.begin);
    say_changed(&report, first, last);
    neb_text_string(&report.what, " behind a block of ");
    say_size(&report, block.size);
    neb_text_string(&report.what, first == last ? " was written" : " were written");
    report_end(&report, false);
}

void neb_report_underflow(const char *call, const struct cell *cell, size_t first, size_t last)
{
    struct report report;
    struct block block = neb_block_of(cell);
    neb_report_begin(&report, "heap-buffer-underflow", cell, block.begin - first);
    say_call(&report, call, block.begin);
    say_changed(&report, first, last);
    neb_text_string(&report.what, " before a block of ");
    say_size(&report, block.size);
    neb_text_string(&report.what, first == last ? " was written" : " were written");
    report_end(&report, false);
}

void neb_report_family(const char *call, const void *p, const struct cell *cell)
{
    struct report report;
    neb_report_begin(&report, "alloc-dealloc-mismatch", cell, NULL);
    say_call(&report, call, p);
    neb_text_string(&report.what, "wrong release: the block came from ");
    neb_text_string(&report.what, neb_family_name(neb_block_of(cell).family));
    report_end(&report, true);
}

void neb_report_size(const char *call, const void *p, const struct cell *cell, size_t stated)
{
    struct report report;
    neb_report_begin(&report, "size-mismatch", cell, NULL);
    say_call(&report, call, p);
    neb_text_string(&report.what, "wrong size: ");
    neb_text_decimal(&report.what, stated);
    neb_text_string(&report.what, " stated, the block has ");
    neb_text_decimal(&report.what, neb_block_of(cell).size);
    report_end(&report, true);
}

void neb_report_alignment(const char *call, const void *p, const struct cell *cell, size_t stated, size_t made)
{
    struct report report;
    neb_report_begin(&report, "alignment-mismatch", cell, NULL);
    say_call(&report, call, p);
    neb_text_string(&report.what, "wrong alignment: ");
    neb_text_decimal(&report.what, stated);
    neb_text_string(&report.what, " stated, the block was made with ");
    neb_text_decimal(&report.what, made);
    report_end(&report, true);
}

/* The frames of the handler, and of whatever called it, come first. */
static void frames_drop_until(struct report *report, uintptr_t instruction)
{
    int first = 0;
    while (first < report->count && report->pcs[first] != instruction)
        first++;
    if (first == report->count)
        return;
    report->count -= first;
    memmove(report->pcs, report->pcs + first, (size_t)report->count * sizeof *report->pcs);
}

void neb_report_fault(const struct os_fault *fault, const struct cell *cell)
{
    struct report report;
    const void *address = fault->address;
    struct block block = neb_block_of(cell);
    bool freed = block.state != RECORD_LIVE, before = ptr_address(address) < ptr_address(block.begin);
    size_t offset = before ? ptr_offset(block.begin, address) : ptr_offset(address, block.begin);
    bool behind = !before && offset >= block.size;
    neb_report_begin(&report, freed ? "heap-use-after-free" : before ? "heap-buffer-underflow" : "heap-buffer-overflow", cell, NULL);
    frames_drop_until(&report, fault->instruction);
    say_call(&report, neb_signal_access_name(fault), address);
    neb_text_decimal(&report.what, behind ? offset - block.size : offset);
    neb_text_string(&report.what, before ? " bytes before a" : behind ? " bytes behind a" : " bytes inside a");
    neb_text_string(&report.what, freed ? " freed block of " : " block of ");
    say_size(&report, block.size);
    report_end(&report, true); /* the signal itself ends the process */
}

void neb_report_fault_after_end(const struct os_fault *fault, const char *what)
{
    struct report report;
    neb_report_begin(&report, "heap-use-after-free", NULL, NULL);
    frames_drop_until(&report, fault->instruction);
    say_call(&report, neb_signal_access_name(fault), fault->address);
    neb_text_string(&report.what, what);
    report_end(&report, true);
}
