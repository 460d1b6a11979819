/* inject.c - the N-th system call fails, for every N: the allocator answers NULL with ENOMEM or does without, and never
 * crashes, corrupts a block, or loses one for good.
 *
 * mapping is mmap and mprotect together: a refused change of protection is not made up for by a new mapping.
 *
 *   parent: for each workload, call, mode and N: fork --> child: a fresh core, one failure (or all from the N-th on)
 *   child:  the workload, which goes on after a NULL; then without failures: all blocks are freed, nothing is live, the
 *           heap works. It ends at the first N that the workload does not reach.
 *
 * The core is linked with --wrap for each call, so that its references come here; nothing in the library knows of this.
 * getrandom and pthread_create are not called by the library; the thread workload's own pthread_create fails too.
 *
 *   inject [--least N] [--step N | --most N] [--seed N] [--only WORKLOAD] [--list]
 *
 * Of each workload, call and mode every N-th number (--step), or about N of them from the first to the last (--most). One
 * line a workload and call; the last says how many injections there were. Exit status: 0, 1 something failed, 2 wrong
 * usage. */
#define _GNU_SOURCE
#include "front/alloc.h"
#include "front/init.h"
#include "front/stats.h"
#include "heap/upkeep.h"
#include "wrapped.h"
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the calls that fail ------------------------------------------------------------------------------------------------ */

#define CALLS(X)                                                                                                             \
    X(mmap, ENOMEM) X(munmap, ENOMEM) X(mprotect, ENOMEM) X(madvise, EAGAIN) X(mremap, ENOMEM) X(pthread_create, EAGAIN)   \
    X(mapping, ENOMEM)

enum call {
#define X(name, error) CALL_##name,
    CALLS(X)
#undef X
        CALL_COUNT
};

static const char *const call_names[CALL_COUNT] = {
#define X(name, error) #name,
    CALLS(X)
#undef X
};

enum mode { ONCE, FROM_THEN_ON, MODE_COUNT };

static enum call failing = CALL_COUNT; /* CALL_COUNT: none */
static enum mode failing_mode;
static uint64_t failing_at; /* counted from 1 */
static _Atomic uint64_t calls[CALL_COUNT];

static bool number_fails(enum call call)
{
    uint64_t number = atomic_fetch_add(&calls[call], 1) + 1;
    return call == failing && (failing_mode == ONCE ? number == failing_at : number >= failing_at);
}

static bool fails(enum call call)
{
    bool is_mapping = call == CALL_mmap || call == CALL_mprotect;
    bool both_fail = is_mapping && number_fails(CALL_mapping);
    return number_fails(call) || both_fail;
}

static int refuse(int error)
{
    errno = error;
    return -1;
}

/* errno means nothing after a call that went well: whoever has to keep the program's must have saved it before. */
static int went_well(int answer)
{
    if (answer == 0)
        errno = EDOM;
    return answer;
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument);

void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int descriptor, off_t offset)
{
    if (fails(CALL_mmap)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return __real_mmap(address, bytes, protection, flags, descriptor, offset);
}

/* Its name with _FILE_OFFSET_BITS=64. */
void *__wrap_mmap64(void *address, size_t bytes, int protection, int flags, int descriptor, off_t offset)
{
    return __wrap_mmap(address, bytes, protection, flags, descriptor, offset);
}

int __wrap_munmap(void *address, size_t bytes)
{
    return fails(CALL_munmap) ? refuse(ENOMEM) : went_well(__real_munmap(address, bytes));
}

int __wrap_mprotect(void *address, size_t bytes, int protection)
{
    return fails(CALL_mprotect) ? refuse(ENOMEM) : went_well(__real_mprotect(address, bytes, protection));
}

int __wrap_madvise(void *address, size_t bytes, int advice)
{
    return fails(CALL_madvise) ? refuse(EAGAIN) : went_well(__real_madvise(address, bytes, advice));
}

void *__wrap_mremap(void *address, size_t old_bytes, size_t new_bytes, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    void *target = (flags & MREMAP_FIXED) != 0 ? va_arg(list, void *) : NULL;
    va_end(list);
    if (fails(CALL_mremap)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return __real_mremap(address, old_bytes, new_bytes, flags, target);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument)
{
    return fails(CALL_pthread_create) ? EAGAIN : __real_pthread_create(thread, attributes, body, argument);
}

/* ---- what the child does ------------------------------------------------------------------------------------------------- */

enum { SLOTS = 400, THREADS = 4 };

struct block {
    unsigned char *p;
    size_t size;
    unsigned tag;
};

struct table {
    struct block block[SLOTS];
    uint64_t random;
};

static const char *wrong; /* what a child found */
static uint64_t seed = 1;

static void say(const char *what)
{
    if (wrong == NULL)
        wrong = what;
}

static uint64_t draw(struct table *table, uint64_t bound)
{
    table->random = table->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (table->random >> 33) % bound;
}

/* Only the ends of large blocks are written: the interest is in the calls, not in page faults. */
enum { EDGE = 300 };

static void block_fill(const struct block *block)
{
    size_t edge = block->size < EDGE ? block->size : EDGE;
    memset(block->p, (int)(block->tag & 0xFF), edge);
    memset(block->p + block->size - edge, (int)(block->tag & 0xFF), edge);
}

static bool bytes_are(const unsigned char *p, size_t count, unsigned value)
{
    for (size_t i = 0; i < count; i++)
        if (p[i] != (value & 0xFF))
            return false;
    return true;
}

static void block_check(const struct block *block)
{
    size_t edge = block->size < EDGE ? block->size : EDGE;
    if (!bytes_are(block->p, edge, block->tag) || !bytes_are(block->p + block->size - edge, edge, block->tag))
        say("a block's contents have changed");
}

static void refused(void)
{
    if (errno != ENOMEM)
        say("NULL without ENOMEM");
}

static void block_make(struct table *table, struct block *block, size_t size)
{
    errno = 0;
    switch (draw(table, 4)) {
    case 0:
        block->p = neb_calloc(1, size);
        if (block->p != NULL && !bytes_are(block->p, size < 5000 ? size : 5000, 0))
            say("calloc's memory is not zero");
        break;
    case 1:
        block->p = neb_memalign((size_t)16 << draw(table, 15), size);
        break;
    default:
        block->p = neb_malloc(size);
    }
    block->size = size;
    block->tag = (unsigned)draw(table, 255) + 1;
    if (block->p == NULL)
        refused();
    else
        block_fill(block);
}

static void block_resize(struct block *block, size_t size)
{
    errno = 0;
    unsigned char *p = neb_realloc(block->p, size);
    if (p == NULL) {
        refused();
        block_check(block); /* it is as it was */
        return;
    }
    size_t edge = block->size < size ? block->size : size;
    if (!bytes_are(p, edge < EDGE ? edge : EDGE, block->tag))
        say("realloc lost the contents");
    block->p = p;
    block->size = size;
    block_fill(block);
}

static void block_drop(struct block *block)
{
    block_check(block);
    errno = 1234;
    neb_free(block->p);
    if (errno != 1234)
        say("free changed errno");
    block->p = NULL;
}

static void step(struct table *table, size_t (*size_of)(struct table *))
{
    struct block *block = &table->block[draw(table, SLOTS)];
    if (block->p == NULL)
        block_make(table, block, size_of(table));
    else if (draw(table, 3) == 0)
        block_resize(block, size_of(table));
    else
        block_drop(block);
}

static void table_drop(struct table *table)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (table->block[i].p != NULL)
            block_drop(&table->block[i]);
}

static size_t size_small(struct table *table)
{
    return 1 + draw(table, draw(table, 10) == 0 ? 30000 : 700);
}

static size_t size_large(struct table *table)
{
    return 1 + draw(table, draw(table, 3) == 0 ? (uint64_t)12 << 20 : (uint64_t)2 << 20);
}

static size_t size_mixed(struct table *table)
{
    return draw(table, 40) == 0 ? size_large(table) : size_small(table);
}

static struct table tables[THREADS + 1]; /* one for each thread, one for main */

/* As an interpreter: small objects that come and go, all of them dropped now and then, memory given back. */
static void work_small(void)
{
    for (int turn = 0; turn < 6; turn++) {
        for (int i = 0; i < 4000; i++)
            step(&tables[0], size_small);
        if (turn % 2 == 1)
            table_drop(&tables[0]);
        (void)neb_trim();
    }
}

/* As an image editor: large and huge blocks that grow and shrink. */
static void work_large(void)
{
    for (int i = 0; i < 700; i++) {
        step(&tables[0], size_large);
        if (i % 100 == 99)
            (void)neb_trim();
    }
}

static void *thread_body(void *argument)
{
    struct table *table = argument;
    for (int i = 0; i < 1500; i++)
        step(table, size_mixed);
    return NULL;
}

/* As a server: threads that come and go, and leave their blocks to the next. */
static void work_threads(void)
{
    for (int turn = 0; turn < 4; turn++) {
        pthread_t threads[THREADS];
        int started = 0;
        while (started < THREADS && pthread_create(&threads[started], NULL, thread_body, &tables[(started + turn) % THREADS]) == 0)
            started++;
        for (int i = 0; i < 300; i++)
            step(&tables[THREADS], size_small);
        for (int i = 0; i < started; i++)
            (void)pthread_join(threads[i], NULL);
        for (int i = 0; i < 300; i++)
            step(&tables[turn % THREADS], size_mixed); /* what its threads left */
    }
}

/* As a compiler: one heap that only grows, then is resized a lot, then is gone. */
static void work_growing(void)
{
    static void *chain;
    for (int i = 0; i < 30000; i++) {
        void **link = neb_malloc(16 + (size_t)i % 600);
        if (link == NULL)
            continue;
        *link = chain;
        chain = link;
    }
    for (int i = 0; i < 300; i++)
        step(&tables[0], size_mixed);
    while (chain != NULL) {
        void *next = *(void **)chain;
        neb_free(chain);
        chain = next;
    }
    (void)neb_trim();
}

static const struct workload {
    const char *name;
    void (*run)(void);
    bool has_threads;
} workloads[] = {
    {"small", work_small, false},
    {"large", work_large, false},
    {"threads", work_threads, true},
    {"growing", work_growing, false},
};
enum { WORKLOADS = sizeof workloads / sizeof workloads[0] };

static void shared_heap_trim(void)
{
    neb_lock_take(&neb_locks[LOCK_SHARED_HEAP]);
    if (neb_heap_shared.id != 0)
        (void)neb_heap_trim(&neb_heap_shared);
    neb_lock_give(&neb_locks[LOCK_SHARED_HEAP]);
}

/* Everything was freed: nothing is live, but for blocks that were lost and counted while there was no memory. */
static void check_at_rest(void)
{
    struct stats stats;
    for (int turn = 0; turn < 3; turn++) { /* what one trim sends, the next one receives */
        (void)neb_trim();
        shared_heap_trim();
    }
    neb_stats_take(&stats);
    if (stats.all.live != stats.blocks_lost)
        say("small blocks are live after all were freed");
    if (stats.large.large_blocks != 0 || stats.large.huge_blocks != 0)
        say("large blocks are live after all were freed");
    if (stats.blocks_lost != 0 && failing != CALL_mmap && failing != CALL_mapping)
        say("blocks were lost though there was memory");
}

static void child_live(const struct workload *workload)
{
    for (unsigned i = 0; i <= THREADS; i++)
        tables[i].random = seed * 1000 + i;
    neb_init(environ);
    workload->run();
    failing_mode = ONCE;
    failing_at = 0;
    for (unsigned i = 0; i <= THREADS; i++)
        table_drop(&tables[i]);
    check_at_rest();
    for (int i = 0; i < 2000; i++)
        step(&tables[0], size_mixed);
    table_drop(&tables[0]);
}

/* ---- the parent ------------------------------------------------------------------------------------------------------------ */

enum { CHILD_SECONDS = 120 };

struct report { /* in memory that parent and child share */
    uint64_t calls;
    char wrong[120];
};

static struct report *report;
static uint64_t injections, failures;

static void say_failure(const struct workload *workload, enum call call, enum mode mode, uint64_t number, int status)
{
    failures++;
    printf("FAILED %s: %s number %" PRIu64 "%s, seed %" PRIu64 ": ", workload->name, call_names[call], number,
           mode == ONCE ? "" : " and all after it", seed);
    if (WIFSIGNALED(status))
        printf("signal %d%s\n", WTERMSIG(status), WTERMSIG(status) == SIGALRM ? " (it hung)" : "");
    else
        printf("%s\n", report->wrong);
}

/* How the workload ends in a process of its own where the call with this number fails; number 0: none does. */
static int child_status(const struct workload *workload, enum call call, enum mode mode, uint64_t number)
{
    int status = -1;
    memset(report, 0, sizeof *report);
    (void)fflush(stdout);
    pid_t child = fork();
    if (child < 0) {
        perror("inject: fork");
        exit(1);
    }
    if (child == 0) {
        (void)alarm(CHILD_SECONDS);
        failing = call;
        failing_mode = mode;
        failing_at = number;
        child_live(workload);
        report->calls = atomic_load(&calls[call]);
        if (wrong != NULL)
            (void)snprintf(report->wrong, sizeof report->wrong, "%s", wrong);
        _exit(wrong != NULL);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

/* Whether the workload comes to this call; counts and reports. */
static bool inject(const struct workload *workload, enum call call, enum mode mode, uint64_t number)
{
    int status = child_status(workload, call, mode, number);
    if (status != 0)
        say_failure(workload, call, mode, number, status);
    bool reached = status != 0 || report->calls >= number;
    injections += reached;
    return reached;
}

/* Between numbers that are about so many together. What fails where nothing is refused fails at number 1 too, and is told
 * then. */
static uint64_t step_for(const struct workload *workload, enum call call, uint64_t most)
{
    return child_status(workload, call, ONCE, 0) == 0 ? report->calls / most + 1 : 1;
}

/* most 0: as many as the step says. */
static void inject_all(const struct workload *workload, uint64_t step_width, uint64_t most)
{
    for (enum call call = 0; call < CALL_COUNT; call++) {
        if (most != 0)
            step_width = step_for(workload, call, most);
        for (enum mode mode = 0; mode < MODE_COUNT; mode++) {
            uint64_t before = injections, failed = failures, number = 1;
            if (call == CALL_mapping && mode == ONCE)
                continue; /* one of the two fails: that was done */
            while (failures - failed < 5 && inject(workload, call, mode, number))
                number += step_width;
            printf("%s: %s, %s: %" PRIu64 " injections\n", workload->name, call_names[call],
                   mode == ONCE ? "one fails" : "all fail from one on", injections - before);
        }
    }
}

static uint64_t number_of(const char *text)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value == 0) {
        fprintf(stderr, "inject: '%s' is not a number from 1 on\n", text);
        exit(2);
    }
    return value;
}

static const struct workload *workload_named(const char *name)
{
    for (unsigned i = 0; i < WORKLOADS; i++)
        if (strcmp(workloads[i].name, name) == 0)
            return &workloads[i];
    fprintf(stderr, "inject: no workload '%s'; --list names them\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"least", required_argument, NULL, 'l'}, {"step", required_argument, NULL, 's'},
                                            {"most", required_argument, NULL, 'm'},  {"seed", required_argument, NULL, 'r'},
                                            {"only", required_argument, NULL, 'o'},  {"list", no_argument, NULL, 'n'},
                                            {NULL, 0, NULL, 0}};
    const struct workload *only = NULL;
    uint64_t least = 1, step_width = 1, most = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (option) {
        case 'l':
            least = number_of(optarg);
            break;
        case 's':
            step_width = number_of(optarg);
            break;
        case 'm':
            most = number_of(optarg);
            break;
        case 'r':
            seed = number_of(optarg);
            break;
        case 'o':
            only = workload_named(optarg);
            break;
        case 'n':
            for (unsigned i = 0; i < WORKLOADS; i++)
                puts(workloads[i].name);
            return 0;
        default:
            fprintf(stderr, "usage: inject [--least N] [--step N | --most N] [--seed N] [--only WORKLOAD] [--list]\n");
            return 2;
        }
    if (most != 0 && step_width != 1) {
        fprintf(stderr, "inject: --step and --most exclude each other\n");
        return 2;
    }
    report = __real_mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED) {
        perror("inject: mmap");
        return 1;
    }
    do {
        for (unsigned i = 0; i < WORKLOADS; i++)
            if (only == NULL || only == &workloads[i])
                inject_all(&workloads[i], step_width, most);
        seed++;
    } while (injections < least && failures == 0);
    printf("%" PRIu64 " injections, %" PRIu64 " failures\n", injections, failures);
    return failures == 0 && injections > 0 ? 0 : 1;
}
