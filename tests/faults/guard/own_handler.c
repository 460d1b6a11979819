/* Bug:     the program's own handler runs after the explanation, with the fault's own siginfo
 * Says:    nebmalloc: ERROR: read\(0x[0-9a-f]+\): 0 bytes inside a freed block of 100 bytes
 * Signal:  SIGABRT
 * Options: guard
 * Policy:  checked */
#include "faults.h"
#include <signal.h>
#include <unistd.h>

static void handler(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (number == SIGSEGV && info->si_code == SEGV_ACCERR)
        abort();
    _exit(3);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    char *p = alloc(100);
    (void)sigaction(SIGSEGV, &action, NULL);
    release(p);
    return look(p) + survived();
}
