/* Bug:     the very next byte is read, where malloc may align to one
 * Says:    nebmalloc: ERROR: read\(0x[0-9a-f]+\): 0 bytes behind a block of 41 bytes
 * Signal:  SIGSEGV
 * Options: guard,guard_align=1
 * Policy:  checked */
#include "faults.h"

int main(void)
{
    char *p = alloc(41);
    return look(p + 41) + survived();
}
