/* Bug:     a function is freed
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): invalid pointer: never allocated by this library or already freed; it lies in .*fault-free_code.*
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    int (*function)(void) = survived;
    void *p;
    memcpy(&p, &function, sizeof p);
    release(p);
    return survived();
}
