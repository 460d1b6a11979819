/* memory_true.c - true(1) takes at most 400 KiB more resident memory with the library than without.
 *
 * Read from the page tables at the moment when it exits (ptrace stops it there): the peak that wait4 reports starts at
 * the parent's size, and the kernel's counters are off by up to 64 pages a cpu.
 *
 * Alone: it starts true(1) without and with the library itself
 */
#include "claim.h"
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

enum { RUNS = 11 };

static long resident_at_exit(const char *library)
{
    char path[64], preload[4200];
    char *command[] = {(char[]){"true"}, NULL}, *environment[] = {preload, NULL};
    long kib = -1;
    int status;
    pid_t pid;

    snprintf(preload, sizeof preload, "%s=%s", library == NULL ? "NO_PRELOAD" : "LD_PRELOAD",
             library == NULL ? "" : library);
    pid = fork();
    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        execvpe("true", command, environment);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
        return -1;
    ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL);
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    for (;;) {
        ptrace(PTRACE_CONT, pid, NULL, NULL);
        if (waitpid(pid, &status, 0) != pid)
            return -1;
        if (WIFEXITED(status) || WIFSIGNALED(status))
            return status == 0 ? kib : -1;
        if (status >> 8 == (SIGTRAP | (PTRACE_EVENT_EXIT << 8)))
            kib = proc_kib(path, "Rss:");
    }
}

static int by_value(const void *a, const void *b)
{
    const long x = *(const long *)a, y = *(const long *)b;

    return (x > y) - (x < y);
}

static long median(const char *library)
{
    long values[RUNS];

    resident_at_exit(library); /* brings the files into the page cache */
    for (int i = 0; i < RUNS; i++)
        values[i] = resident_at_exit(library);
    qsort(values, RUNS, sizeof *values, by_value);
    return values[0] < 0 ? -1 : values[RUNS / 2];
}

int main(void)
{
    const char *library = getenv("PRELOADED");
    long with = median(library), without = median(NULL);

    claim_holds("both could be measured", with > 0 && without > 0);
    claim_at_most("more resident memory of true(1)", with - without, 400, "KiB");
    return 0;
}
