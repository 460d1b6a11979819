/* Bug:     a block is written after it was freed
 * Says:    nebmalloc: ERROR: write\(0x[0-9a-f]+\): 3 bytes inside a freed block of 41 bytes
 * Signal:  SIGSEGV
 * Options: guard
 * Policy:  checked */
#include "faults.h"

int main(void)
{
    char *p = alloc(41);
    release(p);
    memset(hide(p + 3), 1, 1);
    return survived();
}
