/* signal_api.c - the functions that install signal handlers answer as glibc's do: the program's own handler and flags come
 * back, one-shot handlers are one-shot, calls are begun again or interrupted, errors are errors.
 */
#include "claim.h"
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

sighandler_t bsd_signal(int number, sighandler_t handler);

static volatile sig_atomic_t plain_calls, informed_calls, informed_good;

static void plain(int number)
{
    plain_calls = plain_calls + number;
}

static void other(int number)
{
    plain_calls = plain_calls + 100 * number;
}

static void informed(int number, siginfo_t *info, void *context)
{
    informed_calls = informed_calls + 1;
    informed_good = info->si_signo == number && info->si_pid == getpid() && context != NULL;
}

static const char *name(sighandler_t handler)
{
    return handler == SIG_DFL    ? "default"
           : handler == SIG_IGN  ? "ignored"
           : handler == SIG_ERR  ? "error"
           : handler == SIG_HOLD ? "held"
           : handler == plain    ? "plain"
           : handler == other    ? "other"
                                 : "unknown";
}

static void say(const char *what, int answer, const struct sigaction *old)
{
    const char *handler = (old->sa_flags & SA_SIGINFO) == 0          ? name(old->sa_handler)
                          : old->sa_sigaction == informed            ? "informed"
                                                                     : "unknown";

    claim_is(what, "%d %s flags %x itself %d usr2 %d", answer, handler, (unsigned)old->sa_flags & ~0x04000000u,
             sigismember(&old->sa_mask, SIGUSR1), sigismember(&old->sa_mask, SIGUSR2));
}

static int set(int number, sighandler_t handler, int flags, struct sigaction *old)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGUSR2);
    return sigaction(number, &action, old);
}

static int set_informed(int number, int flags, struct sigaction *old)
{
    struct sigaction action = {.sa_sigaction = informed, .sa_flags = SA_SIGINFO | flags};

    sigemptyset(&action.sa_mask);
    return sigaction(number, &action, old);
}

/* Whether a read that a signal interrupts is begun again: a child sends the signal, then writes. */
static const char *read_is_begun_again(void)
{
    int ends[2], status;
    char byte;

    if (pipe(ends) != 0)
        return "no pipe";
    pid_t child = fork();
    if (child == 0) {
        struct timespec while_it_reads = {0, 100000000};

        nanosleep(&while_it_reads, NULL);
        kill(getppid(), SIGUSR1);
        nanosleep(&while_it_reads, NULL);
        _exit(write(ends[1], "x", 1) != 1);
    }
    ssize_t count = read(ends[0], &byte, 1);
    waitpid(child, &status, 0);
    close(ends[0]);
    close(ends[1]);
    return count == 1 ? "yes" : "no";
}

static void sigaction_answers(void)
{
    struct sigaction old, again;

    say("at first", sigaction(SIGUSR1, NULL, &old), &old);
    say("plain over the default", set(SIGUSR1, plain, SA_RESTART, &old), &old);
    say("asked", sigaction(SIGUSR1, NULL, &old), &old);
    say("informed over plain", set_informed(SIGUSR1, SA_NODEFER | SA_ONSTACK, &old), &old);
    say("ignored over informed", set(SIGUSR1, SIG_IGN, 0, &old), &old);
    say("plain over ignored", set(SIGUSR1, plain, (int)SA_RESETHAND, &old), &old);
    say("other over a plain one that is called once", set(SIGUSR1, other, 0, &old), &old);
    again = old;
    say("what was asked is set again", sigaction(SIGUSR1, &again, &old), &old);
    say("and asked", sigaction(SIGUSR1, NULL, &old), &old);
    claim_is("no such signal", "%d errno %d", set(0, plain, 0, &old), errno);
    claim_is("a signal beyond the last", "%d errno %d", set(65, plain, 0, &old), errno);
    claim_is("a negative one", "%d errno %d", set(-1, plain, 0, &old), errno);
    claim_is("SIGKILL", "%d errno %d", set(SIGKILL, plain, 0, &old), errno);
    claim_is("one of libc's own", "%d errno %d", set(32, plain, 0, &old), errno);
    say("SIGKILL, asked", sigaction(SIGKILL, NULL, &old), &old);
}

static void handlers_are_called(void)
{
    struct sigaction old;

    set(SIGUSR1, plain, 0, NULL);
    raise(SIGUSR1);
    claim_is("a plain handler got", "%d", (int)plain_calls);
    set_informed(SIGUSR1, 0, NULL);
    raise(SIGUSR1);
    claim_is("an informed one", "%d times, good %d", (int)informed_calls, (int)informed_good);
    plain_calls = 0;
    set(SIGUSR1, plain, (int)SA_RESETHAND, NULL);
    raise(SIGUSR1);
    say("after it was called once", sigaction(SIGUSR1, NULL, &old), &old);
    claim_is("it got", "%d", (int)plain_calls);
}

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* siginterrupt and sigset are, and have to work */

static void older_functions(void)
{
    struct sigaction old;

    signal(SIGUSR1, SIG_DFL);
    claim_is("signal over the default", "%s", name(signal(SIGUSR1, plain)));
    say("signal's flags", sigaction(SIGUSR1, NULL, &old), &old);
    claim_is("it begins again", "%s", read_is_begun_again());
    claim_is("siginterrupt", "%d", siginterrupt(SIGUSR1, 1));
    claim_is("it interrupts", "%s", read_is_begun_again());
    claim_is("signal after siginterrupt", "%s", name(signal(SIGUSR1, other)));
    say("its flags", sigaction(SIGUSR1, NULL, &old), &old);
    claim_is("siginterrupt back", "%d", siginterrupt(SIGUSR1, 0));
    say("flags then", sigaction(SIGUSR1, NULL, &old), &old);
    errno = 0;
    claim_is("siginterrupt without a signal", "%d errno %d", siginterrupt(0, 1), errno);
    claim_is("bsd_signal over other", "%s", name(bsd_signal(SIGUSR1, plain)));
    claim_is("ssignal over plain", "%s", name(ssignal(SIGUSR1, other)));
    claim_is("sysv_signal over other", "%s", name(sysv_signal(SIGUSR1, plain)));
    say("sysv_signal's flags", sigaction(SIGUSR1, NULL, &old), &old);
    errno = 0;
    claim_is("signal with an error", "%s errno %d", name(signal(SIGUSR1, SIG_ERR)), errno);
    errno = 0;
    claim_is("signal beyond the last", "%s errno %d", name(signal(70, plain)), errno);
    errno = 0;
    claim_is("signal of SIGSTOP", "%s errno %d", name(signal(SIGSTOP, plain)), errno);
}

static void sigset_answers(void)
{
    struct sigaction old;
    sigset_t mask;

    claim_is("sigset", "%s", name(sigset(SIGUSR1, plain)));
    claim_is("sigset holds", "%s", name(sigset(SIGUSR1, SIG_HOLD)));
    sigprocmask(SIG_BLOCK, NULL, &mask);
    claim_is("held", "%d", sigismember(&mask, SIGUSR1));
    claim_is("sigset holds what is held", "%s", name(sigset(SIGUSR1, SIG_HOLD)));
    claim_is("sigset lets it through", "%s", name(sigset(SIGUSR1, other)));
    sigprocmask(SIG_BLOCK, NULL, &mask);
    claim_is("through", "%d", sigismember(&mask, SIGUSR1));
    say("sigset's flags", sigaction(SIGUSR1, NULL, &old), &old);
    errno = 0;
    claim_is("sigset with an error", "%s errno %d", name(sigset(SIGUSR1, SIG_ERR)), errno);
    errno = 0;
    claim_is("sigset without a signal", "%s errno %d", name(sigset(0, plain)), errno);
}

/* A child of vfork shares the memory, and has handlers of its own. */
static void vfork_keeps_ours(void)
{
    struct sigaction old;
    int status = -1;

    set(SIGUSR1, plain, 0, NULL);
    pid_t child = vfork();
    if (child == 0) {
        signal(SIGUSR1, SIG_DFL);
        _exit(0);
    }
    waitpid(child, &status, 0);
    say("after a child of vfork took its own", sigaction(SIGUSR1, NULL, &old), &old);
    plain_calls = 0;
    raise(SIGUSR1);
    claim_is("ours gets", "%d", (int)plain_calls);
}

int main(void)
{
    sigaction_answers();
    handlers_are_called();
    older_functions();
    sigset_answers();
    vfork_keeps_ours();
    return 0;
}
