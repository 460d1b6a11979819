/* Correct: signals come at any instruction of malloc, realloc and free, and their handler allocates and frees, too
 *
 * A child for each of some moments, from first to last: it is led there step by step, and goes on with the signal. */
#define _GNU_SOURCE
#include "faults.h"
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

enum { SIZE = 40, LARGER = 100, WARM = 1000, STEPS = 300000 /* of all children */, REFUSED = 77, WRONG = 1 };

static unsigned char *volatile kept; /* by the handler, until it comes again */
static volatile bool handler_found_another;

static bool all_are(const unsigned char *bytes, size_t count, unsigned char value)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

static unsigned char *filled(unsigned char value)
{
    return memset(alloc(SIZE), value, SIZE);
}

static void handle(int number)
{
    (void)number;
    unsigned char *mine = filled(0x22);
    if (kept != NULL) {
        handler_found_another |= !all_are(kept, SIZE, 0x22);
        release(kept);
    }
    kept = mine;
    release(filled(0x33));
}

static bool work(void)
{
    unsigned char *first = filled(0x44), *second = filled(0x55);
    second = realloc(second, LARGER);
    bool kept_their_bytes = all_are(first, SIZE, 0x44) && all_are(second, SIZE, 0x55);
    release(first);
    unsigned char *third = filled(0x66);
    kept_their_bytes &= all_are(second, SIZE, 0x55) && all_are(third, SIZE, 0x66);
    release(second);
    kept_their_bytes &= all_are(third, SIZE, 0x66);
    release(third);
    return kept_their_bytes;
}

static int led(void)
{
    for (int i = 0; i < WARM; i++)
        (void)work();
    handle(0); /* what a first call needs is there */
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        return REFUSED;
    (void)raise(SIGSTOP);
    bool is_right = work();
    (void)raise(SIGSTOP);
    handle(0);
    return is_right && !handler_found_another ? 0 : WRONG;
}

static void wait_for(pid_t child, int *status)
{
    if (waitpid(child, status, 0) != child)
        abort();
}

static void go_on(enum __ptrace_request how, pid_t child, int number, int *status)
{
    if (ptrace(how, child, NULL, number) != 0)
        abort();
    wait_for(child, status);
}

/* How many instructions the work had, up to that many; then the signal comes, if it has more. *status: how it ended. */
static unsigned long lead(unsigned long instructions, int *status)
{
    unsigned long done = 0;
    pid_t child = fork();
    if (child == 0)
        exit(led());
    wait_for(child, status);
    bool is_in_time = WIFSTOPPED(*status);
    for (; is_in_time && done < instructions; done++) {
        go_on(PTRACE_SINGLESTEP, child, 0, status);
        is_in_time = WIFSTOPPED(*status) && WSTOPSIG(*status) == SIGTRAP;
    }
    if (is_in_time)
        go_on(PTRACE_CONT, child, SIGUSR1, status);
    while (WIFSTOPPED(*status))
        go_on(PTRACE_CONT, child, 0, status);
    return done;
}

static bool is_well(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(void)
{
    int status;
    if (sigaction(SIGUSR1, &(struct sigaction){.sa_handler = handle}, NULL) != 0)
        return WRONG;
    unsigned long all = lead(~0ul, &status);
    if (WIFEXITED(status) && WEXITSTATUS(status) == REFUSED)
        return survived(); /* nobody may be traced here */
    for (unsigned long moment = 0, step = all * all / (2 * STEPS) + 1; moment < all && is_well(status); moment += step) {
        (void)lead(moment, &status);
        if (!is_well(status))
            fprintf(stderr, "not well after a signal that came after %lu of %lu instructions: status %#x\n", moment, all, (unsigned)status);
    }
    return is_well(status) ? survived() : WRONG;
}
