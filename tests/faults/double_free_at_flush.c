/* Bug:     a small block is freed twice while both copies fit into the magazine; noticed when it is flushed
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): double free: the block is already free
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    char *p = alloc(100), *q = alloc(100);
    (void)q;
    release(p);
    release(p);
    malloc_trim(0);
    return survived();
}
