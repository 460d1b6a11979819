/* Bug:     a block of 10 MB is freed again after its mapping is gone
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): invalid pointer: .*already freed.*
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    char *p = alloc(10000000);
    release(p);
    malloc_trim(0);
    release(p);
    return survived();
}
