/* Bug:     the usable size of a small block is asked for after it was freed
 * Says:    nebmalloc: ERROR: malloc_usable_size\(0x[0-9a-f]+\): use after free: the block is free
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    char *p = alloc(100);
    release(p);
    malloc_usable_size(hide(p));
    return survived();
}
