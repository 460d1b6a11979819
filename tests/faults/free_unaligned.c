/* Bug:     a pointer one byte into a small block is freed
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): invalid pointer: 1 bytes inside a block of 80 bytes
 * Checked: nebmalloc: ERROR: free\(0x[0-9a-f]+\): invalid pointer: 1 bytes inside a block of 70 bytes
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    char *p = alloc(70), *q = alloc(70);
    (void)q;
    release(p + 1);
    malloc_trim(0);
    return survived();
}
