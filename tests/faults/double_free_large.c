/* Bug:     a block of 100,000 bytes is freed twice
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): (double free: the block is already free|invalid pointer: .*already freed.*)
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    char *p = alloc(100000);
    release(p);
    release(p);
    return survived();
}
