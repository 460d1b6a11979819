/* stepped.h - a child that is looked at after each of its instructions, for what must hold whenever a signal handler may come. */
#ifndef NEB_TESTS_UNIT_STEPPED_H
#define NEB_TESTS_UNIT_STEPPED_H

#include "unit/unit.h"
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* From the same address in the child, which it has by fork. The file that includes this defines _GNU_SOURCE. */
static inline void child_copy(pid_t child, void *into, const void *from, size_t bytes)
{
    struct iovec mine = {into, bytes}, its = {(void *)(uintptr_t)from, bytes};
    ck_assert_int_eq(process_vm_readv(child, &mine, 1, &its, 1, 0), (ssize_t)bytes);
}

/* False: nobody may be traced here (an emulator, a container), nothing was looked at. */
static inline bool child_is_stepped(void (*act)(void *argument), void (*look)(pid_t child, void *argument), void *argument)
{
    enum { REFUSED = 77 };
    int status;
    pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(REFUSED);
        (void)raise(SIGSTOP);
        act(argument);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == REFUSED)
        return false;
    while (WIFSTOPPED(status)) {
        look(child, argument);
        ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
    }
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return true;
}

#endif
