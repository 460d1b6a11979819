/* snapshot.c - see snapshot.h.
 *
 * Sync  N1: a thread's entry is written before it stands in the list; who copies reads the list and the count after
 *       N2: is_over is set when the copy is made; an entry is on its thread's stack until that thread saw it */
#define _GNU_SOURCE
#include "os/snapshot.h"

#include "base/attr.h"
#include "base/fmt.h"
#include "base/ptr.h"
#include "os/call.h"
#include "os/env.h"
#include "os/inspect.h"
#include "os/process.h"
#include "os/signal.h"
#include "os/thread.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_NS = 1000000000, STEP_NS = 200000, RED_ZONE_BYTES = 128 };

static _Atomic(struct os_standing *) list;
static _Atomic size_t standing_count;
static _Atomic bool is_over;

static void nap(void)
{
    const struct timespec step = {0, STEP_NS};
    (void)call_nanosleep(&step, NULL);
}

/* In each other thread. Late ones, whose signal was blocked, find that it is over. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    struct os_standing own = {NULL, neb_os_thread_id(), neb_signal_sp(context) - RED_ZONE_BYTES, ptr_address(__builtin_frame_address(0))};
    struct os_standing *first = atomic_load_explicit(&list, memory_order_relaxed);
    (void)number;
    (void)info;
    if (!atomic_load_explicit(&is_over, memory_order_acquire)) { /* N2 */
        do
            own.next = first;
        while (!atomic_compare_exchange_weak_explicit(&list, &first, &own, memory_order_release, memory_order_relaxed)); /* N1 */
        atomic_fetch_add_explicit(&standing_count, 1, memory_order_release);                                             /* N1 */
    }
    while (!atomic_load_explicit(&is_over, memory_order_acquire)) /* N2 */
        nap();
    errno = saved;
}

/* The last signal that nobody uses; 0: there is none. It stays ours: a thread may get it when it unblocks it. */
static int signal_take(void)
{
    for (int number = SIGNAL_COUNT - 1; number >= SIGRTMIN; number--) {
        struct sigaction now, wanted;
        if (neb_os_sigaction(number, NULL, &now) != 0 || (now.sa_flags & SA_SIGINFO) != 0 || now.sa_handler != SIG_DFL)
            continue;
        memset(&wanted, 0, sizeof wanted);
        wanted.sa_sigaction = on_signal;
        wanted.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
        (void)sigfillset(&wanted.sa_mask);
        return neb_os_sigaction(number, &wanted, NULL) == 0 ? number : 0;
    }
    return 0;
}

static bool stands(uint32_t thread)
{
    const struct os_standing *entry = atomic_load_explicit(&list, memory_order_acquire); /* N1 */
    while (entry != NULL && entry->thread != thread)
        entry = entry->next;
    return entry != NULL;
}

/* A thread that ended before the others is listed until they do. "number (name) state ..." */
static bool is_gone(uint32_t thread)
{
    char path[64], text[128];
    struct text name = neb_text_in(path, sizeof path);
    neb_text_string(&name, "/proc/self/task/");
    neb_text_decimal(&name, thread);
    neb_text_string(&name, "/stat");
    ptrdiff_t count = neb_os_read_file(path, text, sizeof text - 1);
    text[count < 0 ? 0 : count] = '\0';
    const char *state = strrchr(text, ')');
    return state == NULL || strncmp(state, ") Z", 3) == 0 || strncmp(state, ") X", 3) == 0;
}

/* Asks every thread that does not stand yet; how many those were. */
static size_t ask_all(int number)
{
    enum { NAME_OFFSET = 19 }; /* of struct linux_dirent64: inode, offset, length of the entry, type, name */
    _Alignas(8) char entries[4096];
    size_t asked = 0;
    long count;
    int folder = call_open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    while (folder >= 0 && (count = syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0) {
        for (const char *at = entries; at < entries + count;) {
            uint16_t length;
            uint32_t thread = 0;
            memcpy(&length, at + 16, sizeof length);
            for (const char *digit = at + NAME_OFFSET; *digit >= '0' && *digit <= '9'; digit++)
                thread = thread * 10 + (uint32_t)(*digit - '0');
            at += length;
            if (thread != 0 && !stands(thread) && !is_gone(thread) && syscall(SYS_tgkill, getpid(), thread, number) == 0)
                asked++;
        }
    }
    if (folder >= 0)
        (void)call_close(folder);
    return asked;
}

/* Threads may be made while others are asked: until all that are there stand, or time is up. How many do not. */
static size_t stop_others(int number)
{
    int waited_ns = 0;
    for (;;) {
        size_t before = atomic_load_explicit(&standing_count, memory_order_acquire); /* N1 */
        size_t missing = ask_all(number);
        if (missing == 0 || waited_ns >= ANSWER_NS)
            return missing;
        while (waited_ns < ANSWER_NS && atomic_load_explicit(&standing_count, memory_order_acquire) < before + missing) {
            nap();
            waited_ns += STEP_NS;
        }
    }
}

/* Every signal is blocked: the program's handlers are not for the copy, and a fault ends it. */
static _Noreturn void copy_run(int (*look)(void *argument, const struct os_snapshot *snapshot), void *argument, size_t unasked,
                                 uint64_t process)
{
    struct os_snapshot snapshot = {atomic_load_explicit(&list, memory_order_acquire), unasked}; /* N1 */
    neb_os_inspect_for(process);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)prctl(PR_SET_DUMPABLE, 1); /* else its own memory cannot be read through /proc */
    _exit(look(argument, &snapshot));
}

static int answer_of(int child)
{
    int status = 0;
    pid_t ended;
    do
        ended = call_waitpid(child, &status, __WALL);
    while (ended < 0 && errno == EINTR);
    return ended == child && WIFEXITED(status) ? WEXITSTATUS(status) : SNAPSHOT_DIED;
}

/* Below the whole frame of the caller. */
static NEB_NOINLINE uintptr_t stack_here(void)
{
    return ptr_address(__builtin_frame_address(0));
}

/* The intrinsic puts the registers that calls preserve on the stack; in the others nobody expects anything. */
NEB_NOINLINE int neb_os_snapshot(int (*look)(void *argument, const struct os_snapshot *snapshot), void *argument)
{
    struct os_standing own = {NULL, neb_os_thread_id(), stack_here(), stack_here()};
    sigset_t all, before;
    __builtin_unwind_init();
    int number = signal_take();
    if (number == 0)
        return SNAPSHOT_REFUSED;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    atomic_store_explicit(&list, &own, memory_order_release); /* N1 */
    size_t unasked = stop_others(number);
    uint64_t process = neb_os_process_id();
    int child = neb_os_bare_fork(0);
    if (child == 0)
        copy_run(look, argument, unasked, process);
    atomic_store_explicit(&is_over, true, memory_order_release); /* N2 */
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return child < 0 ? SNAPSHOT_REFUSED : answer_of(child);
}
