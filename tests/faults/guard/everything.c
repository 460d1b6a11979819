/* Correct:     every way to ask for a block, resize and free it
 * Options: guard
 * Policy:  checked */
#include "faults.h"

static int is_zero(const char *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (p[i] != 0)
            return 0;
    return 1;
}

int main(void)
{
    static const size_t sizes[] = {0, 1, 41, 4095, 4096, 4097, 65536, 100000, 5000000};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *p = hide(calloc(1, sizes[i])), *q;
        if (p == NULL || !is_zero(p, sizes[i]) || malloc_usable_size(p) != sizes[i])
            return 1;
        memset(p, 7, sizes[i]);
        q = hide(realloc(p, sizes[i] * 2 + 1));
        if (q == NULL || (sizes[i] > 0 && q[sizes[i] - 1] != 7) || malloc_usable_size(q) != sizes[i] * 2 + 1)
            return 1;
        memset(q, 8, sizes[i] * 2 + 1);
        q = hide(realloc(q, sizes[i] / 2 + 1));
        if (q[sizes[i] / 2] != 8)
            return 1;
        release(q);
        for (size_t alignment = 32; alignment <= 1 << 21; alignment *= 8) {
            p = hide(memalign(alignment, sizes[i]));
            if (p == NULL || (uintptr_t)p % alignment != 0)
                return 1;
            memset(p, 9, sizes[i]);
            release(p);
        }
    }
    return survived();
}
