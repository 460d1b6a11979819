/* Bug:     a byte in the page behind a block is read
 * Says:    nebmalloc: ERROR: read\(0x[0-9a-f]+\): 7 bytes behind a block of 41 bytes
 * Signal:  SIGSEGV
 * Options: guard
 * Policy:  checked */
#include "faults.h"

int main(void)
{
    char *p = alloc(41);
    return look(p + 48) + survived();
}
