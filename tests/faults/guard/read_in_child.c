/* Bug:     the child of a fork reads a block that it freed
 * Says:    nebmalloc: ERROR: read\(0x[0-9a-f]+\): 0 bytes inside a freed block of 100 bytes
 * Signal:  SIGSEGV
 * Options: guard
 * Policy:  checked */
#include "faults.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    int status = 0;
    char *p = alloc(100);
    pid_t child = fork();
    if (child == 0) {
        release(p);
        (void)look(p);
        _exit(0);
    }
    (void)waitpid(child, &status, 0);
    if (WIFSIGNALED(status))
        (void)kill(getpid(), WTERMSIG(status));
    return survived();
}
