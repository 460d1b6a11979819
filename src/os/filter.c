/* filter.c - see filter.h.
 *
 *   this process --fork--> guardian --fork--> the program
 *
 * Both are bare forks: no fork handler runs, which might wait for a lock that this thread
 * holds. The guardian's end sends no signal, so that the program that is debugged never meets a child that is
 * not its own; an exec would change that, hence two. The guardian waits for the program, and takes it along
 * when it is killed. */
#define _GNU_SOURCE
#include "os/filter.h"

#include "os/call.h"
#include "os/process.h"
#include "os/signal.h"
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NOT_RUN = 127, STEP_NS = 1000000 };

bool neb_os_can_execute(const char *program)
{
    return access(program, X_OK) == 0;
}

/* The ends may have the very numbers that they are to get: they are moved out of the way first. */
static _Noreturn void program_run(char *program, char *argument, int in, int out)
{
    char language[] = "LC_ALL=C";
    char *const environment[] = {language, NULL}, *const arguments[] = {program, argument, NULL};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    int nowhere = call_open("/dev/null", O_WRONLY, 0);
    in = fcntl(in, F_DUPFD_CLOEXEC, 3);
    out = fcntl(out, F_DUPFD_CLOEXEC, 3);
    if (in >= 0 && out >= 0 && dup2(in, 0) == 0 && dup2(out, 1) == 1 &&
        (nowhere < 0 || dup2(nowhere, 2) == 2))
        (void)execve(program, arguments, environment);
    _exit(NOT_RUN);
}

/* All signals are blocked; what they would do is the program's. */
static _Noreturn void guardian_run(char *program, char *argument, const int ends[2], int out)
{
    struct sigaction by_default;
    int status = 0;
    memset(&by_default, 0, sizeof by_default);
    by_default.sa_handler = SIG_DFL;
    (void)neb_os_sigaction(SIGCHLD, &by_default, NULL); /* ignored, it would keep no status */
    (void)call_close(ends[1]);
    pid_t child = neb_os_bare_fork(SIGCHLD);
    if (child == 0)
        program_run(program, argument, ends[0], out);
    (void)call_close(ends[0]);
    if (child < 0 || call_waitpid(child, &status, 0) != child || !WIFEXITED(status))
        _exit(NOT_RUN);
    _exit(WEXITSTATUS(status));
}

bool neb_os_filter_begin(struct os_filter *filter, char *program, char *argument, int out)
{
    int ends[2];
    sigset_t all, before;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    filter->child = neb_os_bare_fork(0);
    if (filter->child == 0)
        guardian_run(program, argument, ends, out);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)call_close(ends[0]);
    filter->into = ends[1];
    if (filter->child > 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0)
        return true;
    (void)call_close(ends[1]);
    return false;
}

bool neb_os_filter_end(const struct os_filter *filter, unsigned wait_ms)
{
    const struct timespec step = {0, STEP_NS};
    int status = 0;
    (void)call_close(filter->into);
    for (unsigned waited = 0; waited < wait_ms; waited++) {
        pid_t ended = call_waitpid(filter->child, &status, __WALL | WNOHANG);
        if (ended != 0)
            return ended == filter->child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
        (void)call_nanosleep(&step, NULL);
    }
    (void)kill(filter->child, SIGKILL);
    (void)call_waitpid(filter->child, &status, __WALL);
    return false;
}
