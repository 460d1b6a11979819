/* signal_malloc.c - a signal every 200 us interrupts a program that does nothing but allocate, and its handler allocates,
 * resizes and frees too, blocks of its own and of the interrupted code.
 *
 * single     one thread
 * threads    four, each with a timer of its own; they share the blocks
 * alternate  the handler runs on a stack of its own
 * nested     two signals that interrupt each other's handlers, and themselves
 * young      threads that end after a few calls, and a timer that interrupts whichever runs
 *
 * Variants: single threads alternate nested young
 * Alone: glibc's malloc waits for itself for ever
 */
#include "boxes.h"
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

enum { THREADS = 4, SECONDS = 2, EVERY_NS = 200000, NESTED_NS = 330000, HANDLERS_LEAST = 200 };

static struct boxes boxes;
static _Atomic unsigned handled;
static _Atomic bool errno_changed;

static void on_timer(int number)
{
    static _Atomic unsigned seed = 1;
    unsigned x = atomic_fetch_add(&seed, 2654435761u) + (unsigned)number;
    int before = errno;

    for (int i = 0; i < 4; i++)
        boxes_step(&boxes, &x);
    free(malloc(opaque_size(x % 3000u)));
    atomic_fetch_add(&handled, 1);
    if (errno != before)
        atomic_store(&errno_changed, true);
}

static void on_timer_informed(int number, siginfo_t *info, void *context)
{
    if (info->si_signo == number && context != NULL)
        on_timer(number);
}

/* A timer for the calling thread alone. */
static timer_t timer_start(int number, long every_ns)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = number};
    struct itimerspec often = {{0, every_ns}, {0, every_ns}};
    timer_t timer;

    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || timer_settime(timer, 0, &often, NULL) != 0)
        abort();
    return timer;
}

static bool is_over(void)
{
    static _Atomic time_t start;
    time_t none = 0, now = time(NULL);

    atomic_compare_exchange_strong(&start, &none, now);
    return now - atomic_load(&start) > SECONDS || atomic_load(&boxes.broken);
}

static void *work(void *argument)
{
    unsigned x = *(unsigned *)argument;

    while (!is_over())
        for (int i = 0; i < 500; i++)
            boxes_step(&boxes, &x);
    return NULL;
}

static void *work_with_timer(void *argument)
{
    timer_t timer = timer_start(SIGALRM, EVERY_NS);

    (void)work(argument);
    timer_delete(timer);
    return NULL;
}

static void *live_briefly(void *argument)
{
    unsigned x = *(unsigned *)argument;

    for (unsigned i = 0; i < 3u + x % 20u; i++)
        boxes_step(&boxes, &x);
    return NULL;
}

static void threads_run(void *(*body)(void *), unsigned seed)
{
    pthread_t threads[THREADS];
    unsigned seeds[THREADS];

    for (unsigned i = 0; i < THREADS; i++) {
        seeds[i] = seed * 31u + i;
        if (pthread_create(&threads[i], NULL, body, &seeds[i]) != 0)
            abort();
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void handle(int number, int flags, bool informed)
{
    struct sigaction action = {.sa_flags = SA_RESTART | flags};

    if (informed) {
        action.sa_sigaction = on_timer_informed;
        action.sa_flags |= SA_SIGINFO;
    } else {
        action.sa_handler = on_timer;
    }
    if (sigaction(number, &action, NULL) != 0)
        abort();
}

int main(int argc, char **argv)
{
    static unsigned char stack[1 << 16];
    const char *variant = argc > 1 ? argv[1] : "";
    unsigned seed = 7;

    if (strcmp(variant, "threads") == 0) {
        handle(SIGALRM, 0, false);
        threads_run(work_with_timer, seed);
    } else if (strcmp(variant, "alternate") == 0) {
        stack_t other = {.ss_sp = stack, .ss_size = sizeof stack};

        sigaltstack(&other, NULL);
        handle(SIGALRM, SA_ONSTACK, true);
        work_with_timer(&seed);
    } else if (strcmp(variant, "nested") == 0) {
        handle(SIGALRM, SA_NODEFER, true);
        handle(SIGUSR1, SA_NODEFER, false);
        timer_t other = timer_start(SIGUSR1, NESTED_NS);
        work_with_timer(&seed);
        timer_delete(other);
    } else if (strcmp(variant, "young") == 0) {
        struct itimerval often = {{0, EVERY_NS / 1000}, {0, EVERY_NS / 1000}}, never = {{0, 0}, {0, 0}};

        handle(SIGALRM, 0, false);
        setitimer(ITIMER_REAL, &often, NULL);
        while (!is_over())
            threads_run(live_briefly, seed++);
        setitimer(ITIMER_REAL, &never, NULL);
    } else {
        handle(SIGALRM, 0, false);
        work_with_timer(&seed);
    }
    claim_holds("the signal came hundreds of times", atomic_load(&handled) >= HANDLERS_LEAST);
    boxes_drop(&boxes);
    claim_holds("every block had its contents", !atomic_load(&boxes.broken));
    claim_holds("the handler's calls left errno alone", !atomic_load(&errno_changed));
    claim_holds("the heap works at last", heap_works(3));
    return 0;
}
