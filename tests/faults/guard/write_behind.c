/* Bug:     a byte behind a block of a page is written
 * Says:    nebmalloc: ERROR: write\(0x[0-9a-f]+\): 0 bytes behind a block of 4096 bytes
 * Signal:  SIGSEGV
 * Options: guard
 * Policy:  checked */
#include "faults.h"

int main(void)
{
    char *p = alloc(4096);
    memset(hide(p + 4096), 1, 1);
    return survived();
}
