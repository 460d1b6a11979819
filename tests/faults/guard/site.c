/* Bug:     the program's own blocks are guarded
 * Says:    nebmalloc: ERROR: read\(0x[0-9a-f]+\): 0 bytes behind a block of 64 bytes
 * Signal:  SIGSEGV
 * Options: guard,guard_site=fault-guard-site
 * Policy:  checked */
#include "faults.h"

int main(void)
{
    char *p = alloc(64);
    return look(p + 64) + survived();
}
