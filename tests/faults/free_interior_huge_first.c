/* Bug:     a pointer 16 bytes into a huge block is freed
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): invalid pointer: 16 bytes inside a block of 1[0-9]{7} bytes
 * Checked: nebmalloc: ERROR: free\(0x[0-9a-f]+\): invalid pointer: 16 bytes inside a block of 10000000 bytes
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    release(alloc(10000000) + 16);
    return survived();
}
