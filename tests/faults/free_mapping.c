/* Bug:     the program's own mapping is freed
 * Says:    nebmalloc: ERROR: free\(0x[0-9a-f]+\): invalid pointer: never allocated by this library or already freed; it lies in .*
 * Signal:  SIGABRT */
#define _GNU_SOURCE
#include "faults.h"
#include <sys/mman.h>

int main(void)
{
    release(mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    return survived();
}
