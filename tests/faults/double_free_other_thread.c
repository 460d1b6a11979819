/* Bug:     a block is freed by another thread, and again by the one that allocated it
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): double free: the block is already free
 * Signal:  SIGABRT */
#include "elsewhere.h"

int main(void)
{
    char *p = alloc(100), *q = alloc(100);
    (void)q;
    elsewhere(release_it, p);
    malloc_trim(0);
    release(p);
    malloc_trim(0);
    return survived();
}
