/* Bug:     malloc_usable_size of a pointer into a block
 * Says:    nebmalloc: ERROR: malloc_usable_size\(0x[0-9a-f]+\): invalid pointer: 32 bytes inside a block of 80 bytes
 * Checked: nebmalloc: ERROR: malloc_usable_size\(0x[0-9a-f]+\): invalid pointer: 32 bytes inside a block of 70 bytes
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    printf("%zu\n", malloc_usable_size(hide(alloc(70) + 32)));
    return survived();
}
