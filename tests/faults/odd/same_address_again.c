/* Correct: a block is freed, the same address allocated and freed again, thousands of times */
#include "faults.h"

int main(void)
{
    for (int i = 0; i < 100000; i++)
        release(alloc((size_t)(1 + i % 3 * 5000)));
    for (int i = 0; i < 300; i++)
        release(alloc(100000 + (size_t)(i % 3) * 3000000));
    malloc_trim(0);
    return survived();
}
