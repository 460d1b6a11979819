/* tests/trace/program.c - what is recorded in tests/trace/run: one deterministic deed for each name.
 *
 *   program DEED [N]     prints "ok" (and numbers, where the test needs them) when the deed itself went well */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

static void use(void *p)
{
    __asm__ volatile("" : : "r"(p) : "memory");
}

NOINLINE static void *site_a(size_t size)
{
    void *p = malloc(size);
    use(p);
    return p;
}

NOINLINE static void *site_b(size_t count, size_t size)
{
    void *p = calloc(count, size);
    use(p);
    return p;
}

NOINLINE static void *site_grow(void *p, size_t size)
{
    p = realloc(p, size);
    use(p);
    return p;
}

/* n times: 3 allocations of 100, 200 and 64 bytes, one grown from 64 to 640; 200 and 640 stay until the end, then every
 * second of the former is freed. One large and one huge block come and go in the middle. Per n: 4 allocs (one of them a
 * realloc), 1004 bytes. */
static void known(long n)
{
    void **kept = mmap(NULL, (size_t)(2 * n + 2) * sizeof *kept, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (long i = 0; i < n; i++) {
        void *a = site_a(100);
        kept[2 * i] = site_b(2, 100);
        kept[2 * i + 1] = site_grow(site_a(64), 640);
        free(a);
        if (i == n / 2) {
            void *large = site_a(300000), *huge = site_a(5000000), *aligned = aligned_alloc(4096, 8192);
            use(aligned);
            free(large);
            free(huge);
            free(aligned);
        }
    }
    for (long i = 0; i < n; i += 2)
        free(kept[2 * i]);
}

/* n times: of each size around a power of two up to 1 MiB, 5 blocks; 2 of them stay. */
static void sizes(long n)
{
    for (long i = 0; i < n; i++)
        for (size_t power = 16; power <= 1 << 20; power *= 2)
            for (size_t size = power - 1; size <= power + 1; size++) {
                void *block[5];
                for (int k = 0; k < 5; k++)
                    block[k] = site_a(size);
                free(block[3]);
                free(block[0]);
                free(block[4]);
            }
}

/* Of 50,000 blocks of 40 bytes one in a hundred stays, of 600 of 10,000 bytes one in eight: they keep nearly empty slabs. A large
 * one stays, too. */
static void pins(void)
{
    enum { SMALL = 50000, BIG = 600 };
    void **block = mmap(NULL, SMALL * sizeof *block, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < SMALL; i++)
        block[i] = i % 100 == 0 ? site_b(1, 40) : site_a(40);
    for (int i = 0; i < SMALL; i++)
        if (i % 100 != 0)
            free(block[i]);
    for (int i = 0; i < BIG; i++)
        block[i] = i % 8 == 0 ? site_b(1, 10000) : site_a(10000);
    for (int i = 0; i < BIG; i++)
        if (i % 8 != 0)
            free(block[i]);
    use(site_a(300000));
}

/* ---- threads ------------------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, HANDED = 64 };
static void *_Atomic handed[THREADS][HANDED];

/* Each allocates, and frees what its neighbour allocated. */
static void *thread_deed(void *number)
{
    size_t me = (size_t)number, next = (me + 1) % THREADS;
    for (unsigned i = 0; i < 20000; i++) {
        void *mine = site_a(16 + i % 500);
        free(atomic_exchange(&handed[me][i % HANDED], mine));
        free(atomic_exchange(&handed[next][(i * 7) % HANDED], NULL));
    }
    return NULL;
}

static void threads(void)
{
    pthread_t thread[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&thread[i], NULL, thread_deed, (void *)i);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    for (size_t i = 0; i < THREADS * HANDED; i++)
        free(atomic_exchange(&handed[i / HANDED][i % HANDED], NULL));
}

static void *short_deed(void *unused)
{
    (void)unused;
    free(site_a(50));
    return NULL;
}

/* Many threads one after the other, on the smallest stack there is. */
static void tiny(void)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN);
    for (unsigned i = 0; i < 200; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &attributes, short_deed, NULL) != 0)
            exit(1);
        pthread_join(thread, NULL);
    }
}

/* ---- signals --------------------------------------------------------------------------------------------------------------- */

static _Atomic unsigned long in_handler;

static void on_timer(int number)
{
    (void)number;
    free(site_a(24));
    atomic_fetch_add(&in_handler, 1);
}

static void signals(void)
{
    stack_t stack = {.ss_sp = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), .ss_size = 65536};
    struct sigaction action = {.sa_handler = on_timer, .sa_flags = SA_RESTART | SA_ONSTACK};
    struct itimerval timer = {{0, 200}, {0, 200}};
    sigaltstack(&stack, NULL);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    /* Raised synchronously, so that the allocator itself is never interrupted in the middle: it makes no promise. */
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    do {
        sigprocmask(SIG_BLOCK, &set, NULL);
        for (unsigned i = 0; i < 100; i++)
            free(site_a(16 + i));
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - begin.tv_sec < 2 && atomic_load(&in_handler) < 1000);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL); /* what printf allocates at the end is not to be interrupted */
    if (atomic_load(&in_handler) < 20)
        exit(1);
}

/* ---- the loader's lock ------------------------------------------------------------------------------------------------------ */

static _Atomic int loader_step;

/* New stacks, so that nothing is remembered. */
NOINLINE static void deep(unsigned depth)
{
    if (depth > 0)
        deep(depth - 1);
    free(site_a(depth + 1));
}

static void *beside(void *unused)
{
    (void)unused;
    while (atomic_load(&loader_step) == 0)
        continue;
    for (unsigned i = 0; i < 40; i++)
        deep(i);
    atomic_store(&loader_step, 2);
    return NULL;
}

static int with_lock(struct dl_phdr_info *info, size_t size, void *data)
{
    (void)info;
    (void)size;
    (void)data;
    for (unsigned i = 0; i < 40; i++)
        deep(i);
    atomic_store(&loader_step, 1);
    while (atomic_load(&loader_step) != 2) /* the lock is held until the other one has allocated */
        continue;
    return 1;
}

static void loader(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, beside, NULL);
    dl_iterate_phdr(with_lock, NULL);
    pthread_join(thread, NULL);
}

/* ---- swapped stacks ---------------------------------------------------------------------------------------------------------- */

static ucontext_t outside, inside;

static void coroutine(void)
{
    for (unsigned i = 0; i < 20; i++) {
        deep(i % 5);
        swapcontext(&inside, &outside);
    }
}

enum { AREA = 1 << 20, PAGE = 4096 };

static void coroutine_round(char *stack, size_t bytes)
{
    getcontext(&inside);
    inside.uc_stack.ss_sp = stack;
    inside.uc_stack.ss_size = bytes;
    inside.uc_link = &outside;
    makecontext(&inside, coroutine, 0);
    for (volatile unsigned i = 0; i < 20; i++) {
        swapcontext(&outside, &inside);
        free(site_a(64));
    }
}

/* Stacks of several sizes at the same place, each gone before the next one comes. */
static void coroutines(void)
{
    char *area = mmap(NULL, AREA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (unsigned round = 0; round < 60; round++) {
        size_t bytes = (size_t)(5 + round % 7) * 4 * PAGE;
        char *stack = mmap(area + PAGE, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        coroutine_round(stack, bytes);
        mmap(area, AREA, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    }
}

/* ---- processes ---------------------------------------------------------------------------------------------------------------- */

static void forks(void)
{
    void *before = site_a(1000);
    for (unsigned i = 0; i < 3; i++) {
        pid_t child = fork();
        if (child == 0) {
            for (unsigned j = 0; j < 500; j++)
                use(site_a(32));
            free(before);
            exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        if (status != 0)
            exit(1);
    }
    free(before);
}

/* Threads that were asked to end, and allocate until there is a cancellation point: none in malloc, though the file grows
 * meanwhile. Every other one is asked when it has begun. */
static void *asked_to_end(void *argument)
{
    pthread_barrier_wait(argument);
    for (unsigned i = 0; i < 50000; i++)
        use(site_b(1, 16 + i % 64));
    return NULL;
}

static void cancelled(void)
{
    for (unsigned round = 0; round < 6; round++) {
        pthread_barrier_t begun;
        pthread_t thread;
        void *answer = NULL;
        pthread_barrier_init(&begun, NULL, 2);
        if (pthread_create(&thread, NULL, asked_to_end, &begun) != 0)
            exit(1);
        if (round % 2 == 0)
            pthread_cancel(thread);
        pthread_barrier_wait(&begun);
        if (round % 2 == 1)
            pthread_cancel(thread);
        pthread_join(thread, &answer);
        if (answer != NULL)
            exit(1);
    }
}

/* Says now and then how many allocations there were, until it is killed. */
static void endless(void)
{
    for (unsigned long i = 1;; i++) {
        use(site_a(40));
        if (i % 10000 == 0) {
            printf("%lu\n", i);
            fflush(stdout);
        }
    }
}

/* Closes every descriptor, as daemons do, and goes on. */
static void daemon_like(void)
{
    for (int descriptor = 3; descriptor < 1024; descriptor++)
        close(descriptor);
    for (unsigned i = 0; i < 400000; i++)
        use(site_a(16 + i % 64));
}

/* Waits for orders: see tests/trace/run. Allocates now and then. */
static void served(void)
{
    for (unsigned i = 0; i < 6000; i++) {
        free(site_a(100000)); /* reaches slow paths */
        use(site_a(10));
        usleep(5000);
        if (i == 0) {
            printf("ready\n");
            fflush(stdout);
        }
    }
}

int main(int argc, char **argv)
{
    const char *deed = argc > 1 ? argv[1] : "";
    long n = argc > 2 ? atol(argv[2]) : 0;
    if (strcmp(deed, "known") == 0)
        known(n);
    else if (strcmp(deed, "sizes") == 0)
        sizes(n);
    else if (strcmp(deed, "pins") == 0)
        pins();
    else if (strcmp(deed, "threads") == 0)
        threads();
    else if (strcmp(deed, "tiny") == 0)
        tiny();
    else if (strcmp(deed, "signals") == 0)
        signals();
    else if (strcmp(deed, "loader") == 0)
        loader();
    else if (strcmp(deed, "coroutines") == 0)
        coroutines();
    else if (strcmp(deed, "forks") == 0)
        forks();
    else if (strcmp(deed, "cancelled") == 0)
        cancelled();
    else if (strcmp(deed, "endless") == 0)
        endless();
    else if (strcmp(deed, "daemon") == 0)
        daemon_like();
    else if (strcmp(deed, "served") == 0)
        served();
    else
        return 2;
    printf("ok\n");
    return 0;
}
