/* Correct: every byte that malloc_usable_size allows is used, and more is asked for afterwards */
#include "faults.h"

int main(void)
{
    for (size_t size = 1; size < 300000; size += size / 3 + 1) {
        char *p = alloc(size);
        size_t usable = malloc_usable_size(p);
        memset(p, 0x55, usable);
        p = hide(realloc(hide(p), usable));
        memset(p, 0x55, usable);
        p = hide(realloc(hide(p), usable + 1));
        for (size_t i = 0; i < usable; i++)
            if (p[i] != 0x55)
                return 1;
        release(p);
    }
    return survived();
}
