/* stress.c - mixed sizes, many short threads, cross-thread frees, forks; every byte of every block is
 * verified.
 *
 *   worker: a table of blocks; at each step one of them is allocated, verified and freed, resized, sent or
 * received queues: blocks on their way from one thread to another main:   starts a worker for each that
 * ended, until the time is over
 *
 * A block is known by an id that does not depend on its address; its contents follow from seed and id. So a
 * block that was handed out twice, moved wrongly, cleared, purged, or written to by the allocator differs
 * from what it should be, and the message says where. The bookkeeping lives outside of the allocator: static
 * memory and stacks.
 *
 * Exit status: 0; 2 wrong usage; 3 the wrong allocator; else it aborts after one line that begins with
 * "stress: FAILED". */
#define _GNU_SOURCE
#include "stress/api.h"
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    THREADS_MAX = 64,
    SLOTS = 768, /* blocks of one worker */
    QUEUES = 8,
    QUEUE_SLOTS = 256,
    CHILD_STEPS = 400,   /* what a forked child does before it exits */
    CHILD_SECONDS = 300, /* a child that still runs then hangs */
    LATE_ROUNDS = API_LATE_ROUNDS
};

/* What is done how often: shares, not percent. */
struct preset {
    const char *name;
    unsigned small, medium, large, huge;          /* sizes up to 1 KiB, 32 KiB, 2 MiB, 8 MiB */
    unsigned release, resize, send;               /* what happens to a block */
    uint32_t steps_min, steps_max;                /* in a worker's life */
    uint32_t fork_every, trim_every, query_every; /* steps, on average; 0: never */
};

static const struct preset presets[] = {
    {"mixed", 900, 90, 8, 2, 60, 20, 20, 2000, 60000, 20000, 20000, 10000},
    {"small", 1000, 0, 0, 0, 70, 10, 20, 5000, 200000, 100000, 100000, 100000},
    {"large", 100, 300, 500, 100, 50, 40, 10, 200, 2000, 1500, 1000, 500},
    {"threads", 960, 38, 2, 0, 60, 10, 30, 1, 300, 3000, 3000, 3000},
    {"queue", 950, 49, 1, 0, 20, 5, 75, 5000, 50000, 50000, 50000, 50000},
    {"fork", 950, 45, 4, 1, 60, 20, 20, 1000, 5000, 500, 5000, 5000},
    {"resize", 600, 300, 90, 10, 15, 80, 5, 2000, 20000, 20000, 10000, 10000},
};
enum { PRESETS = sizeof presets / sizeof presets[0] };

struct block {
    unsigned char *p; /* NULL: none */
    size_t size;      /* asked for */
    size_t filled;    /* bytes with contents; at least size */
    uint64_t id;
};

struct queue {
    pthread_mutex_t mutex;
    size_t count;
    struct block block[QUEUE_SLOTS];
};

struct worker {
    uint64_t random;
    uint64_t serial; /* of the thread */
    uint64_t blocks; /* made by this thread, for their ids */
    uint64_t steps;
    struct block late[LATE_ROUNDS];
    unsigned late_round;
    bool is_child;
    struct block slot[SLOTS];
};

static uint64_t seed;
static const struct preset *preset = &presets[0];
static size_t bytes_max = (size_t)256 << 20;
static uint64_t spoil_at;       /* the first block from this one on that has contents is spoiled on purpose; 0: none */
static _Atomic bool is_spoiled; /* it was */
static struct queue queues[QUEUES];
static struct worker workers[THREADS_MAX];
static pthread_key_t late_key;
static _Atomic bool is_over;
static _Atomic size_t bytes_live;
static _Atomic uint64_t total_steps, total_blocks, total_forks, total_threads;

/* ---- chance
 * ----------------------------------------------------------------------------------------------------------
 */

static uint64_t mix(uint64_t x) /* splitmix64's finaliser */
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static uint64_t random_next(struct worker *worker)
{
    worker->random += UINT64_C(0x9E3779B97F4A7C15);
    return mix(worker->random);
}

static size_t random_below(struct worker *worker, size_t bound)
{
    return (size_t)(random_next(worker) % bound);
}

static bool chance(struct worker *worker, uint32_t every)
{
    return every != 0 && random_below(worker, every) == 0;
}

/* Every size from low to high, small ones more often: the number of bits is what is drawn. */
static size_t size_between(struct worker *worker, unsigned low_bits, unsigned high_bits)
{
    unsigned bits = low_bits + (unsigned)random_below(worker, high_bits - low_bits + 1);
    size_t top = (size_t)1 << bits;
    switch (random_below(worker, 4)) {
    case 0:
        return top; /* borders of classes and granules are where mistakes live */
    case 1:
        return top - random_below(worker, top < 32 ? top : 17);
    default:
        return top - random_below(worker, top / 2 + 1);
    }
}

static size_t size_any(struct worker *worker)
{
    size_t draw = random_below(worker, preset->small + preset->medium + preset->large + preset->huge);
    bool is_full = atomic_load_explicit(&bytes_live, memory_order_relaxed) > bytes_max;
    if (draw < preset->small || is_full)
        return size_between(worker, 3, 10);
    if (draw < preset->small + preset->medium)
        return size_between(worker, 10, 15);
    if (draw < preset->small + preset->medium + preset->large)
        return size_between(worker, 15, 21);
    return size_between(worker, 21, 23);
}

/* ---- contents
 * ---------------------------------------------------------------------------------------------------------
 */

static uint64_t pattern(uint64_t id, size_t word)
{
    return mix(seed ^ id) + word * UINT64_C(0x9E3779B97F4A7C15);
}

static void block_fill(struct block *block)
{
    size_t words = block->filled / 8;
    for (size_t i = 0; i < words; i++) {
        uint64_t value = pattern(block->id, i);
        memcpy(block->p + 8 * i, &value, 8);
    }
    uint64_t value = pattern(block->id, words);
    memcpy(block->p + 8 * words, &value, block->filled % 8);
}

static _Noreturn void fail(const struct worker *worker, const struct block *block, const char *what)
{
    fprintf(stderr,
            "stress: FAILED: %s; block %p of %zu bytes (%zu filled), id %" PRIu64 ", thread %" PRIu64
            ", step %" PRIu64 "%s;"
            " --seed %" PRIu64 " --preset %s\n",
            what, (void *)block->p, block->size, block->filled, block->id, worker->serial, worker->steps,
            worker->is_child ? " of a forked child" : "", seed, preset->name);
    abort();
}

static _Noreturn void fail_at(const struct worker *worker, const struct block *block, const char *when,
                              size_t offset, unsigned want)
{
    char what[160];
    (void)snprintf(what, sizeof what, "contents differ at %s: byte %zu is 0x%02x instead of 0x%02x", when,
                   offset, block->p[offset], want);
    fail(worker, block, what);
}

static void verify_bytes(const struct worker *worker, const struct block *block, const char *when,
                         size_t word, size_t count)
{
    uint64_t value = pattern(block->id, word);
    unsigned char want[8];
    memcpy(want, &value, 8);
    for (size_t i = 0; i < count; i++)
        if (block->p[8 * word + i] != want[i])
            fail_at(worker, block, when, 8 * word + i, want[i]);
}

static void block_verify(const struct worker *worker, const struct block *block, const char *when,
                         size_t bytes)
{
    for (size_t i = 0; i < bytes / 8; i++) {
        uint64_t value = pattern(block->id, i), found;
        memcpy(&found, block->p + 8 * i, 8);
        if (found != value)
            verify_bytes(worker, block, when, i, 8);
    }
    verify_bytes(worker, block, when, bytes / 8, bytes % 8);
}

static void verify_zero(const struct worker *worker, const struct block *block)
{
    for (size_t i = 0; i < block->size; i++)
        if (block->p[i] != 0)
            fail_at(worker, block, "calloc", i, 0);
}

/* ---- blocks
 * ------------------------------------------------------------------------------------------------------------
 */

/* A third of the blocks is used to the end of what the allocator says is usable. */
static void block_begin(struct worker *worker, struct block *block)
{
    size_t usable = api_usable_size(block->p);
    if (usable < block->size)
        fail(worker, block, "malloc_usable_size is less than was asked for");
    block->filled = worker->blocks % 3 == 0 ? usable : block->size;
    block->id = (worker->serial << 40) + ++worker->blocks;
    block_fill(block);
    atomic_fetch_add_explicit(&bytes_live, block->size, memory_order_relaxed);
    uint64_t number = atomic_fetch_add_explicit(&total_blocks, 1, memory_order_relaxed) + 1;
    if (spoil_at != 0 && number >= spoil_at && block->filled > 0 && !atomic_exchange(&is_spoiled, true))
        block->p[block->filled / 2] ^= 1;
}

static void check_alignment(const struct worker *worker, const struct block *block, size_t alignment)
{
    if ((uintptr_t)block->p % alignment != 0)
        fail(worker, block, "the block is not aligned");
}

static void block_make(struct worker *worker, struct block *block)
{
    size_t alignment = 16;
    block->size = chance(worker, 200) ? 0 : size_any(worker);
    block->id = block->filled = 0;
    switch (random_below(worker, 16)) {
    case 0:
    case 1:
        block->p = api_calloc(block->size / 8 + 1, 8);
        block->size = (block->size / 8 + 1) * 8;
        if (block->p != NULL)
            verify_zero(worker, block);
        break;
    case 2:
        alignment = (size_t)1 << random_below(worker, 18);
        block->p = api_memalign(alignment, block->size);
        break;
    case 3:
        block->p = api_realloc(NULL, block->size);
        break;
    default:
        block->p = api_malloc(block->size);
    }
    if (block->p == NULL)
        fail(worker, block, "out of memory");
    check_alignment(worker, block, alignment);
    block_begin(worker, block);
}

static void block_free(struct worker *worker, struct block *block)
{
    block_verify(worker, block, "free", block->filled);
    atomic_fetch_sub_explicit(&bytes_live, block->size, memory_order_relaxed);
    int before = (int)random_below(worker, 100);
    errno = before;
    api_free(block->p);
    if (errno != before)
        fail(worker, block, "free changed errno");
    block->p = NULL;
}

static void block_resize(struct worker *worker, struct block *block)
{
    size_t size = size_any(worker);
    if (random_below(worker, 2) == 0) { /* by steps, as growing buffers are */
        size = block->size + block->size / 2 + 1;
        if (size > (size_t)8 << 20 ||
            (size > 65536 && atomic_load_explicit(&bytes_live, memory_order_relaxed) > bytes_max))
            size = 1 + random_below(worker, block->size + 1);
    }
    block_verify(worker, block, "realloc", block->filled);
    unsigned char *p =
        random_below(worker, 4) == 0 ? api_reallocarray(block->p, size, 1) : api_realloc(block->p, size);
    if (p == NULL)
        fail(worker, block, "out of memory in realloc");
    size_t kept = size < block->size ? size : block->size;
    atomic_fetch_sub_explicit(&bytes_live, block->size, memory_order_relaxed);
    block->p = p;
    block->size = size;
    block_verify(worker, block, "return of realloc", kept);
    check_alignment(worker, block, 16);
    block_begin(worker, block);
}

/* ---- between threads
 * ---------------------------------------------------------------------------------------------------- */

static bool queue_enter(const struct worker *worker, struct queue *queue)
{
    if (!worker->is_child)
        return pthread_mutex_lock(&queue->mutex) == 0;
    return false; /* a child can't know what the thread that held the mutex was doing */
}

/* Swaps with a random entry once the queue is full, so that blocks are in it for very different times. */
static void block_send(struct worker *worker, struct block *block)
{
    struct queue *queue = &queues[random_below(worker, QUEUES)];
    if (!queue_enter(worker, queue))
        return;
    if (queue->count < QUEUE_SLOTS) {
        queue->block[queue->count++] = *block;
        block->p = NULL;
    } else {
        size_t index = random_below(worker, QUEUE_SLOTS);
        struct block other = queue->block[index];
        queue->block[index] = *block;
        *block = other;
    }
    (void)pthread_mutex_unlock(&queue->mutex);
}

static bool block_receive(struct worker *worker, struct block *block)
{
    struct queue *queue = &queues[random_below(worker, QUEUES)];
    if (!queue_enter(worker, queue))
        return false;
    if (queue->count > 0)
        *block = queue->block[--queue->count];
    (void)pthread_mutex_unlock(&queue->mutex);
    return block->p != NULL;
}

/* ---- a worker's life
 * ---------------------------------------------------------------------------------------------------- */

static void slot_step(struct worker *worker, struct block *block)
{
    size_t draw = random_below(worker, preset->release + preset->resize + preset->send);
    if (block->p == NULL) {
        if (draw < preset->release + preset->resize || !block_receive(worker, block))
            block_make(worker, block);
    } else if (draw < preset->release) {
        block_free(worker, block);
    } else if (draw < preset->release + preset->resize) {
        block_resize(worker, block);
    } else {
        block_send(worker, block);
    }
}

static void step(struct worker *worker)
{
    worker->steps++;
    slot_step(worker, &worker->slot[random_below(worker, SLOTS)]);
}

/* The last thing a child does is to free all that it inherited from this thread. */
static _Noreturn void child_live(struct worker *worker)
{
    alarm(CHILD_SECONDS);
    worker->is_child = true;
    for (unsigned i = 0; i < CHILD_STEPS; i++)
        step(worker);
    for (unsigned i = 0; i < SLOTS; i++)
        if (worker->slot[i].p != NULL)
            block_free(worker, &worker->slot[i]);
    _exit(0);
}

static void worker_fork(struct worker *worker)
{
    static const struct block none;
    int status;
    pid_t child = fork();
    if (child == 0)
        child_live(worker);
    if (child < 0)
        return; /* the system is short of processes: nothing about the allocator */
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFSIGNALED(status)) {
        char what[80];
        (void)snprintf(what, sizeof what, "a forked child ended by signal %d%s", WTERMSIG(status),
                       WTERMSIG(status) == SIGALRM ? ": it hung" : "");
        fail(worker, &none, what);
    }
    if (WEXITSTATUS(status) != 0)
        fail(worker, &none, "a forked child failed");
    atomic_fetch_add_explicit(&total_forks, 1, memory_order_relaxed);
}

static void worker_query(struct worker *worker)
{
    static const struct block none;
    if (api_bytes_in_use() == 0 && worker->slot[0].p != NULL && worker->slot[0].size > 1 << 20)
        fail(worker, &none, "the allocator says that nothing is in use");
}

/* Blocks that are freed, and new ones made, when the heap's own end may have passed. */
static void late_step(struct worker *worker)
{
    block_free(worker, &worker->late[worker->late_round]);
    if (++worker->late_round < LATE_ROUNDS)
        block_make(worker, &worker->late[worker->late_round]);
}

/* A destructor of the thread, in each round of them. */
static void late_end(void *value)
{
    struct worker *worker = value;
    late_step(worker);
    if (worker->late_round < LATE_ROUNDS)
        (void)pthread_setspecific(late_key, worker);
}

/* Some leave their blocks to others, some take them along. */
static void worker_end(struct worker *worker)
{
    bool sends = random_below(worker, 2) == 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        struct block *block = &worker->slot[i];
        if (block->p != NULL && sends)
            block_send(worker, block);
        if (block->p != NULL)
            block_free(worker, block);
    }
    block_make(worker, &worker->late[0]);
    if (pthread_setspecific(late_key, worker) != 0)
        while (worker->late_round < LATE_ROUNDS)
            late_step(worker);
}

static void *worker_live(void *argument)
{
    struct worker *worker = argument;
    uint64_t life = preset->steps_min + random_below(worker, preset->steps_max - preset->steps_min + 1);
    while (worker->steps < life && !atomic_load_explicit(&is_over, memory_order_relaxed)) {
        step(worker);
        if (chance(worker, preset->fork_every))
            worker_fork(worker);
        if (chance(worker, preset->trim_every))
            api_trim();
        if (chance(worker, preset->query_every))
            worker_query(worker);
    }
    worker_end(worker);
    atomic_fetch_add_explicit(&total_steps, worker->steps, memory_order_relaxed);
    return NULL;
}

/* ---- main
 * ------------------------------------------------------------------------------------------------------------------
 */

static void thread_start(pthread_t *thread, struct worker *worker)
{
    uint64_t serial = atomic_fetch_add_explicit(&total_threads, 1, memory_order_relaxed) + 1;
    memset(worker, 0, sizeof *worker);
    worker->serial = serial;
    worker->random = mix(seed + serial);
    int error = pthread_create(thread, NULL, worker_live, worker);
    if (error != 0) {
        fprintf(stderr, "stress: cannot create a thread: %s\n", strerror(error));
        exit(2);
    }
}

static double seconds_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* One group for each thread slot: starts the next worker when the last one ended. */
static void *succession_live(void *argument)
{
    struct worker *worker = argument;
    pthread_t thread;
    while (!atomic_load_explicit(&is_over, memory_order_relaxed)) {
        thread_start(&thread, worker);
        (void)pthread_join(thread, NULL);
    }
    return NULL;
}

static void queues_drain(void)
{
    static struct worker worker;
    for (unsigned i = 0; i < QUEUES; i++)
        while (queues[i].count > 0)
            block_free(&worker, &queues[i].block[--queues[i].count]);
}

static void run(unsigned threads, double seconds)
{
    pthread_t succession[THREADS_MAX];
    double end = seconds_now() + seconds;
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&succession[i], NULL, succession_live, &workers[i]) != 0) {
            fprintf(stderr, "stress: cannot create %u threads\n", threads);
            exit(2);
        }
    while (seconds_now() < end)
        (void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    atomic_store_explicit(&is_over, true, memory_order_relaxed);
    for (unsigned i = 0; i < threads; i++)
        (void)pthread_join(succession[i], NULL);
    queues_drain();
    if (atomic_load(&bytes_live) != 0) {
        fprintf(stderr, "stress: FAILED: %zu bytes are left; --seed %" PRIu64 "\n", atomic_load(&bytes_live),
                seed);
        abort();
    }
}

static const struct preset *preset_find(const char *name)
{
    for (unsigned i = 0; i < PRESETS; i++)
        if (strcmp(presets[i].name, name) == 0)
            return &presets[i];
    return NULL;
}

static _Noreturn void usage(FILE *stream, int status)
{
    fprintf(stream, "stress [--seconds N] [--threads N] [--seed S] [--preset NAME] [--memory MIB] [--require "
                    "LIBRARY] [--spoil BLOCK]\n"
                    "  --require   fail unless malloc is served by a library whose path contains this word\n"
                    "  --spoil     change a byte of this block, or of the next that has any, to see that it is noticed\n"
                    "  presets:   ");
    for (unsigned i = 0; i < PRESETS; i++)
        fprintf(stream, " %s", presets[i].name);
    fprintf(stream, "\n");
    exit(status);
}

static uint64_t number_of(const char *text, uint64_t min, uint64_t max)
{
    char *end;
    errno = 0;
    uint64_t number = strtoull(text, &end, 0);
    if (errno != 0 || *text == '\0' || *end != '\0' || number < min || number > max) {
        fprintf(stderr, "stress: '%s' is not a number from %" PRIu64 " to %" PRIu64 "\n", text, min, max);
        exit(2);
    }
    return number;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seconds", required_argument, NULL, 's'},
        {"threads", required_argument, NULL, 't'},
        {"seed", required_argument, NULL, 'r'},
        {"preset", required_argument, NULL, 'p'},
        {"memory", required_argument, NULL, 'm'},
        {"require", required_argument, NULL, 'q'},
        {"spoil", required_argument, NULL, 'x'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    unsigned threads = 2;
    uint64_t seconds = 5;
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    seed = mix((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec) % 1000000000u;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        switch (option) {
        case 's':
            seconds = number_of(optarg, 0, 1000000);
            break;
        case 't':
            threads = (unsigned)number_of(optarg, 1, THREADS_MAX);
            break;
        case 'r':
            seed = number_of(optarg, 0, UINT64_MAX);
            break;
        case 'm':
            bytes_max = (size_t)number_of(optarg, 1, 1048576) << 20;
            break;
        case 'x':
            spoil_at = number_of(optarg, 1, UINT64_MAX);
            break;
        case 'p':
            if ((preset = preset_find(optarg)) == NULL)
                usage(stderr, 2);
            break;
        case 'q':
            if (!api_is_from(optarg)) {
                fprintf(stderr, "stress: malloc is not served by %s\n", optarg);
                return 3;
            }
            break;
        case 'h':
            usage(stdout, 0);
        default:
            usage(stderr, 2);
        }
    if (optind != argc)
        usage(stderr, 2);
    printf("stress: %s, --seed %" PRIu64 " --preset %s --threads %u --seconds %" PRIu64 "\n", API_NAME, seed,
           preset->name, threads, seconds);
    fflush(stdout);
    api_start();
    for (unsigned i = 0; i < QUEUES; i++)
        (void)pthread_mutex_init(&queues[i].mutex, NULL);
    if (pthread_key_create(&late_key, late_end) != 0)
        return 2;
    run(threads, (double)seconds);
    printf("stress: passed: %" PRIu64 " steps, %" PRIu64 " blocks, %" PRIu64 " threads, %" PRIu64 " forks\n",
           atomic_load(&total_steps), atomic_load(&total_blocks), atomic_load(&total_threads),
           atomic_load(&total_forks));
    return 0;
}
