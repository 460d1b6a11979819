/* Bug:     a pointer into a large block is resized
 * Says:    nebmalloc: ERROR: realloc\(0x[0-9a-f]+\): invalid pointer: 65536 bytes inside a block of 131072 bytes
 * Checked: nebmalloc: ERROR: realloc\(0x[0-9a-f]+\): invalid pointer: 65536 bytes inside a block of 100000 bytes
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    hide(realloc(hide(alloc(100000) + 65536), 200));
    return survived();
}
