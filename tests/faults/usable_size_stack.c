/* Bug:     malloc_usable_size of a local variable
 * Says:    nebmalloc: ERROR: malloc_usable_size\(0x[0-9a-f]+\): invalid pointer: never allocated by this library or already freed; it lies in \[stack\]
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    char local[64];
    memset(local, 0, sizeof local);
    printf("%zu\n", malloc_usable_size(hide(local)));
    return survived();
}
