/* Bug:     a large block is freed by realloc(p, 0), twice
 * Says:    nebmalloc: ERROR: realloc\(0x[0-9a-f]+\): (double free: the block is already free|invalid pointer: .*already freed.*)
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    char *p = alloc(100000);
    hide(realloc(hide(p), 0));
    hide(realloc(hide(p), 0));
    return survived();
}
