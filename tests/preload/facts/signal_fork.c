/* signal_fork.c - a handler forks, whatever it interrupted: the allocator of a thread, or of another one that holds its
 * locks; the child allocates, frees what it inherited, and ends.
 *
 * Variants: single threads
 * Alone: glibc's malloc waits for itself for ever
 */
#include "boxes.h"
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { FORKS = 150, EVERY_US = 2000, CHILD_SECONDS = 60 };

static struct boxes boxes;
static _Atomic unsigned forks, failures;

static void child_live(void)
{
    struct itimerval never = {{0, 0}, {0, 0}};
    unsigned x = 11;

    setitimer(ITIMER_REAL, &never, NULL);
    alarm(0);
    signal(SIGALRM, SIG_DFL);
    alarm(CHILD_SECONDS);
    for (int i = 0; i < 300; i++)
        boxes_step(&boxes, &x);
    boxes_drop(&boxes);
    _exit(atomic_load(&boxes.broken) ? 1 : 0);
}

static void on_timer(int number)
{
    int status = -1, before = errno;

    (void)number;
    if (atomic_load(&forks) >= FORKS)
        return;
    atomic_fetch_add(&forks, 1);
    pid_t child = fork();
    if (child == 0)
        child_live();
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (status != 0)
        atomic_fetch_add(&failures, 1);
    errno = before;
}

static void *work(void *argument)
{
    unsigned x = *(unsigned *)argument;

    while (atomic_load(&forks) < FORKS && atomic_load(&failures) == 0)
        for (int i = 0; i < 200; i++)
            boxes_step(&boxes, &x);
    return NULL;
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, EVERY_US}, {0, EVERY_US}}, never = {{0, 0}, {0, 0}};
    bool threads = argc > 1 && strcmp(argv[1], "threads") == 0;
    unsigned seed = 1, seeds[3] = {2, 3, 4};
    pthread_t thread[3];

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; threads && i < 3; i++)
        if (pthread_create(&thread[i], NULL, work, &seeds[i]) != 0)
            return 1;
    work(&seed);
    for (int i = 0; threads && i < 3; i++)
        pthread_join(thread[i], NULL);
    setitimer(ITIMER_REAL, &never, NULL);
    claim_holds("150 times the handler forked", atomic_load(&forks) >= FORKS);
    claim_holds("each child allocated, freed what it inherited, and ended", atomic_load(&failures) == 0);
    boxes_drop(&boxes);
    claim_holds("every block had its contents", !atomic_load(&boxes.broken));
    claim_holds("the heap works at last", heap_works(4));
    return 0;
}
