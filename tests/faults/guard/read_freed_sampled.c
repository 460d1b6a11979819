/* Bug:     a guarded one of few is read after it was freed
 * Says:    nebmalloc: ERROR: read\(0x[0-9a-f]+\): 0 bytes inside a freed block of 100 bytes
 * Signal:  SIGSEGV
 * Options: guard_sample=1
 * Policy:  profile */
#include "faults.h"

int main(void)
{
    char *p = alloc(100);
    release(p);
    return look(p) + survived();
}
