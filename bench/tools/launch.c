/* launch.c - runs one command under an allocator and writes down what it cost.
 *
 *   driver --> launch --(1) child touches the prewarm memory and exits
 *                     --(2) posix_spawn, LD_PRELOAD only there --> command
 *                     --(3) wait4: status and resource usage of the command and of all its descendants
 *
 *   launch --report FILE [--preload LIB] [--preload-variable NAME] [--prewarm MIB] [--timeout S]
 *          [--sample-ms MS] -- COMMAND [ARGUMENT...]
 *
 * Why not in the driver: a child's ru_maxrss begins with the size of the process that spawned it, and an
 * interpreter is larger than what is measured here. The prewarm memory is touched in a process of its own for
 * the same reason.
 *
 * Law      nothing runs beside the command, unless --sample-ms asks for its resident size over time (a thread
 *          then reads /proc; such runs are not used for times)
 * Signals  INT, TERM, HUP and the timeout kill the command's whole process group
 * Failure  one line on stderr, exit status 2; the command's own failure is a report, not a failure of launch */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SAMPLES_MAX = 1 << 16, MIB = 1 << 20, PROCESSES_MAX = 256 };

extern char **environ;

struct options {
    const char *report, *preload, *preload_variable;
    long prewarm_mib, timeout_s, sample_ms;
    char **command;
};

struct sample {
    double at_s;
    long rss_kib;
};

static volatile sig_atomic_t group; /* the command's process group, once it runs */
static volatile sig_atomic_t timed_out;
static atomic_int ended;
static struct sample samples[SAMPLES_MAX];
static unsigned sample_count;
static double start_s;

static _Noreturn void fail(const char *what, const char *detail)
{
    fprintf(stderr, "launch: %s %s\n", what, detail);
    exit(2);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static long number_read(const char *text)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < 0)
        fail("not a number:", text);
    return number;
}

static void option_set(struct options *options, const char *name, const char *value)
{
    if (strcmp(name, "--report") == 0)
        options->report = value;
    else if (strcmp(name, "--preload") == 0)
        options->preload = value;
    else if (strcmp(name, "--preload-variable") == 0)
        options->preload_variable = value;
    else if (strcmp(name, "--prewarm") == 0)
        options->prewarm_mib = number_read(value);
    else if (strcmp(name, "--timeout") == 0)
        options->timeout_s = number_read(value);
    else if (strcmp(name, "--sample-ms") == 0)
        options->sample_ms = number_read(value);
    else
        fail("no such option:", name);
}

static struct options options_read(char **argv)
{
    struct options options = {.preload_variable = "LD_PRELOAD"};
    char **at = argv + 1;
    for (; *at != NULL && strcmp(*at, "--") != 0; at += 2) {
        if (at[1] == NULL)
            fail("an option without its value:", *at);
        option_set(&options, at[0], at[1]);
    }
    if (*at == NULL || at[1] == NULL || options.report == NULL)
        fail("usage:", "launch --report FILE [options] -- COMMAND...");
    options.command = at + 1;
    return options;
}

/* A virtual machine may have given free pages back to its host; touching them again here takes that cost out
 * of the run. Whether it succeeds does not matter. */
static void prewarm(long mib)
{
    pid_t child = mib > 0 ? fork() : -1;
    if (child == 0) {
        size_t bytes = (size_t)mib * MIB;
        char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (size_t i = 0; at != MAP_FAILED && i < bytes; i += 4096)
            at[i] = 1;
        _exit(0);
    }
    if (child > 0)
        waitpid(child, NULL, 0);
}

static void group_kill(int signal)
{
    timed_out = signal == SIGALRM;
    if (group != 0)
        kill(-group, SIGKILL);
    else
        _exit(2);
}

static void signals_set(long timeout_s)
{
    static const int all[] = {SIGINT, SIGTERM, SIGHUP, SIGALRM};
    struct sigaction action = {.sa_handler = group_kill, .sa_flags = SA_RESTART};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        sigaction(all[i], &action, NULL);
    alarm((unsigned)timeout_s);
}

static pid_t command_spawn(const struct options *options)
{
    pid_t child;
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes, 0);
    if (options->preload != NULL)
        setenv(options->preload_variable, options->preload, 1);
    start_s = now_s();
    int error = posix_spawnp(&child, options->command[0], NULL, &attributes, options->command, environ);
    if (error != 0) {
        errno = error;
        fail("cannot run:", options->command[0]);
    }
    return child;
}

/* The process group of a process, and its resident pages; 0 when it is gone. */
static long group_rss_pages(const char *pid, pid_t wanted)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%.16s/stat", pid);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    text[length < 0 ? 0 : length] = '\0';
    const char *rest = strrchr(text, ')');
    long process_group = 0, pages = 0;
    /* fields 3 .. 24 of proc(5): state, parent, group, ..., rss */
    if (rest == NULL ||
        sscanf(rest,
               ") %*c %*d %ld %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
               "%*u %*u %ld",
               &process_group, &pages) != 2)
        return 0;
    return process_group == (long)wanted ? pages : 0;
}

static long group_rss_kib(void)
{
    long pages = 0;
    DIR *directory = opendir("/proc");
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9')
            pages += group_rss_pages(entry->d_name, group);
    if (directory != NULL)
        closedir(directory);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void *sampler_main(void *argument)
{
    const struct options *options = argument;
    struct timespec pause = {options->sample_ms / 1000, options->sample_ms % 1000 * 1000000L};
    while (!atomic_load_explicit(&ended, memory_order_relaxed) &&
           sample_count < SAMPLES_MAX) { /* a flag alone */
        long rss_kib = group_rss_kib();
        if (rss_kib > 0)
            samples[sample_count++] = (struct sample){now_s() - start_s, rss_kib};
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static void samples_print(FILE *report)
{
    fprintf(report, ", \"rss\": [");
    for (unsigned i = 0; i < sample_count; i++)
        fprintf(report, "%s[%.3f, %ld]", i == 0 ? "" : ", ", samples[i].at_s, samples[i].rss_kib);
    fprintf(report, "]");
}

static void report_write(const struct options *options, int status, double wall_s, const struct rusage *usage)
{
    FILE *report = fopen(options->report, "w");
    if (report == NULL)
        fail("cannot write:", options->report);
    fprintf(report, "{\"exit\": %d, \"signal\": %d, \"timed_out\": %s",
            WIFEXITED(status) ? WEXITSTATUS(status) : -1, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
            timed_out ? "true" : "false");
    fprintf(report, ", \"wall_s\": %.6f, \"user_s\": %.6f, \"system_s\": %.6f", wall_s,
            seconds(usage->ru_utime), seconds(usage->ru_stime));
    fprintf(report, ", \"peak_rss_kib\": %ld, \"minor_faults\": %ld, \"major_faults\": %ld", usage->ru_maxrss,
            usage->ru_minflt, usage->ru_majflt);
    fprintf(report, ", \"switches_voluntary\": %ld, \"switches_forced\": %ld", usage->ru_nvcsw,
            usage->ru_nivcsw);
    samples_print(report);
    fprintf(report, "}\n");
    if (fclose(report) != 0)
        fail("cannot write:", options->report);
}

int main(int argc, char **argv)
{
    (void)argc;
    struct options options = options_read(argv);
    struct rusage usage;
    pthread_t sampler;
    int status;
    prewarm(options.prewarm_mib);
    signals_set(options.timeout_s);
    pid_t child = command_spawn(&options);
    group = child;
    if (options.sample_ms > 0 && pthread_create(&sampler, NULL, sampler_main, &options) != 0)
        fail("cannot start", "the sampler");
    while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR)
        continue;
    double wall_s = now_s() - start_s;
    alarm(0);
    atomic_store_explicit(&ended, 1, memory_order_relaxed);
    if (options.sample_ms > 0)
        pthread_join(sampler, NULL);
    kill(-child, SIGKILL); /* whatever the command has left running */
    report_write(&options, status, wall_s, &usage);
    return 0;
}
