/* Bug:     a small block is resized right after it was freed
 * Says:    nebmalloc: ERROR: realloc\(0x[0-9a-f]+\): use after free: the block is free
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    char *p = alloc(100);
    release(p);
    hide(realloc(hide(p), 200));
    return survived();
}
