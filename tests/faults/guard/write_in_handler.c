/* Bug:     a signal handler writes behind a block
 * Says:    nebmalloc: ERROR: write\(0x[0-9a-f]+\): 0 bytes behind a block of 32 bytes
 * Signal:  SIGSEGV
 * Options: guard
 * Policy:  checked */
#include "faults.h"
#include <signal.h>

static char *block;

static void handler(int number)
{
    memset(hide(block + 32), number, 1);
}

int main(void)
{
    block = alloc(32);
    (void)signal(SIGUSR1, handler);
    (void)raise(SIGUSR1);
    return survived();
}
