/* saying.c - see saying.h. */
#include "check/saying.h"

#include "base/ptr.h"
#include "check/block.h"
#include "check/stacks.h"
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

static bool as_json;
static int file = -1; /* of the option report; -1: stderr */
static struct os_kept kept = OS_KEPT_NONE;
NEB_SPARSE static struct os_image here;  /* this library, whose frames say nothing */
static char symbolizer[1024]; /* "": nobody */

/* ---- one line at a time ------------------------------------------------------------------------------------------------ */

static void out(struct report *report)
{
    report->is_cut = report->is_cut || !neb_os_write_all(report->to, report->line.data, report->line.length);
    report->line = neb_text_in(report->buffer, sizeof report->buffer);
}

void neb_report_line_end(struct report *report)
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
    neb_report_line_end(report);
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
    neb_report_line_end(report);
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
    static const char *const states[] = {"never handed out", "in use", "freed, in quarantine", "freed, in quarantine", "freed, and given back"};
    struct block block = neb_block_of(report->cell);
    neb_text_string(&report->line, "  block at ");
    neb_text_hex(&report->line, ptr_address(block.begin));
    neb_text_string(&report->line, " of ");
    neb_text_decimal(&report->line, block.size);
    neb_text_string(&report->line, " bytes, from ");
    neb_text_string(&report->line, neb_family_name(block.family));
    neb_text_string(&report->line, ": ");
    neb_text_string(&report->line, states[block.state]);
    neb_report_line_end(report);
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
    neb_report_line_end(report);
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
    neb_report_line_end(report);
    for (int i = 0; i < ROWS_BEFORE + ROWS_AFTER && row < end; i++, row += ROW_BYTES)
        say_row(report, &block, row, end);
}

/* ---- the whole ---------------------------------------------------------------------------------------------------------------- */

struct call {
    uint32_t thread;
    const uintptr_t *pcs;
    int count;
};

static struct call call_of(const _Atomic uint16_t *thread, const _Atomic uint32_t *stack)
{
    struct call call = {neb_thread_number_id(atomic_load_explicit(thread, memory_order_relaxed)), NULL, 0};
    call.count = neb_stacks_get(atomic_load_explicit(stack, memory_order_relaxed), &call.pcs);
    return call;
}

static struct call call_that_made(const struct cell *cell)
{
    const struct cell_origin *origin = cell_origin(cell);
    return call_of(&origin->alloc_thread, &origin->alloc_stack);
}

static struct call call_that_freed(const struct cell *cell)
{
    const struct cell_origin *origin = cell_origin(cell);
    return call_of(&origin->free_thread, &origin->free_stack);
}

static void say_text(struct report *report)
{
    neb_text_string(&report->line, "nebmalloc: ERROR: ");
    neb_text_string(&report->line, report->kind);
    neb_text_string(&report->line, " ");
    neb_text_string(&report->line, report->what.data);
    neb_report_line_end(report);
    if (report->cell != NULL)
        say_block(report);
    if (report->count > 0)
        say_stack(report, "this call", neb_os_thread_id(), report->pcs, report->count);
    if (report->cell == NULL)
        return;
    struct call made = call_that_made(report->cell);
    say_stack(report, "allocated", made.thread, made.pcs, made.count);
    if (neb_block_of(report->cell).state != RECORD_LIVE) {
        struct call freed = call_that_freed(report->cell);
        say_stack(report, "freed", freed.thread, freed.pcs, freed.count);
    }
    say_bytes(report);
}

void neb_report_json_number(struct text *text, const char *name, uint64_t value)
{
    neb_text_string(text, name);
    neb_text_decimal(text, value);
}

void neb_report_json_leak(struct text *text, const struct leak *leak)
{
    neb_report_json_number(text, "\"blocks\":", leak->blocks);
    neb_report_json_number(text, ",\"bytes\":", leak->bytes);
    neb_report_json_number(text, ",\"carried_blocks\":", leak->carried_blocks);
    neb_report_json_number(text, ",\"carried_bytes\":", leak->carried_bytes);
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
        neb_report_json_leak(&report->line, report->leak);
        neb_text_string(&report->line, "}");
    }
    out(report);
    if (report->leak == NULL)
        say_json_stack(report, "call", neb_os_thread_id(), report->pcs, report->count);
    if (report->cell != NULL) {
        struct block block = neb_block_of(report->cell);
        struct call made = call_that_made(report->cell);
        neb_text_string(&report->line, ",\"block\":{\"address\":");
        neb_text_decimal(&report->line, ptr_address(block.begin));
        neb_text_string(&report->line, ",\"size\":");
        neb_text_decimal(&report->line, block.size);
        neb_text_string(&report->line, ",\"from\":");
        say_quoted(&report->line, neb_family_name(block.family));
        neb_text_string(&report->line, block.state == RECORD_LIVE ? ",\"freed\":false}" : ",\"freed\":true}");
        say_json_stack(report, "allocated", made.thread, made.pcs, made.count);
        if (block.state != RECORD_LIVE) {
            struct call freed = call_that_freed(report->cell);
            say_json_stack(report, "freed", freed.thread, freed.pcs, freed.count);
        }
    }
    neb_text_string(&report->line, "}\n");
    out(report);
}

void neb_report_say(struct report *report, int to)
{
    report->to = to;
    report->is_cut = false;
    if (as_json)
        say_json(report);
    else
        say_text(report);
}

/* ---- where it goes ----------------------------------------------------------------------------------------------------------- */

static int output(void)
{
    return file >= 0 ? file : neb_os_kept(&kept);
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

void neb_report_write(bool (*say)(void *argument, int to), void *argument)
{
    struct os_filter filter;
    if (!POLICY_STACKS || !lines_begin(&filter) || !lines_end(&filter, say(argument, filter.into)))
        (void)say(argument, output());
}

bool neb_report_is_json(void)
{
    return as_json;
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

void neb_saying_init(const struct report_options *options)
{
    as_json = options->json;
    (void)neb_os_image_of((uintptr_t)neb_saying_init, &here);
    if (options->file != NULL) {
        file = neb_os_open_append(options->file);
        if (file < 0)
            neb_os_complain("NEBMALLOC: report: the file cannot be opened for writing; using stderr");
    }
    if (file < 0)
        neb_os_keep_stderr(&kept);
    if (POLICY_STACKS)
        symbolizer_choose(options->symbolizer);
}

void neb_saying_child(void)
{
    neb_os_kept_child(&kept);
}
