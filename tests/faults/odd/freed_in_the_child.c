/* Correct: parent and child free the same blocks, each in its own memory */
#include "faults.h"
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    char *p = alloc(100), *q = alloc(100000), *r = alloc(10000000);
    pid_t child = fork();
    release(p);
    release(q);
    release(r);
    malloc_trim(0);
    if (child == 0)
        _exit(0);
    int status;
    if (waitpid(child, &status, 0) != child || status != 0)
        return 1;
    return survived();
}
