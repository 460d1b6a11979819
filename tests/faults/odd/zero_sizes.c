/* Correct: blocks of no bytes, null pointers, realloc to zero */
#include "faults.h"

int main(void)
{
    free(NULL);
    char *p = alloc(0), *q = alloc(0);
    if (p == q || p == NULL || q == NULL)
        return 1;
    release(p);
    p = hide(realloc(hide(q), 0));
    if (p != NULL)
        return 2;
    p = hide(calloc(0, 5));
    q = hide(realloc(NULL, 0));
    if (p == NULL || q == NULL || p == q)
        return 3;
    release(p);
    release(q);
    if (malloc_usable_size(NULL) != 0)
        return 4;
    return survived();
}
