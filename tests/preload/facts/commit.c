/* commit.c - what the library commits at the start of a program: at most 1 MB more than without it, in the kernel's
 * strictest account; and a program starts under a limit of 64 MiB of address space, with threads.
 *
 * The account is the sum of all private mappings that can be written, which is what counts where overcommitting is
 * forbidden. The program runs itself once without the library.
 */
#include "claim.h"
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>

static bool has_flag(const char *line, const char *flag)
{
    const char *end = strchr(line, '\n'), *found = strstr(line, flag);

    return found != NULL && end != NULL && found < end;
}

/* KiB; reads with a buffer of its own, so that nothing is allocated. */
static long accounted_kib(void)
{
    static char text[1 << 18];
    size_t length = 0;
    ssize_t count;
    long sum = 0, size = 0;
    int fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);

    while (fd >= 0 && length < sizeof text - 1 && (count = read(fd, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)count;
    if (fd >= 0)
        close(fd);
    text[length] = '\0';
    for (char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n'), line = line == NULL ? NULL : line + 1) {
        if (strncmp(line, "Size:", 5) == 0)
            size = strtol(line + 5, NULL, 10);
        if (strncmp(line, "VmFlags:", 8) == 0 && has_flag(line, " wr") && !has_flag(line, " sh"))
            sum += size;
    }
    return sum;
}

static long run_self(const char *mode, bool with_library)
{
    long answer = -1;
    int ends[2], status = -1;

    if (pipe(ends) != 0)
        return -1;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 3);
        if (!with_library)
            unsetenv("LD_PRELOAD");
        if (strcmp(mode, "limited") == 0) {
            struct rlimit limit = {64u << 20, 64u << 20};

            setrlimit(RLIMIT_AS, &limit);
        }
        execl("/proc/self/exe", "commit", mode, (char *)NULL);
        _exit(98);
    }
    close(ends[1]);
    if (read(ends[0], &answer, sizeof answer) != (ssize_t)sizeof answer)
        answer = -1;
    close(ends[0]);
    waitpid(child, &status, 0);
    return status == 0 ? answer : -1;
}

static void *thread_body(void *argument)
{
    *(bool *)argument = malloc(opaque_size(10)) != NULL;
    return NULL;
}

static long limited(void)
{
    pthread_attr_t attributes;
    pthread_t threads[8];
    bool good[8] = {false};
    long count = 0;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 * 1024);
    for (int i = 0; i < 8; i++)
        if (pthread_create(&threads[i], &attributes, thread_body, &good[i]) == 0) {
            pthread_join(threads[i], NULL);
            count += good[i];
        }
    return heap_works(1) ? count : -1;
}

int main(int argc, char **argv)
{
    long answer = -1;

    if (argc > 1) {
        if (strcmp(argv[1], "account") == 0)
            answer = malloc(opaque_size(10)) == NULL ? -1 : accounted_kib();
        else
            answer = limited();
        return write(3, &answer, sizeof answer) == (ssize_t)sizeof answer ? 0 : 1;
    }
    long with = run_self("account", true), without = run_self("account", false);
    claim_holds("the account was read", with > 0 && without > 0);
    claim_at_most("committed at the start", with - without, 1000 * 1000 / 1024, "KiB");
    claim_is("threads under 64 MiB", "%ld", run_self("limited", true));
    return 0;
}
