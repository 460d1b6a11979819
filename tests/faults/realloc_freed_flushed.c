/* Bug:     a small block is resized after it was freed and its magazine was flushed
 * Says:    nebmalloc: ERROR: realloc\(0x[0-9a-f]+\): use after free: the block is free
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    char *p = alloc(100), *q = alloc(100);
    (void)q;
    release(p);
    malloc_trim(0);
    hide(realloc(hide(p), 200));
    return survived();
}
