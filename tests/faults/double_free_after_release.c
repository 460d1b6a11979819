/* Bug:     a small block is freed again after its whole slab went back
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): (double free: the block is already free|invalid pointer: .*already freed.*)
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    char *p = alloc(5000);
    release(p);
    malloc_trim(0);
    release(p);
    return survived();
}
