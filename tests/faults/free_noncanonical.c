/* Bug:     an address that no machine has is freed
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): invalid pointer: an address where nothing is mapped, never allocated or already freed
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    uintptr_t number = UINTPTR_MAX / 2;
    void *p;
    memcpy(&p, &number, sizeof p);
    release(p);
    return survived();
}
