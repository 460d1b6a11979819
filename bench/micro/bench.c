/* bench.c - the main program of every micro workload: options, lanes, the wait afterwards, one line of JSON.
 *
 *   NAME [--threads N] [--count N] [--seed N] [--variant NAME] [--settle S[,S...]]
 *
 *   {"checksum": "...", "operations": N, "work_s": S, "settled": [[S, KiB], ...], "latency": {...}}
 *
 * settled: resident size S seconds after the last free. While it waits the program makes one malloc and free
 * every 50 ms, as an idle server does: allocators which give memory back only when they are called get the
 * chance to.
 *
 * Failure  a wrong option: one line on stderr, exit status 2
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { LANES_MAX = 1024, SETTLES_MAX = 4, IDLE_TICK_MS = 50 };

struct settle {
    double after_s;
    long rss_kib;
};

static struct settle settles[SETTLES_MAX];
static unsigned settle_count;
static pthread_barrier_t start_line;

_Noreturn void bench_fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", pattern.name, what);
    _exit(1);
}

static _Noreturn void usage_fail(const char *what, const char *value)
{
    fprintf(stderr, "%s: %s '%s'\n", pattern.name, what, value);
    exit(2);
}

void *bench_map(size_t bytes)
{
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        bench_fail("mmap failed");
    return at;
}

int bench_is(const struct bench *bench, const char *variant)
{
    return strcmp(bench->variant, variant) == 0;
}

void lane_init(struct lane *lane, const struct bench *bench, unsigned index, uint64_t seed)
{
    *lane = (struct lane){.bench = bench, .index = index, .random = seed};
    lane->tag = (uint32_t)random_next(lane);
    if (LATENCY) {
        lane->made = bench_map(sizeof(struct latency));
        lane->freed = bench_map(sizeof(struct latency));
    }
}

void lane_merge(struct lane *into, const struct lane *from)
{
    into->checksum += from->checksum;
    into->operations += from->operations;
    if (!LATENCY)
        return;
    latency_merge(into->made, from->made);
    latency_merge(into->freed, from->freed);
    munmap(from->made, sizeof(struct latency));
    munmap(from->freed, sizeof(struct latency));
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void *lane_main(void *argument)
{
    struct lane *lane = argument;
    pthread_barrier_wait(&start_line);
    pattern.work(lane);
    return NULL;
}

/* Runs the pattern on all lanes; with one lane in the main thread, since some allocators serve that one
 * apart. */
static void lanes_run(struct bench *bench)
{
    pthread_t threads[LANES_MAX];
    if (bench->threads == 1) {
        pattern.work(&bench->lanes[0]);
        return;
    }
    pthread_barrier_init(&start_line, NULL, bench->threads);
    for (unsigned i = 0; i < bench->threads; i++)
        if (pthread_create(&threads[i], NULL, lane_main, &bench->lanes[i]) != 0)
            bench_fail("pthread_create failed");
    for (unsigned i = 0; i < bench->threads; i++)
        pthread_join(threads[i], NULL);
}

static double bench_run(struct bench *bench)
{
    double start = now_s();
    if (pattern.setup != NULL)
        pattern.setup(bench);
    lanes_run(bench);
    if (pattern.finish != NULL)
        pattern.finish(bench);
    return now_s() - start;
}

static long rss_kib(void)
{
    char text[128];
    long pages = 0;
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    if (length > 0) {
        text[length] = '\0';
        sscanf(text, "%*s %ld", &pages);
    }
    close(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void idle_tick(void)
{
    static void *volatile keep;
    struct timespec tick = {0, IDLE_TICK_MS * 1000000L};
    keep = malloc(64);
    free(keep);
    nanosleep(&tick, NULL);
}

static void settle_run(void)
{
    double start = now_s();
    for (unsigned i = 0; i < settle_count; i++) {
        while (now_s() - start < settles[i].after_s)
            idle_tick();
        settles[i].rss_kib = rss_kib();
    }
}

static uint64_t option_number(const char *value)
{
    char *end;
    errno = 0;
    uint64_t number = strtoull(value, &end, 10);
    if (errno != 0 || *end != '\0' || end == value || *value == '-')
        usage_fail("not a number:", value);
    return number;
}

static const char *option_variant(const char *value)
{
    for (const char *const *name = pattern.variants; name != NULL && *name != NULL; name++)
        if (strcmp(*name, value) == 0)
            return *name;
    usage_fail("no such variant:", value);
}

static void option_settle(const char *value)
{
    while (settle_count < SETTLES_MAX) {
        char *end;
        settles[settle_count++].after_s = strtod(value, &end);
        if (end == value || (*end != '\0' && *end != ','))
            usage_fail("not a list of seconds:", value);
        if (*end == '\0')
            return;
        value = end + 1;
    }
    usage_fail("too many times to settle:", value);
}

static void option_set(struct bench *bench, const char *name, const char *value)
{
    if (strcmp(name, "--threads") == 0)
        bench->threads = (unsigned)option_number(value);
    else if (strcmp(name, "--count") == 0)
        bench->count = option_number(value);
    else if (strcmp(name, "--seed") == 0)
        bench->seed = option_number(value);
    else if (strcmp(name, "--variant") == 0)
        bench->variant = option_variant(value);
    else if (strcmp(name, "--settle") == 0)
        option_settle(value);
    else
        usage_fail("no such option:", name);
}

static void options_read(struct bench *bench, int argc, char **argv)
{
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            usage_fail("an option without its value:", argv[i]);
        option_set(bench, argv[i], argv[i + 1]);
    }
    if (bench->threads < pattern.threads_min || bench->threads > LANES_MAX)
        usage_fail("number of threads out of range for", pattern.name);
    if (pattern.variants != NULL && bench->variant[0] == '\0')
        bench->variant = pattern.variants[0];
}

static void lanes_init(struct bench *bench)
{
    bench->lanes = bench_map(bench->threads * sizeof(struct lane));
    for (unsigned i = 0; i < bench->threads; i++)
        lane_init(&bench->lanes[i], bench, i, bench->seed * UINT64_C(0x2545F4914F6CDD1D) + i);
}

static void settle_print(void)
{
    for (unsigned i = 0; i < settle_count; i++)
        printf("%s[%.3f, %ld]", i == 0 ? "" : ", ", settles[i].after_s, settles[i].rss_kib);
}

/* Cycles in a nanosecond, over 20 ms. */
static double cycles_rate(void)
{
    double start_s = now_s();
    uint64_t start = cycles_begin();
    while (now_s() - start_s < 0.02)
        continue;
    return (double)(cycles_end() - start) / ((now_s() - start_s) * 1e9);
}

static void latency_print(const char *name, const struct latency *latency, double rate)
{
    printf("\"%s\": {\"count\": %" PRIu64, name, latency->count);
    printf(", \"p50_ns\": %.1f", (double)latency_percentile(latency, 0.50) / rate);
    printf(", \"p99_ns\": %.1f", (double)latency_percentile(latency, 0.99) / rate);
    printf(", \"p99_9_ns\": %.1f", (double)latency_percentile(latency, 0.999) / rate);
    printf(", \"max_ns\": %.1f}", (double)latency->max / rate);
}

static void latencies_print(const struct lane *total)
{
    static struct latency empty;
    for (int i = 0; i < 10000; i++) {
        uint64_t start = cycles_begin();
        latency_add(&empty, cycles_end() - start);
    }
    double rate = cycles_rate();
    printf(", \"latency\": {");
    latency_print("malloc", total->made, rate);
    printf(", ");
    latency_print("free", total->freed, rate);
    printf(", ");
    latency_print("empty", &empty, rate);
    printf("}");
}

int main(int argc, char **argv)
{
    static struct lane total;
    struct bench bench = {.threads = pattern.threads_min, .count = 1, .seed = 1, .variant = ""};
    options_read(&bench, argc, argv);
    lanes_init(&bench);
    lane_init(&total, &bench, 0, 0);
    double work_s = bench_run(&bench);
    settle_run();
    for (unsigned i = 0; i < bench.threads; i++)
        lane_merge(&total, &bench.lanes[i]);
    printf("{\"checksum\": \"%016" PRIx64 "\", \"operations\": %" PRIu64 ", \"work_s\": %.6f, \"settled\": [",
           total.checksum, total.operations, work_s);
    settle_print();
    printf("]");
    if (LATENCY)
        latencies_print(&total);
    printf("}\n");
    return fflush(stdout) == 0 ? 0 : 1;
}
