/* Correct:     children end by faults and by signals that were sent, as they would without the library
 * Options: guard
 * Policy:  checked */
#include "faults.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static int fault(void)
{
    return look(mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static int at_null(void)
{
    return look(NULL);
}

static int noncanonical(void)
{
    uintptr_t address = (uintptr_t)1 << 63;
    char *p;
    memcpy(&p, &address, sizeof p);
    return look(p);
}

static int sent(void)
{
    return raise(SIGSEGV) + 1;
}

static int sent_after_default(void)
{
    (void)signal(SIGBUS, SIG_DFL);
    return kill(getpid(), SIGBUS) + 1;
}

static int ends_by(int (*function)(void))
{
    int status = 0;
    pid_t child = fork();
    if (child == 0)
        _exit(function());
    (void)waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

int main(void)
{
    int is_right = ends_by(fault) == SIGSEGV && ends_by(at_null) == SIGSEGV && ends_by(noncanonical) == SIGSEGV &&
                    ends_by(sent) == SIGSEGV && ends_by(sent_after_default) == SIGBUS;
    return is_right ? survived() : 1;
}
