/* Bug:     the byte before a block is read, which begins at its page
 * Says:    nebmalloc: ERROR: read\(0x[0-9a-f]+\): 1 bytes before a block of 41 bytes
 * Signal:  SIGSEGV
 * Options: guard,guard_side=start
 * Policy:  checked */
#include "faults.h"

int main(void)
{
    char *p = alloc(41);
    return look(p - 1) + survived();
}
