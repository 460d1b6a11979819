/* Bug:     a guarded one of few is freed twice
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): double free: the block is already free
 * Signal:  SIGABRT
 * Options: guard_sample=1
 * Policy:  profile */
#include "faults.h"

int main(void)
{
    char *p = alloc(100);
    release(p);
    release(p);
    return survived();
}
