/* Bug:     a block of 10 MB is freed twice while its mapping is kept for reuse
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): (double free: the block is already free|invalid pointer: .*already freed.*)
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    char *p = alloc(10000000);
    release(p);
    release(p);
    return survived();
}
