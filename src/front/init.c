/* init.c - see init.h.
 *
 * The library asks to be initialised before all others (-z initfirst), so that its fork handlers are the first to be
 * registered: prepare handlers run in reverse order, so that ours takes the locks after every other one ran. */
#include "front/init.h"

#include "front/config.h"
#include "front/recorder.h"
#include "front/stats.h"
#include "heap/large.h"
#include "heap/upkeep.h"
#include "os/env.h"
#include "os/lock.h"
#include "os/thread.h"
#include "policy/policy.h"

static bool is_initialised; /* written before there are threads */
static uint64_t options[OPTION_COUNT];
static int report_descriptor = 2; /* of our own: programs close stderr before they end */

/* The handler may have interrupted the allocator, in which case the figures are not to be had now. */
static void on_stats_signal(int number)
{
    (void)number;
    if (!neb_locks_try_all()) {
        neb_os_complain("stats: the signal came in the middle of an allocation; send it again");
        return;
    }
    neb_stats_print(report_descriptor);
    neb_locks_give_all();
}

static void options_apply(void)
{
    neb_heap_set_decay((uint32_t)options[OPTION_decay_ms]);
    neb_chunk_set_huge_pages(options[OPTION_huge_pages] != 0);
    neb_huge_set_huge_pages(options[OPTION_huge_pages] != 0);
    neb_huge_set_keep((size_t)options[OPTION_huge_keep_mib] << 20);
    if (options[OPTION_stats_signal] != 0 && !neb_os_on_signal((int)options[OPTION_stats_signal], on_stats_signal))
        neb_os_complain("NEBMALLOC: stats_signal: this signal is in use or cannot be caught");
    if (options[OPTION_stats] != 0 || options[OPTION_stats_signal] != 0)
        report_descriptor = neb_os_keep_descriptor(2);
}

static void child_begin(void)
{
    neb_locks_reset_all();
    if (POLICY_TRACE)
        neb_recorder_child();
}

static void recording_apply(const char *text)
{
    if (POLICY_TRACE)
        neb_recorder_init(text, options);
    else if (options[OPTION_mode] != 0)
        neb_os_complain("NEBMALLOC: mode: this library does not record; libnebmalloc-profile.so does");
}

void neb_init(char *const *environment)
{
    if (is_initialised)
        return;
    is_initialised = true;
    const char *text = neb_env_value(environment, "NEBMALLOC");
    neb_heap_watch_threads(true);
    neb_thread_at_fork(neb_locks_take_all, neb_locks_give_all, child_begin);
    neb_config_parse(text, options);
    options_apply();
    recording_apply(text);
}

void neb_exit(void)
{
    if (options[OPTION_stats] != 0)
        neb_stats_print(report_descriptor);
    if (POLICY_TRACE)
        neb_recorder_exit();
}
