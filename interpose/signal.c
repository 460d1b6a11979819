/* signal.c - the functions that install signal handlers: the heap learns when a handler runs (front/handler.h).
 *
 * The older ones are what glibc has for them, on top of sigaction: signal as BSD had it (the call that was interrupted is
 * begun again, unless siginterrupt said otherwise), sysv_signal as System V had it (called once, nothing blocked). */
#define _GNU_SOURCE
#include "base/attr.h"
#include "front/handler.h"
#include <errno.h>
#include <stdatomic.h>

sighandler_t bsd_signal(int number, sighandler_t handler); /* as sysv_signal is declared; this one the headers forgot */

static _Atomic uint64_t interrupting; /* signals of which siginterrupt said that they interrupt; bit number - 1 */

static bool is_number(int number)
{
    return number > 0 && number < SIGNAL_COUNT;
}

NEB_EXPORT int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
    return neb_handler_action(number, action, old);
}

static sighandler_t handler_set(int number, sighandler_t handler, int flags, bool blocks_itself)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags}, old;
    if (handler == SIG_ERR || !is_number(number)) {
        errno = EINVAL;
        return SIG_ERR;
    }
    (void)sigemptyset(&action.sa_mask);
    if (blocks_itself)
        (void)sigaddset(&action.sa_mask, number);
    return neb_handler_action(number, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

static sighandler_t handler_set_bsd(int number, sighandler_t handler)
{
    bool interrupts = is_number(number) && (atomic_load_explicit(&interrupting, memory_order_relaxed) >> (number - 1) & 1);
    return handler_set(number, handler, interrupts ? 0 : SA_RESTART, true);
}

NEB_EXPORT sighandler_t signal(int number, sighandler_t handler)
{
    return handler_set_bsd(number, handler);
}

NEB_EXPORT sighandler_t bsd_signal(int number, sighandler_t handler)
{
    return handler_set_bsd(number, handler);
}

NEB_EXPORT sighandler_t ssignal(int number, sighandler_t handler)
{
    return handler_set_bsd(number, handler);
}

NEB_EXPORT sighandler_t __sysv_signal(int number, sighandler_t handler)
{
    return handler_set(number, handler, (int)(SA_RESETHAND | SA_NODEFER), false);
}

NEB_EXPORT sighandler_t sysv_signal(int number, sighandler_t handler)
{
    return __sysv_signal(number, handler);
}

NEB_EXPORT int siginterrupt(int number, int interrupt)
{
    struct sigaction action;
    if (neb_handler_action(number, NULL, &action) != 0)
        return -1;
    uint64_t bit = UINT64_C(1) << (number - 1);
    if (interrupt != 0) {
        atomic_fetch_or_explicit(&interrupting, bit, memory_order_relaxed);
        action.sa_flags &= ~SA_RESTART;
    } else {
        atomic_fetch_and_explicit(&interrupting, ~bit, memory_order_relaxed);
        action.sa_flags |= SA_RESTART;
    }
    return neb_handler_action(number, &action, NULL);
}

/* Holds a signal, or sets its handler and lets it through; what was before, SIG_HOLD if it was held. */
NEB_EXPORT sighandler_t sigset(int number, sighandler_t handler)
{
    struct sigaction action = {.sa_handler = handler}, old;
    sigset_t set, before;
    bool holds = handler == SIG_HOLD;
    if (!is_number(number)) {
        errno = EINVAL;
        return SIG_ERR;
    }
    (void)sigemptyset(&action.sa_mask);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, number);
    if (holds && sigprocmask(SIG_BLOCK, &set, &before) != 0)
        return SIG_ERR;
    if (neb_handler_action(number, holds ? NULL : &action, &old) != 0)
        return SIG_ERR;
    if (!holds && sigprocmask(SIG_UNBLOCK, &set, &before) != 0)
        return SIG_ERR;
    return sigismember(&before, number) ? SIG_HOLD : old.sa_handler;
}
