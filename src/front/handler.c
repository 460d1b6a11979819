/* handler.c - see handler.h.
 *
 * Sync  a table entry is one function pointer: its target is code, there is nothing else to publish */
#include "front/handler.h"

#include "base/ptr.h"
#include "heap/emergency.h"
#include "heap/heap.h"
#include <errno.h>

typedef void plain_handler(int);
typedef void informed_handler(int, siginfo_t *, void *);

NEB_SPARSE static _Atomic(plain_handler *) plain[SIGNAL_COUNT];
NEB_SPARSE static _Atomic(informed_handler *) informed[SIGNAL_COUNT];
static _Atomic bool once_is_plain[SIGNAL_COUNT]; /* what the last one that is called once was */
static bool is_wanted = true;
static void (*fault_look)(const struct os_fault *fault); /* NULL: nobody looks; written before there are threads */

/* ---- called by the kernel ---------------------------------------------------------------------------------------------- */

enum kind { PLAIN, INFORMED };

static bool is_watched(int number)
{
    return fault_look != NULL && (number == SIGSEGV || number == SIGBUS);
}

static NEB_COLD void fault_show(const siginfo_t *info, const void *context)
{
    int saved = errno;
    struct os_fault fault = neb_signal_fault(info, context);
    fault_look(&fault);
    errno = saved;
}

/* The program has no handler. */
static void handle_fault(int number, siginfo_t *info, void *context)
{
    fault_show(info, context);
    neb_signal_end_by_default(number, info);
}

static void program_handle(enum kind kind, int number, siginfo_t *info, void *context)
{
    if (kind == PLAIN)
        atomic_load_explicit(&plain[number], memory_order_relaxed)(number);
    else
        atomic_load_explicit(&informed[number], memory_order_relaxed)(number, info, context);
}

/* A handler that is called once is not put off: the kernel has forgotten it by now. */
static NEB_NOINLINE void handle(enum kind kind, bool is_once, int number, siginfo_t *info, void *context)
{
    struct interruption interruption;
    if (NEB_UNLIKELY(is_watched(number)))
        fault_show(info, context);
    if (neb_hold.locks != 0 && !is_once && neb_signal_defer(number, info, context))
        return;
    bool is_interruption = neb_heap_interrupt(&interruption, context, ptr_address(__builtin_frame_address(0)));
    program_handle(kind, number, info, context);
    if (is_interruption)
        neb_heap_resume(&interruption);
}

static void handle_plain(int number, siginfo_t *info, void *context)
{
    handle(PLAIN, false, number, info, context);
}

static void handle_plain_once(int number, siginfo_t *info, void *context)
{
    handle(PLAIN, true, number, info, context);
}

static void handle_informed(int number, siginfo_t *info, void *context)
{
    handle(INFORMED, false, number, info, context);
}

static void handle_informed_once(int number, siginfo_t *info, void *context)
{
    handle(INFORMED, true, number, info, context);
}

/* ---- called by the program --------------------------------------------------------------------------------------------- */

static bool is_ours(const struct sigaction *action, enum kind *kind)
{
    informed_handler *handler = action->sa_sigaction;
    *kind = handler == handle_plain || handler == handle_plain_once ? PLAIN : INFORMED;
    return *kind == PLAIN || handler == handle_informed || handler == handle_informed_once;
}

static bool is_to_be_wrapped(int number, const struct sigaction *action)
{
    enum kind kind;
    bool is_function = action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN;
    return is_wanted && number > 0 && number < SIGNAL_COUNT && is_function && !is_ours(action, &kind);
}

/* What the program knows of an action of ours. */
static void unwrap(int number, struct sigaction *action)
{
    enum kind kind;
    if (action->sa_sigaction == handle_fault) {
        action->sa_handler = SIG_DFL;
        action->sa_flags = 0;
        return;
    }
    if (!is_ours(action, &kind)) {
        bool was_called = action->sa_handler == SIG_DFL && (action->sa_flags & (int)SA_RESETHAND) != 0;
        if (was_called && atomic_load_explicit(&once_is_plain[number], memory_order_relaxed))
            action->sa_flags &= ~SA_SIGINFO;
        return;
    }
    if (kind == PLAIN) {
        action->sa_flags &= ~SA_SIGINFO;
        action->sa_handler = atomic_load_explicit(&plain[number], memory_order_relaxed);
    } else {
        action->sa_sigaction = atomic_load_explicit(&informed[number], memory_order_relaxed);
    }
}

static struct sigaction wrapping(const struct sigaction *action, enum kind kind)
{
    bool is_once = (action->sa_flags & (int)SA_RESETHAND) != 0;
    struct sigaction ours = *action;
    ours.sa_flags |= SA_SIGINFO;
    if (kind == PLAIN)
        ours.sa_sigaction = is_once ? handle_plain_once : handle_plain;
    else
        ours.sa_sigaction = is_once ? handle_informed_once : handle_informed;
    return ours;
}

/* The table first: a signal that comes in between finds the new handler, as if it had come a little later. */
static int install(int number, const struct sigaction *action, struct sigaction *old)
{
    enum kind kind = (action->sa_flags & SA_SIGINFO) != 0 ? INFORMED : PLAIN;
    struct sigaction ours = wrapping(action, kind), before;
    if (neb_os_sigaction(number, NULL, &before) != 0)
        return -1;
    unwrap(number, &before);
    if (neb_hold.locks == 0)
        neb_emergency_prepare();
    atomic_store_explicit(&once_is_plain[number], kind == PLAIN, memory_order_relaxed);
    if (kind == PLAIN)
        atomic_store_explicit(&plain[number], action->sa_handler, memory_order_relaxed);
    else
        atomic_store_explicit(&informed[number], action->sa_sigaction, memory_order_relaxed);
    int answer = neb_os_sigaction(number, &ours, NULL);
    if (answer == 0 && old != NULL)
        *old = before;
    return answer;
}

/* Instead of SIG_DFL, where faults are looked at. */
static struct sigaction watching(const struct sigaction *action)
{
    struct sigaction ours = *action;
    ours.sa_sigaction = handle_fault;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    return ours;
}

int neb_handler_action(int number, const struct sigaction *action, struct sigaction *old)
{
    struct sigaction ours;
    if (action != NULL && is_watched(number) && action->sa_handler == SIG_DFL) {
        ours = watching(action);
        action = &ours;
    } else if (action != NULL && is_to_be_wrapped(number, action)) {
        return install(number, action, old);
    }
    int answer = neb_os_sigaction(number, action, old);
    if (answer == 0 && old != NULL)
        unwrap(number, old);
    return answer;
}

NEB_COMMON void neb_handler_set_wanted(bool wanted)
{
    is_wanted = wanted;
}

/* A handler or SIG_IGN that was there before stays: the program that executed this one, or another library, wanted it. */
void neb_handler_watch_faults(void (*look)(const struct os_fault *fault))
{
    static const int numbers[] = {SIGSEGV, SIGBUS};
    struct sigaction now = {.sa_handler = SIG_DFL}; /* MemorySanitizer does not know that __sigaction writes it */
    fault_look = look;
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (neb_handler_action(numbers[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
            (void)neb_handler_action(numbers[i], &now, NULL);
}
