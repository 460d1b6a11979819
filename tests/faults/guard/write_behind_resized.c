/* Bug:     a block that realloc moved is overrun
 * Says:    nebmalloc: ERROR: write\(0x[0-9a-f]+\): 0 bytes behind a block of 64 bytes
 * Signal:  SIGSEGV
 * Options: guard
 * Policy:  checked */
#include "faults.h"

int main(void)
{
    char *p = hide(realloc(alloc(1000), 64));
    memset(hide(p + 64), 1, 1);
    return survived();
}
