/* Bug:     a small block is freed twice, others in between; noticed when the program ends
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): double free: the block is already free
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    for (int i = 0; i < 100; i++) /* it is no longer a size of which few were freed */
        release(alloc(100));
    char *p = alloc(100), *q = alloc(100);
    release(p);
    release(q);
    release(p);
    return 0;
}
