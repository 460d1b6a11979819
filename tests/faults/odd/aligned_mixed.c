/* Correct: blocks of every alignment are resized and freed like any others */
#include "faults.h"

int main(void)
{
    for (size_t alignment = 16; alignment <= (size_t)8 << 20; alignment *= 2) {
        char *p = hide(aligned_alloc(alignment, 3 * alignment)), *q = NULL;
        if (posix_memalign((void **)(void *)&q, alignment, 1) != 0 || (uintptr_t)p % alignment != 0 ||
            (uintptr_t)q % alignment != 0)
            return 1;
        release(hide(realloc(p, 100)));
        release(q);
    }
    return survived();
}
