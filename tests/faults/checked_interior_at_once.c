/* Bug:     a pointer into a small block is freed; the checked library notices at once
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): invalid pointer: 16 bytes inside a block of 70 bytes
 * Signal:  SIGABRT
 * Policy:  checked */
#include "faults.h"

int main(void)
{
    release(alloc(70) + 16);
    return survived();
}
