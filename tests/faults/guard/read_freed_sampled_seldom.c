/* Bug:     of many blocks that are read after they were freed, one is guarded
 * Says:    nebmalloc: ERROR: read\(0x[0-9a-f]+\): 0 bytes inside a freed block of 100 bytes
 * Signal:  SIGSEGV
 * Options: guard_sample=1000
 * Policy:  profile */
#include "faults.h"

int main(void)
{
    int sum = 0;
    for (int i = 0; i < 100000; i++) {
        char *p = alloc(100);
        release(p);
        sum += look(p);
    }
    return sum + survived();
}
