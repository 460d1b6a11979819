/* report.c - see report.h. */
#include "check/report.h"

#include "base/fmt.h"
#include "base/ptr.h"
#include "check/block.h"
#include "check/stacks.h"
#include "check/stack.h"
#include "check/suppress.h"
#include "heap/fault.h"
#include "os/env.h"
#include "os/filter.h"
#include "os/inspect.h"
#include "os/kept.h"
#include "os/symbol.h"
#include "os/thread.h"
#include "policy/policy.h"
#include <string.h>

enum { ROW_BYTES = 16, ROWS_BEFORE = 2, ROWS_AFTER = 3 };
enum { SYMBOLIZER_MS = 10000 }; /* reading a large program's debug information takes a second */
enum { WAITS = 2000 }; /* for another thread's report, each after the others ran */

static bool as_json;
static int file = -1; /* of the option report; -1: stderr */
static struct os_kept kept = OS_KEPT_NONE;
static _Atomic uint32_t reporter; /* thread id of who reports; 0: nobody */
static struct os_image here;     /* this library, whose frames say nothing */
static char symbolizer[1024];    /* "": nobody */

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

static int output(void)
{
    return file >= 0 ? file : neb_os_kept(&kept);
}

/* ---- one line at a time ------------------------------------------------------------------------------------------------ */

static void out(struct report *report)
{
    report->is_cut = report->is_cut || !neb_os_write_all(report->to, report->line.data, report->line.length);
    report->line = neb_text_in(report->buffer, sizeof report->buffer);
}

static void line_end(struct report *report)
{
    neb_text_end_line(&report->line);
    out(report);
}

/* Names of files and functions, as JSON has it; the rest of what is said needs no quoting. */
static void say_quoted(struct text *text, const char *string)
{
    neb_text_string(text, "\"");
    for (; *string != '\0'; string++) {
        if (*string == '"' || *string == '\\')
            neb_text_string(text, "\\");
        neb_text_bytes(text, (unsigned char)*string < ' ' ? "?" : string, 1);
    }
    neb_text_string(text, "\"");
}

/* ---- stacks ---------------------------------------------------------------------------------------------------------------- */

static void say_frame(struct report *report, int number, uintptr_t pc)
{
    struct os_image module;
    char name[160];
    size_t offset;
    bool known = neb_os_image_of(pc, &module);
    neb_text_string(&report->line, "    #");
    neb_text_decimal(&report->line, (uint64_t)number);
    neb_text_string(&report->line, " ");
    if (known && neb_os_symbol_of(module.name, module.base, pc - 1, name, sizeof name, &offset)) {
        neb_text_string(&report->line, name);
        neb_text_string(&report->line, " ");
    }
    neb_text_string(&report->line, "(");
    neb_text_string(&report->line, known && module.name[0] != '\0' ? module.name : "?");
    neb_text_string(&report->line, "+");
    neb_text_hex(&report->line, known ? pc - module.base : pc);
    neb_text_string(&report->line, ")");
    line_end(report);
}

static bool is_ours(uintptr_t pc)
{
    struct os_image module;
    return here.name[0] != '\0' && neb_os_image_of(pc, &module) && strcmp(module.name, here.name) == 0;
}

/* The frames of this library come first; the program's call is what matters. */
static void stack_trim(const uintptr_t **pcs, int *count)
{
    while (*count > 1 && is_ours(**pcs)) {
        ++*pcs;
        --*count;
    }
}

static void say_thread(struct text *text, uint32_t id)
{
    char name[32];
    neb_text_string(text, "thread ");
    neb_text_decimal(text, id);
    neb_os_task_name(id, name, sizeof name);
    if (name[0] == '\0')
        return;
    neb_text_string(text, " '");
    neb_text_string(text, name);
    neb_text_string(text, "'");
}

static void say_stack(struct report *report, const char *label, uint32_t thread, const uintptr_t *pcs, int count)
{
    if (thread == 0 && count == 0)
        return;
    stack_trim(&pcs, &count);
    neb_text_string(&report->line, "  ");
    neb_text_string(&report->line, label);
    if (thread != 0) {
        neb_text_string(&report->line, " by ");
        say_thread(&report->line, thread);
    }
    neb_text_string(&report->line, count > 0 ? ":" : " (no stack)");
    line_end(report);
    for (int i = 0; i < count; i++)
        say_frame(report, i, pcs[i]);
}

static void say_json_stack(struct report *report, const char *label, uint32_t thread, const uintptr_t *pcs, int count)
{
    stack_trim(&pcs, &count);
    neb_text_string(&report->line, ",\"");
    neb_text_string(&report->line, label);
    neb_text_string(&report->line, "\":{\"thread\":");
    neb_text_decimal(&report->line, thread);
    neb_text_string(&report->line, ",\"frames\":[");
    for (int i = 0; i < count; i++) {
        struct os_image module;
        bool known = neb_os_image_of(pcs[i], &module);
        neb_text_string(&report->line, i > 0 ? ",{\"module\":" : "{\"module\":");
        say_quoted(&report->line, known ? module.name : "");
        neb_text_string(&report->line, ",\"offset\":");
        neb_text_decimal(&report->line, known ? pcs[i] - module.base : pcs[i]);
        neb_text_string(&report->line, "}");
        out(report);
    }
    neb_text_string(&report->line, "]}");
    out(report);
}

/* ---- the block ------------------------------------------------------------------------------------------------------------- */

static void say_block(struct report *report)
{
    static const char *const states[] = {"never handed out", "in use", "freed, in quarantine", "freed, and given back"};
    struct block block = neb_block_of(report->cell);
    neb_text_string(&report->line, "  block at ");
    neb_text_hex(&report->line, ptr_address(block.begin));
    neb_text_string(&report->line, " of ");
    neb_text_decimal(&report->line, block.size);
    neb_text_string(&report->line, " bytes, from ");
    neb_text_string(&report->line, neb_family_name(block.family));
    neb_text_string(&report->line, ": ");
    neb_text_string(&report->line, states[block.state]);
    line_end(report);
}

static void say_byte(struct text *text, unsigned char byte)
{
    char digits[2] = {"0123456789abcdef"[byte >> 4], "0123456789abcdef"[byte & 15]};
    neb_text_bytes(text, digits, 2);
}

/* [ and ] stand before the block's first byte and behind its last one. */
static void say_row(struct report *report, const struct block *block, const unsigned char *row, const unsigned char *end)
{
    bool has_focus = ptr_offset(report->focus, row) < ROW_BYTES;
    neb_text_string(&report->line, has_focus ? "  > " : "    ");
    neb_text_hex(&report->line, ptr_address(row));
    for (const unsigned char *p = row; p < row + ROW_BYTES && p < end; p++) {
        neb_text_string(&report->line, p == block->begin ? "[" : p == block->begin + block->size ? "]" : " ");
        say_byte(&report->line, *p);
    }
    line_end(report);
}

/* The bytes around the focus, as far as they can be read: a block that is out of reach has no picture. */
static void say_bytes(struct report *report)
{
    const struct cell *cell = report->cell;
    struct block block = neb_block_of(cell);
    unsigned char *begin = cell->base, *end = cell->base + cell->bytes;
    if (report->focus == NULL || !check_has(CHECK_ORIGIN) || neb_block_is_hidden(cell)) /* no secrets into production's logs */
        return;
    if (ptr_offset(report->focus, begin) > (size_t)(end - begin))
        return;
    size_t offset = ptr_offset(report->focus, begin) / ROW_BYTES * ROW_BYTES;
    unsigned char *row = begin + (offset > ROWS_BEFORE * ROW_BYTES ? offset - ROWS_BEFORE * ROW_BYTES : 0);
    neb_text_string(&report->line, "  bytes around it ([ block ]):");
    line_end(report);
    for (int i = 0; i < ROWS_BEFORE + ROWS_AFTER && row < end; i++, row += ROW_BYTES)
        say_row(report, &block, row, end);
}

/* ---- the whole ---------------------------------------------------------------------------------------------------------------- */

struct origin {
    uint32_t thread;
    const uintptr_t *pcs;
    int count;
};

static struct origin origin_of(const _Atomic uint16_t *thread, const _Atomic uint32_t *stack)
{
    struct origin origin = {neb_thread_number_id(atomic_load_explicit(thread, memory_order_relaxed)), NULL, 0};
    origin.count = neb_stacks_get(atomic_load_explicit(stack, memory_order_relaxed), &origin.pcs);
    return origin;
}

static void say_text(struct report *report)
{
    neb_text_string(&report->line, "nebmalloc: ERROR: ");
    neb_text_string(&report->line, report->kind);
    neb_text_string(&report->line, " ");
    neb_text_string(&report->line, report->what.data);
    line_end(report);
    if (report->cell != NULL)
        say_block(report);
    if (report->count > 0)
        say_stack(report, "this call", neb_os_thread_id(), report->pcs, report->count);
    if (report->cell == NULL)
        return;
    struct cell_record *record = report->cell->record;
    struct origin made = origin_of(&record->alloc_thread, &record->alloc_stack);
    say_stack(report, "allocated", made.thread, made.pcs, made.count);
    if (neb_block_of(report->cell).state != RECORD_LIVE) {
        struct origin freed = origin_of(&record->free_thread, &record->free_stack);
        say_stack(report, "freed", freed.thread, freed.pcs, freed.count);
    }
    say_bytes(report);
}

static void say_json_number(struct text *text, const char *name, uint64_t value)
{
    neb_text_string(text, name);
    neb_text_decimal(text, value);
}

static void say_json_leak(struct text *text, const struct leak *leak)
{
    say_json_number(text, "\"blocks\":", leak->blocks);
    say_json_number(text, ",\"bytes\":", leak->bytes);
    say_json_number(text, ",\"carried_blocks\":", leak->carried_blocks);
    say_json_number(text, ",\"carried_bytes\":", leak->carried_bytes);
}

static void say_json(struct report *report)
{
    neb_text_string(&report->line, "{\"error\":\"");
    neb_text_string(&report->line, report->kind);
    neb_text_string(&report->line, "\",\"process\":");
    neb_text_decimal(&report->line, neb_os_inspected());
    neb_text_string(&report->line, ",\"message\":");
    say_quoted(&report->line, report->what.data);
    if (report->leak != NULL) {
        neb_text_string(&report->line, ",\"leak\":{");
        say_json_leak(&report->line, report->leak);
        neb_text_string(&report->line, "}");
    }
    out(report);
    if (report->leak == NULL)
        say_json_stack(report, "call", neb_os_thread_id(), report->pcs, report->count);
    if (report->cell != NULL) {
        struct block block = neb_block_of(report->cell);
        struct cell_record *record = report->cell->record;
        struct origin made = origin_of(&record->alloc_thread, &record->alloc_stack);
        neb_text_string(&report->line, ",\"block\":{\"address\":");
        neb_text_decimal(&report->line, ptr_address(block.begin));
        neb_text_string(&report->line, ",\"size\":");
        neb_text_decimal(&report->line, block.size);
        neb_text_string(&report->line, ",\"from\":");
        say_quoted(&report->line, neb_family_name(block.family));
        neb_text_string(&report->line, block.state == RECORD_LIVE ? ",\"freed\":false}" : ",\"freed\":true}");
        say_json_stack(report, "allocated", made.thread, made.pcs, made.count);
        if (block.state != RECORD_LIVE) {
            struct origin freed = origin_of(&record->free_thread, &record->free_stack);
            say_json_stack(report, "freed", freed.thread, freed.pcs, freed.count);
        }
    }
    neb_text_string(&report->line, "}\n");
    out(report);
}

static void say(struct report *report, int to)
{
    report->to = to;
    report->is_cut = false;
    if (as_json)
        say_json(report);
    else
        say_text(report);
}

/* False: there is nobody who adds lines. */
static bool lines_begin(struct os_filter *filter)
{
    static char command[] = "annotate";
    return symbolizer[0] != '\0' && neb_os_filter_begin(filter, symbolizer, command, output());
}

/* False: the report is still to be written as it is. */
static bool lines_end(const struct os_filter *filter, bool is_whole)
{
    return neb_os_filter_end(filter, is_whole ? SYMBOLIZER_MS : 0) && is_whole;
}

static bool say_with_lines(struct report *report)
{
    struct os_filter filter;
    if (!lines_begin(&filter))
        return false;
    say(report, filter.into);
    return lines_end(&filter, !report->is_cut);
}

static void report_begin(struct report *report, const char *kind, const struct cell *cell, const void *focus)
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

static bool is_suppressed(const struct report *report)
{
    const uintptr_t *pcs = report->pcs;
    int count = report->count;
    if (report->leak != NULL && report->cell != NULL) {
        struct cell_record *record = report->cell->record;
        count = neb_stacks_get(atomic_load_explicit(&record->alloc_stack, memory_order_relaxed), &pcs);
    }
    return neb_suppress_matches(report->kind, pcs, count);
}

static void report_end(struct report *report, bool goes_on)
{
    if (is_suppressed(report))
        return;
    if (!reporter_enter()) {
        neb_os_complain("an error while an error was reported:");
        neb_os_complain(report->what.data);
        neb_os_abort();
    }
    if (!POLICY_STACKS || !say_with_lines(report))
        say(report, output());
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
    report_begin(&report, kind, NULL, NULL);
    neb_text_string(&report.what, what);
    report_end(&report, goes_on);
}

/* The tool stands beside the library in a build folder, and in ../../bin or ../bin where both are installed. */
static void symbolizer_find(void)
{
    static const char *const places[] = {"nebmalloc", "../../bin/nebmalloc", "../bin/nebmalloc"};
    const char *slash = strrchr(here.name, '/');
    for (size_t i = 0; slash != NULL && i < sizeof places / sizeof places[0]; i++) {
        struct text path = neb_text_in(symbolizer, sizeof symbolizer);
        neb_text_bytes(&path, here.name, (size_t)(slash + 1 - here.name));
        neb_text_string(&path, places[i]);
        if (neb_os_can_execute(symbolizer))
            return;
    }
    symbolizer[0] = '\0';
}

static void symbolizer_choose(const char *program)
{
    struct text path = neb_text_in(symbolizer, sizeof symbolizer);
    if (program == NULL) {
        symbolizer_find();
    } else if (strcmp(program, "none") != 0 && neb_os_can_execute(program)) {
        neb_text_string(&path, program);
    } else if (strcmp(program, "none") != 0) {
        neb_os_complain("NEBMALLOC: symbolizer: this program cannot be executed; stacks stay without files and lines");
    }
}

void neb_report_init(const struct report_options *options)
{
    as_json = options->json;
    (void)neb_os_image_of((uintptr_t)neb_report_init, &here);
    if (options->file != NULL) {
        file = neb_os_open_append(options->file);
        if (file < 0)
            neb_os_complain("NEBMALLOC: report: the file cannot be opened for writing; using stderr");
    }
    if (file < 0)
        neb_os_keep_stderr(&kept);
    if (options->suppressions != NULL && !neb_suppress_load(options->suppressions))
        neb_os_complain("NEBMALLOC: suppressions: the file cannot be read, or a line is not TYPE:PATTERN; ignored from there on");
    if (POLICY_STACKS)
        symbolizer_choose(options->symbolizer);
    neb_fault_set_reporter(on_heap_fault);
}

void neb_report_child(void)
{
    neb_os_kept_child(&kept);
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
    report_begin(&report, "double-free", cell, NULL);
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
    report_begin(&report, "invalid-free", cell, p);
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
    report_begin(&report, "heap-use-after-free", cell, NULL);
    say_call(&report, call, p);
    neb_text_string(&report.what, "use after free: the block is free");
    report_end(&report, false);
}

void neb_report_write_after_free(const struct cell *cell, size_t offset)
{
    struct report report;
    struct block block = neb_block_of(cell);
    report_begin(&report, "heap-use-after-free", cell, block.begin + offset);
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
    report_begin(&report, "heap-buffer-overflow", cell, block.begin + block.size + first - 1);
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
    report_begin(&report, "heap-buffer-underflow", cell, block.begin - first);
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
    report_begin(&report, "alloc-dealloc-mismatch", cell, NULL);
    say_call(&report, call, p);
    neb_text_string(&report.what, "wrong release: the block came from ");
    neb_text_string(&report.what, neb_family_name(neb_block_of(cell).family));
    report_end(&report, true);
}

void neb_report_size(const char *call, const void *p, const struct cell *cell, size_t stated)
{
    struct report report;
    report_begin(&report, "size-mismatch", cell, NULL);
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
    report_begin(&report, "alignment-mismatch", cell, NULL);
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
    report_begin(&report, freed ? "heap-use-after-free" : before ? "heap-buffer-underflow" : "heap-buffer-overflow", cell, NULL);
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
    report_begin(&report, "heap-use-after-free", NULL, NULL);
    frames_drop_until(&report, fault->instruction);
    say_call(&report, neb_signal_access_name(fault), fault->address);
    neb_text_string(&report.what, what);
    report_end(&report, true);
}

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
    report_begin(report, "memory-leak", &leak->sample, NULL);
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
    if (as_json) {
        say_json_number(line, "{\"summary\":\"memory-leak\",\"process\":", neb_os_inspected());
        neb_text_string(line, ",");
        say_json_leak(line, sum);
        say_json_number(line, ",\"threads_unasked\":", unasked);
        neb_text_string(line, "}");
        line_end(report);
        return;
    }
    neb_text_string(line, "nebmalloc: lost: ");
    say_lost(line, sum);
    line_end(report);
    if (unasked == 0)
        return;
    neb_text_string(line, "nebmalloc: threads that block every signal: ");
    neb_text_decimal(line, unasked);
    neb_text_string(line, "; what only their registers point to looks lost");
    line_end(report);
}

/* False: it could not all be written. said: whether there was anything to say. */
static bool say_leaks(const struct leak *leaks, size_t count, size_t unasked, int to, bool *said)
{
    struct report report;
    struct leak sum = {.blocks = 0};
    report.is_cut = *said = false;
    for (size_t i = 0; i < count && !report.is_cut; i++) {
        leak_begin(&report, &leaks[i]);
        if (is_suppressed(&report))
            continue;
        leak_add(&sum, &leaks[i]);
        say(&report, to);
        *said = true;
    }
    if (*said && !report.is_cut)
        say_sum(&report, &sum, unasked);
    return !report.is_cut;
}

bool neb_report_leaks(const struct leak *leaks, size_t count, size_t unasked)
{
    struct os_filter filter;
    bool said;
    if (!POLICY_STACKS || !lines_begin(&filter) || !lines_end(&filter, say_leaks(leaks, count, unasked, filter.into, &said)))
        (void)say_leaks(leaks, count, unasked, output(), &said);
    return said;
}
