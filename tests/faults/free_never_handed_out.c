/* Bug:     a block of a slab that was not handed out yet is freed
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): invalid pointer: a block that was never allocated
 * Checked: nebmalloc: ERROR: free\(0x[0-9a-f]+\): invalid pointer: 16 bytes inside a block of 4608 bytes
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    release(alloc(4096) + 10 * 4608);
    malloc_trim(0);
    return survived();
}
