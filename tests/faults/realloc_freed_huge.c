/* Bug:     a huge block is resized after it was freed
 * Says:    nebmalloc: ERROR: realloc\(0x[0-9a-f]+\): invalid pointer: .*already freed.*
 * Checked: nebmalloc: ERROR: realloc\(0x[0-9a-f]+\): use after free: the block is free
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    char *p = alloc(10000000);
    release(p);
    hide(realloc(hide(p), 20000000));
    return survived();
}
