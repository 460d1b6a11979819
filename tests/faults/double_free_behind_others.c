/* Bug:     a small block is freed twice, others in between; noticed at once, since few of its size were freed before
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): double free: the block is already free
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    char *p = alloc(100), *q = alloc(100);
    release(p);
    release(q);
    release(p);
    _Exit(survived());
}
