/* Bug:     a global variable is freed
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): invalid pointer: never allocated by this library or already freed; it lies in .*fault-free_global.*
 * Signal:  SIGABRT */
#include "faults.h"

static char global[64] = {1};

int main(void)
{
    release(global);
    return survived();
}
