/* Bug:     a local variable is resized
 * Says:    nebmalloc: ERROR: realloc\(0x[0-9a-f]+\): invalid pointer: never allocated by this library or already freed; it lies in \[stack\]
 * Signal:  SIGABRT */
#include "faults.h"

int main(void)
{
    char local[64];
    memset(local, 0, sizeof local);
    hide(realloc(hide(local), 200));
    return survived();
}
