/* Correct:     blocks of other sizes are not guarded: what lies behind them can be read
 * Options: guard,guard_size=64-128
 * Policy:  checked */
#include "faults.h"

/* A heap's block has others around it; a guarded one a page that nobody can read. */
int main(void)
{
    char *p = alloc(63);
    return look(p + 64) == 0x1234 ? 1 : survived();
}
