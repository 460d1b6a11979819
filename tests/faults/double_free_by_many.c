/* Bug:     a small block is freed twice among many others; the magazine overflows and is flushed
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): double free: the block is already free
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    enum { COUNT = 50000 };
    static void *p[COUNT];
    for (int i = 0; i < COUNT; i++)
        p[i] = alloc(64);
    release(p[10]);
    for (int i = 0; i < COUNT; i++)
        release(p[i]);
    return survived();
}
