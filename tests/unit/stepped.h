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

enum { CHILD_REFUSED = 77 };

/* Its status once it stands before act. False: nobody may be traced here (an emulator, a container). */
static inline bool child_start(pid_t *child, int *status, int (*act)(void *argument), void *argument)
{
    *child = fork();
    if (*child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(CHILD_REFUSED);
        (void)raise(SIGSTOP);
        _exit(act(argument));
    }
    ck_assert_int_eq(waitpid(*child, status, 0), *child);
    return !WIFEXITED(*status) || WEXITSTATUS(*status) != CHILD_REFUSED;
}

static inline void child_go_on(pid_t child, int *status, bool by_step, int number)
{
    ck_assert_int_eq(by_step ? ptrace(PTRACE_SINGLESTEP, child, NULL, number) : ptrace(PTRACE_CONT, child, NULL, number), 0);
    ck_assert_int_eq(waitpid(child, status, 0), child);
}

/* act answers 0 if all is well. False: nobody may be traced here, nothing was looked at. */
static inline bool child_is_stepped(int (*act)(void *argument), void (*look)(pid_t child, void *argument), void *argument)
{
    int status;
    pid_t child;
    if (!child_start(&child, &status, act, argument))
        return false;
    while (WIFSTOPPED(status)) {
        look(child, argument);
        child_go_on(child, &status, true, 0);
    }
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return true;
}

/* A signal comes after so many instructions of act. False: it has fewer, or nobody may be traced here. */
static inline bool child_is_interrupted(int (*act)(void *argument), unsigned long instructions, int number, void *argument)
{
    int status;
    pid_t child;
    if (!child_start(&child, &status, act, argument))
        return false;
    for (unsigned long i = 0; i < instructions && WIFSTOPPED(status); i++)
        child_go_on(child, &status, true, 0);
    bool is_there = WIFSTOPPED(status);
    if (is_there)
        child_go_on(child, &status, false, number);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "all is not well after a signal that came after %lu instructions", instructions);
    return is_there;
}

#endif
