/* Correct:     faults that have nothing to do with the heap reach the program's handler, and nothing is said
 * Options: guard
 * Policy:  checked */
#include "faults.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

static sigjmp_buf back;
static volatile sig_atomic_t faults;

static void handler(int number)
{
    (void)number;
    faults = faults + 1;
    siglongjmp(back, 1);
}

int main(void)
{
    struct sigaction action = {.sa_handler = handler}, now;
    char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (sigaction(SIGSEGV, NULL, &now) != 0 || now.sa_handler != SIG_DFL || now.sa_flags != 0)
        return 1;
    (void)sigaction(SIGSEGV, &action, NULL);
    if (sigaction(SIGSEGV, NULL, &now) != 0 || now.sa_handler != handler)
        return 1;
    if (sigsetjmp(back, 1) == 0)
        (void)look(page);
    if (signal(SIGSEGV, SIG_DFL) != handler || signal(SIGSEGV, SIG_IGN) != SIG_DFL)
        return 1;
    (void)raise(SIGSEGV); /* ignored */
    return faults == 1 ? survived() : 1;
}
