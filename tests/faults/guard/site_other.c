/* Correct:     blocks of libc's code only: the program's own are not guarded
 * Options: guard,guard_site=libc.so.6
 * Policy:  checked */
#include "faults.h"

int main(void)
{
    char *p = alloc(64);
    return look(p + 64) == 0x1234 ? 1 : survived();
}
