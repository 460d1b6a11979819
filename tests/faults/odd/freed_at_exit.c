/* Correct: blocks are freed in atexit handlers and destructors */
#include "faults.h"

static char *kept, *late;

static void drop_kept(void)
{
    release(kept);
}

__attribute__((destructor)) static void drop_late(void)
{
    release(late);
}

int main(void)
{
    kept = alloc(100);
    atexit(drop_kept);
    late = alloc(100000);
    return survived();
}
