/* Bug:     a block of the size that is asked for is guarded
 * Says:    nebmalloc: ERROR: read\(0x[0-9a-f]+\): 0 bytes behind a block of 64 bytes
 * Signal:  SIGSEGV
 * Options: guard,guard_size=64-128
 * Policy:  checked */
#include "faults.h"

int main(void)
{
    char *p = alloc(64);
    return look(p + 64) + survived();
}
