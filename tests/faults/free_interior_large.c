/* Bug:     a pointer into the middle of a large block is freed
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): invalid pointer: 70000 bytes inside a block of 131072 bytes
 * Checked: nebmalloc: ERROR: free\(0x[0-9a-f]+\): invalid pointer: 70000 bytes inside a block of 100000 bytes
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    release(alloc(100000) + 70000);
    return survived();
}
