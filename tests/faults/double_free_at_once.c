/* Bug:     a small block is freed twice in a row
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): double free: the block is already free
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    char *p = alloc(100), *q = alloc(100);
    (void)q;
    release(p);
    release(p);
    _Exit(survived()); /* nothing is looked at any more */
}
