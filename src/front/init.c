/* init.c - see init.h.
 *
 * The library asks to be initialised before all others (-z initfirst), so that its fork handlers are the first to be
 * registered: prepare handlers run in reverse order, so that ours takes the locks after every other one ran. */
#include "front/init.h"

#include "check/check.h"
#include "check/explain.h"
#include "check/leaks.h"
#include "check/report.h"
#include "front/alloc.h"
#include "front/config.h"
#include "front/guarding.h"
#include "front/handler.h"
#include "front/recorder.h"
#include "front/region.h"
#include "front/stats.h"
#include "heap/chunk.h"
#include "heap/heap.h"
#include "heap/large.h"
#include "heap/upkeep.h"
#include "os/env.h"
#include "os/kept.h"
#include "os/lock.h"
#include "os/process.h"
#include "os/thread.h"
#include "policy/policy.h"

static bool is_initialised; /* written before there are threads */
static uint64_t options[OPTION_COUNT];
static struct os_kept kept = OS_KEPT_NONE; /* where statistics go */

/* The handler may have interrupted the allocator, in which case the figures are not to be had now. */
static void on_stats_signal(int number)
{
    (void)number;
    if (!neb_locks_try_all()) {
        neb_os_complain("stats: the signal came in the middle of an allocation; send it again");
        return;
    }
    neb_stats_print(neb_os_kept(&kept));
    neb_locks_give_all();
}

/* Everything in the checked policy; in the others what the option harden asks for. */
static void checks_apply(void)
{
    enum { HARDEN_1 = CHECK_STATE | CHECK_LARGE, HARDEN_2 = CHECK_STATE | CHECK_CANARY | CHECK_FILL | CHECK_QUARANTINE };
    bool is_checked = POLICY_ORIGIN != 0;
    uint64_t level = options[OPTION_harden];
    if (!is_checked && level == 0)
        return;
    struct check_options check = {
        .features = is_checked ? HARDEN_2 | CHECK_ORIGIN : level == 2 ? HARDEN_2 : HARDEN_1,
        .on_error = (enum on_error)options[OPTION_on_error],
        .fill_alloc = is_checked ? (unsigned)options[OPTION_fill_alloc] : FILL_NOTHING,
        .fill_free = is_checked ? (unsigned)options[OPTION_fill_free] : 0,
        .quarantine_bytes = (size_t)options[OPTION_quarantine_kib] << 10 >> (!is_checked && level == 1 ? HARDEN_QUARANTINE_SHIFT : 0),
        .stack_depth = (unsigned)options[OPTION_stack_depth],
        .random_canaries = !is_checked,
        .watches_threads = is_checked && options[OPTION_leaks] != 0,
    };
    if (options[OPTION_zero_on_free] != 0 && !is_checked)
        check.features |= CHECK_FILL;
    neb_huge_set_keep(0); /* the quarantine keeps them, and a huge cell is as large as its block needs */
    neb_check_enable(&check);
    if (POLICY_ORIGIN && check.watches_threads)
        neb_leaks_begin();
    if (!is_checked) {
        neb_heap_harden();
        neb_chunk_harden();
    }
}

static void fault_explain(const struct os_fault *fault)
{
    const char *ended = fault->has_address ? neb_region_ended(fault->address) : NULL;
    if (ended != NULL)
        neb_report_fault_after_end(fault, ended);
    else
        neb_explain_fault(fault);
}

/* Faults are explained where blocks can be out of reach. */
static void reports_apply(bool has_guards)
{
    neb_check.on_error = (enum on_error)options[OPTION_on_error];
    if (has_guards || check_has(CHECK_QUARANTINE | CHECK_LARGE))
        neb_handler_watch_faults(fault_explain);
    if (has_guards || check_is_on())
        neb_report_init(&(struct report_options){.json = options[OPTION_json] != 0,
                                                 .file = neb_config_text(TEXT_OPTION_report),
                                                 .suppressions = neb_config_text(TEXT_OPTION_suppressions),
                                                 .symbolizer = neb_config_text(TEXT_OPTION_symbolizer)});
}

static void options_apply(void)
{
    neb_heap_set_decay((uint32_t)options[OPTION_decay_ms]);
    neb_chunk_set_huge_pages(options[OPTION_huge_pages] != 0);
    neb_huge_set_huge_pages(options[OPTION_huge_pages] != 0);
    neb_handler_set_wanted(options[OPTION_signals] != 0);
    neb_huge_set_keep((size_t)options[OPTION_huge_keep_mib] << 20);
    checks_apply();
    reports_apply(neb_guarding_apply(options));
    if (options[OPTION_stats_signal] != 0 && !neb_os_on_signal((int)options[OPTION_stats_signal], on_stats_signal))
        neb_os_complain("NEBMALLOC: stats_signal: this signal is in use or cannot be caught");
    if (!POLICY_ORIGIN && options[OPTION_leaks] != 0)
        neb_os_complain("NEBMALLOC: leaks: this library does not look for them; libnebmalloc-checked.so does");
    if (options[OPTION_stats] != 0 || options[OPTION_stats_signal] != 0)
        neb_os_keep_stderr(&kept);
}

static void fork_begin(void)
{
    neb_streams_take();
    neb_locks_take_all();
}

static void fork_end(void)
{
    neb_locks_give_all();
    neb_streams_give();
}

static void child_begin(void)
{
    neb_locks_reset_all();
    neb_streams_reset();
    neb_check_child();
    neb_report_child();
    neb_os_kept_child(&kept);
    if (POLICY_TRACE)
        neb_recorder_child();
}

static void recording_apply(void)
{
    if (POLICY_TRACE)
        neb_recorder_init(options);
    else if (options[OPTION_mode] != 0)
        neb_os_complain("NEBMALLOC: mode: this library does not record; libnebmalloc-profile.so does");
}

/* Nearly always there is no text, and the parser's pages stay untouched. */
static void options_read(const char *text)
{
    if (NEB_UNLIKELY(text != NULL))
        neb_config_parse(text, options);
    else
        config_defaults(options);
}

void neb_init(char *const *environment)
{
    if (is_initialised)
        return;
    is_initialised = true;
    neb_heap_watch_threads(true);
    neb_thread_at_fork(fork_begin, fork_end, child_begin);
    options_read(neb_env_value(environment, "NEBMALLOC"));
    options_apply();
    recording_apply();
}

bool neb_keeps_deepbind(void)
{
    return options[OPTION_deepbind] != 0;
}

/* Blocks that nothing points to any more. */
static void leaks_look(void)
{
    int status = (int)options[OPTION_leaks_status];
    if (POLICY_ORIGIN && options[OPTION_leaks] != 0 && neb_leaks_look() == LEAKS_SAID && status != 0)
        neb_os_end_exit(status);
}

void neb_exit(void)
{
    if (options[OPTION_check_exit] != 0)
        neb_verify();
    if (options[OPTION_stats] != 0)
        neb_stats_print(neb_os_kept(&kept));
    if (POLICY_TRACE)
        neb_recorder_exit();
    leaks_look();
    neb_verify_freed();
}
