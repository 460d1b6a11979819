/* Bug:     what remains at the end of a slab, behind its last block, is freed
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): invalid pointer: behind the last block of a slab, never allocated
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    char *p = alloc(48);
    release(p + (65520 - ((uintptr_t)p & 65535)));
    malloc_trim(0);
    return survived();
}
