/* Bug:     a pointer into a small block is resized
 * Says:    nebmalloc: ERROR: realloc\(0x[0-9a-f]+\): invalid pointer: 16 bytes inside a block of 80 bytes
 * Checked: nebmalloc: ERROR: realloc\(0x[0-9a-f]+\): invalid pointer: 16 bytes inside a block of 70 bytes
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    hide(realloc(hide(alloc(70) + 16), 200));
    return survived();
}
