/* recorder.c - see recorder.h. */
#include "front/recorder.h"

#include "base/fmt.h"
#include "front/naming.h"
#include "front/stats.h"
#include "front/summary.h"
#include "os/clock.h"
#include "os/env.h"
#include "os/file.h"
#include "os/lock.h"
#include "os/process.h"
#include "os/thread.h"
#include "os/vm.h"
#include "os/worker.h"
#include "trace/depot.h"
#include "trace/lane.h"
#include "trace/output.h"
#include "trace/record.h"
#include "unwind/rule.h"
#include "trace/site.h"
#include "trace/state.h"
#include <string.h>

enum { LOOK_CALLS = 16, LOOK_MS = 200, GENERATION_MS = 100, NAMES_TRIED = 1000 };

struct settings {
    uint32_t mode;
    uint64_t sample_bytes, depth;
    bool follows_children;
    char pattern[OS_PATH_BYTES];
};

static struct lock recorder_lock;
static struct settings settings;      /* as the environment has them */
static struct settings running;       /* of the session; recorder_lock */
static bool is_initialised;
static bool worker_runs;              /* recorder_lock */
static bool is_mode_on;               /* a session is open, whether it still records or the disk is full; recorder_lock */
static uint32_t session_last;         /* recorder_lock */
static uint64_t generation_last;      /* never goes back, though the page with the state is wiped; recorder_lock */
static uint64_t dumps;                /* recorder_lock */
static _Atomic bool dump_is_wanted;   /* by a signal */
static struct os_identity identity;   /* recorder_lock; too large for small stacks */
static char reply_text[NBT_REPLY_BYTES]; /* recorder_lock */

static struct trace_state *state(void)
{
    return &neb_trace_page.state;
}

static void answer(const char *what)
{
    struct text text = neb_text_in(reply_text, sizeof reply_text);
    neb_text_string(&text, what);
}

/* ---- what the file begins with --------------------------------------------------------------------------------------------- */

/* Whether a file that is in the way may be replaced: not one that a living process writes, and not one that this
 * process wrote before it executed another program. */
static bool may_replace(const char *path)
{
    static struct nbt_file head; /* recorder_lock */
    if (neb_file_peek(path, &head, sizeof head) < (ptrdiff_t)offsetof(struct nbt_file, reserved0) ||
        memcmp(head.magic, NBT_MAGIC, sizeof head.magic) != 0)
        return true;
    return head.state != NBT_RUNNING || (head.pid != identity.process && !neb_os_process_lives(head.pid));
}

/* Opens the file under its name, or under one with a number if that is somebody's. 0, or an errno value. */
static int open_named(const char *name, const struct nbt_file *first)
{
    static char numbered[OS_PATH_BYTES]; /* recorder_lock */
    const char *path = name;
    for (uint64_t number = 2; number < NAMES_TRIED; number++) {
        int error = neb_output_open(path, first);
        if (error != OS_EXISTS)
            return error;
        if (may_replace(path)) {
            if (!neb_file_remove(path))
                return OS_EXISTS;
            error = neb_output_open(path, first);
            if (error != OS_EXISTS)
                return error;
        }
        if (!neb_naming_number(name, "", number, numbered, sizeof numbered))
            return OS_EXISTS;
        path = numbered;
    }
    return OS_EXISTS;
}

static void head_make(struct nbt_file *head)
{
    memset(head, 0, sizeof *head);
    head->major = NBT_MAJOR;
    head->minor = NBT_MINOR;
    head->state = NBT_RUNNING;
    head->mode = running.mode;
    head->pid = (uint32_t)identity.process;
    head->start_ns = atomic_load_explicit(&state()->start_ns, memory_order_relaxed);
    head->start_unix_ns = neb_clock_unix_ns();
    head->sample_bytes = running.mode == NBT_MODE_SAMPLE ? running.sample_bytes : 0;
}

/* The file is there, the mode not yet on. 0, or an errno value. */
static int file_open(const char *parent_file)
{
    static struct nbt_file head; /* recorder_lock */
    static char name[OS_PATH_BYTES];
    neb_os_identity(&identity);
    if (!neb_naming_expand(running.pattern, identity.executable, identity.process, name, sizeof name)) {
        neb_os_complain("NEBMALLOC: out: in the name of a file, %e, %p and %% are accepted, and 1,023 bytes; nothing is recorded");
        return OS_NAME_TOO_LONG;
    }
    atomic_store_explicit(&state()->start_ns, neb_clock_ns(), memory_order_relaxed); /* the mode publishes it: T1 */
    atomic_store_explicit(&state()->now_ns, 0, memory_order_relaxed);
    head_make(&head);
    int error = open_named(name, &head);
    if (error != 0)
        neb_os_complain_file(name, error, "; nothing is recorded");
    else
        neb_summary_begin(&identity, &(struct summary_settings){running.mode, running.sample_bytes, running.depth, parent_file});
    return error;
}

/* ---- sessions: recorder_lock is held ---------------------------------------------------------------------------------- */

static void worker_body(void);

static void mode_begin(void)
{
    struct trace_state *now = state();
    session_last = session_last % 255 + 1;
    atomic_store_explicit(&now->session, session_last, memory_order_relaxed); /* the mode publishes all: T1 */
    atomic_store_explicit(&now->generation, ++generation_last, memory_order_relaxed);
    atomic_store_explicit(&now->epoch, 1, memory_order_relaxed);
    atomic_store_explicit(&now->depth, (uint32_t)running.depth, memory_order_relaxed);
    atomic_store_explicit(&now->sample_bytes, running.sample_bytes, memory_order_relaxed);
    atomic_store_explicit(&now->untracked_frees, 0, memory_order_relaxed);
    neb_record_begin();
    neb_depot_begin();
    neb_lanes_begin();
    if (running.mode != NBT_MODE_TRACE)
        neb_sites_begin();
    is_mode_on = true;
    trace_mode_set(neb_output_error() == 0 ? running.mode : NBT_MODE_OFF);
}

static void worker_ensure(void)
{
    if (!worker_runs)
        worker_runs = neb_worker_start(worker_body); /* refused: no control channel, and times that only events refresh */
}

static bool session_start(const char *parent_file)
{
    if (is_mode_on) {
        answer("a mode is on already; stop it first");
        return false;
    }
    if (neb_output_is_open()) /* it was opened to be ready: the mode has a file of its own */
        neb_output_close(NBT_CLOSED);
    if (file_open(parent_file) != 0) {
        answer("the file cannot be written");
        return false;
    }
    (void)neb_os_barrier_all_init(); /* while there is one thread: with two the kernel waits for all processors, some 10 ms */
    worker_ensure(); /* before the mode is on: what starting a thread allocates is not the program's */
    mode_begin();
    return true;
}

/* Completes the file. Nobody records any more: by the mode, or because the disk is full. */
static void session_stop(void)
{
    if (!is_mode_on)
        return;
    bool was_full = neb_output_error() != 0;
    trace_mode_set(NBT_MODE_OFF); /* waiting orders it: A1 */
    bool is_quiet = neb_lanes_wait();
    is_mode_on = false;
    neb_summary_refresh();
    neb_summary_classes(NBT_AT_EXIT);
    neb_summary_finish();
    neb_lanes_finish(is_quiet);
    neb_depot_finish();
    neb_sites_finish(is_quiet);
    neb_output_close(was_full ? NBT_FULL : NBT_CLOSED);
}

/* ---- orders ------------------------------------------------------------------------------------------------------------------ */

/* From what was parsed last. */
static void settings_from(const uint64_t values[OPTION_COUNT], struct settings *into)
{
    into->mode = (uint32_t)values[OPTION_mode];
    into->sample_bytes = values[OPTION_sample_rate];
    into->depth = values[OPTION_depth];
    into->follows_children = values[OPTION_children] != 0;
    const char *out = neb_config_text(TEXT_OPTION_out);
    if (out == NULL)
        out = NAMING_DEFAULT;
    _Static_assert(sizeof into->pattern >= TEXT_OPTION_BYTES, "whatever was parsed fits");
    memcpy(into->pattern, out, strlen(out) + 1);
}

static bool order_start(const char *text)
{
    static struct settings wanted; /* recorder_lock */
    uint64_t values[OPTION_COUNT];
    neb_config_parse(text, values);
    if (values[OPTION_mode] == NBT_MODE_OFF)
        values[OPTION_mode] = NBT_MODE_PROFILE;
    settings_from(values, &wanted);
    if (neb_config_text(TEXT_OPTION_out) == NULL)
        memcpy(wanted.pattern, settings.pattern, sizeof wanted.pattern);
    if (is_mode_on) {
        answer("a mode is on already; stop it first");
        return false;
    }
    running = wanted;
    bool started = session_start(NULL);
    if (started)
        answer(neb_output_path());
    return started;
}

static bool order_dump(void)
{
    static char path[OS_PATH_BYTES]; /* recorder_lock */
    int error = OS_EXISTS;
    if (!is_mode_on) {
        answer("no mode is on: there is nothing to dump");
        return false;
    }
    neb_summary_refresh();
    neb_summary_classes(NBT_AT_DUMP);
    while (error == OS_EXISTS && ++dumps < NAMES_TRIED) {
        if (!neb_naming_number(neb_output_path(), "dump", dumps, path, sizeof path))
            break;
        error = neb_output_copy(path);
    }
    if (error != 0) {
        neb_os_complain_file(path, error, "; no dump was made");
        answer("the dump cannot be written");
        return false;
    }
    answer(path);
    return true;
}

static bool order_stop(void)
{
    if (!is_mode_on) {
        answer("no mode is on");
        return false;
    }
    answer(neb_output_path());
    session_stop();
    return true;
}

static bool order_obey(uint32_t command, const char *text)
{
    reply_text[0] = '\0';
    switch (command) {
    case NBT_COMMAND_START:
        return order_start(text);
    case NBT_COMMAND_STOP:
        return order_stop();
    case NBT_COMMAND_DUMP:
    case NBT_COMMAND_LEAKS:
        return order_dump();
    case NBT_COMMAND_STATS:
        neb_summary_refresh();
        neb_summary_text(reply_text, sizeof reply_text);
        return true;
    case NBT_COMMAND_MARK:
        if (is_mode_on && neb_lanes_mark(text))
            return true;
        answer("no mode is on: there is no file to mark");
        return false;
    default:
        answer("this library does not know the command");
        return false;
    }
}

/* A start or stop changes the file, so that the answer goes to the page of the one that was asked. */
static void channel_serve(void)
{
    static char text[NBT_TEXT_BYTES]; /* recorder_lock */
    struct nbt_file *page = neb_output_first();
    uint32_t request = __atomic_load_n(&page->request, __ATOMIC_ACQUIRE);
    if (request == page->reply)
        return;
    memcpy(text, page->text, sizeof text);
    text[sizeof text - 1] = '\0';
    uint32_t command = page->command;
    neb_output_hold_first();
    bool obeyed = order_obey(command, text);
    struct text reply = neb_text_in((char *)page->answer, sizeof page->answer);
    neb_text_string(&reply, reply_text);
    page->status = obeyed ? NBT_STATUS_OK : NBT_STATUS_REFUSED;
    __atomic_store_n(&page->reply, request, __ATOMIC_RELEASE);
    neb_output_let_go(page);
}

/* ---- the thread ---------------------------------------------------------------------------------------------------------------- */

/* One look; false: no file is open, and the thread ends. */
static bool worker_look(void)
{
    neb_lock_take(&recorder_lock);
    if (neb_output_is_open() && is_mode_on && neb_output_error() != 0)
        session_stop();
    if (!neb_output_is_open()) {
        worker_runs = false;
        neb_lock_give(&recorder_lock);
        return false;
    }
    if (is_mode_on)
        neb_summary_pulse();
    channel_serve();
    if (atomic_exchange_explicit(&dump_is_wanted, false, memory_order_relaxed))
        (void)order_dump();
    bool goes_on = neb_output_is_open();
    worker_runs = goes_on;
    neb_lock_give(&recorder_lock);
    return goes_on;
}

/* Not under the lock: the loader's may be held by a thread that ends the process, and waits for ours. */
static void generation_look(uint64_t *known)
{
    uint64_t now = neb_os_modules_generation();
    if (now == *known)
        return;
    *known = now;
    neb_rules_forget();
    neb_lock_take(&recorder_lock);
    atomic_store_explicit(&state()->generation, ++generation_last, memory_order_relaxed); /* a hint */
    neb_lock_give(&recorder_lock);
}

static void worker_body(void)
{
    uint64_t known = neb_os_modules_generation();
    for (unsigned look = 1; worker_look(); look++) {
        neb_os_sleep_ms(WORKER_MS);
        if (look % (GENERATION_MS / WORKER_MS) == 0)
            generation_look(&known);
    }
}

static void on_dump_signal(int number)
{
    (void)number;
    atomic_store_explicit(&dump_is_wanted, true, memory_order_relaxed); /* the thread looks at it */
}

/* ---- from outside ------------------------------------------------------------------------------------------------------------------ */

void neb_recorder_init(const uint64_t values[OPTION_COUNT])
{
    settings_from(values, &settings);
    is_initialised = true;
    (void)neb_os_modules_init();
    (void)neb_os_wipe_on_fork(&neb_trace_page, sizeof neb_trace_page);
    neb_thread_watch_last(neb_lane_end);
    if (values[OPTION_dump_signal] != 0 && !neb_os_on_signal((int)values[OPTION_dump_signal], on_dump_signal))
        neb_os_complain("NEBMALLOC: dump_signal: this signal is in use or cannot be caught");
    neb_lock_take(&recorder_lock);
    running = settings;
    bool elsewhere = values[OPTION_pid] != 0 && values[OPTION_pid] != neb_os_process_id();
    if (settings.mode != NBT_MODE_OFF && !elsewhere) {
        (void)session_start(NULL);
    } else if (values[OPTION_ctl] != 0 && file_open(NULL) == 0) {
        worker_ensure();
    }
    neb_lock_give(&recorder_lock);
}

void neb_recorder_exit(void)
{
    if (!is_initialised)
        return;
    neb_lock_take(&recorder_lock);
    if (is_mode_on)
        session_stop();
    else if (neb_output_is_open())
        neb_output_close(NBT_CLOSED);
    is_initialised = false; /* nobody asks any more */
    neb_lock_give(&recorder_lock);
}

void neb_recorder_child(void)
{
    static char parent_file[OS_PATH_BYTES];
    bool was_open = neb_output_is_open(), was_on = is_mode_on;
    if (!is_initialised)
        return;
    neb_lock_reset(&recorder_lock);
    worker_runs = false;
    is_mode_on = false;
    dumps = 0;
    memset(&neb_trace_page.state, 0, sizeof neb_trace_page.state); /* where the kernel did not */
    trace_mode_set(NBT_MODE_OFF);
    neb_lanes_forget();
    if (!was_open)
        return;
    memcpy(parent_file, neb_output_path(), sizeof parent_file);
    neb_depot_forget();
    neb_sites_forget();
    neb_summary_forget();
    neb_output_forget();
    if (was_on && running.follows_children) {
        neb_lock_take(&recorder_lock);
        (void)session_start(parent_file);
        neb_lock_give(&recorder_lock);
    }
}

/* The thread that comes at the right moment looks; a folder that is not there costs it a microsecond. */
static NEB_COLD void request_look(void)
{
    static char text[NBT_TEXT_BYTES], path[64], folder[64];
    struct text name = neb_text_in(folder, sizeof folder);
    if (!neb_lock_try(&recorder_lock))
        return;
    neb_text_string(&name, "/tmp/nebmalloc-");
    neb_text_decimal(&name, neb_os_user());
    name = neb_text_in(path, sizeof path);
    neb_text_string(&name, folder);
    neb_text_string(&name, "/");
    neb_text_decimal(&name, neb_os_process_id());
    neb_text_string(&name, ".start");
    if (is_initialised && !neb_output_is_open() && neb_file_take_request(folder, path, text, sizeof text) >= 0 && !order_start(text))
        neb_os_complain(reply_text);
    neb_lock_give(&recorder_lock);
}

void neb_recorder_look(void)
{
    static _Atomic uint32_t calls, looked_ms;
    if (atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) % LOOK_CALLS != 0 || trace_is_on()) /* a count */
        return;
    uint32_t now = neb_clock_ms(), before = atomic_load_explicit(&looked_ms, memory_order_relaxed);
    if (now - before >= LOOK_MS &&
        atomic_compare_exchange_strong_explicit(&looked_ms, &before, now, memory_order_relaxed, memory_order_relaxed))
        request_look();
}
