/* Correct:     more blocks than there are mappings: the others are ordinary ones
 * Options: guard
 * Policy:  checked */
#include "faults.h"

enum { COUNT = 50000 };

int main(void)
{
    static char *block[COUNT];
    for (int i = 0; i < COUNT; i++)
        memset(block[i] = alloc(24), i, 24);
    for (int i = 0; i < COUNT; i++) {
        if (block[i][23] != (char)i || malloc_usable_size(block[i]) != 24)
            return 1;
        release(block[i]);
    }
    return survived();
}
