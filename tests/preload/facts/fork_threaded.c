/* fork_threaded.c - a child forked while other threads are inside malloc and free can allocate, free what it
 * inherited, start threads and fork again; the parent goes on unharmed.
 */
#include "claim.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

enum { WORKERS = 4, FORKS = 150, INHERITED = 200 };

static atomic_bool stop;
static atomic_long rounds;
static void *inherited[INHERITED];

static void *work(void *argument)
{
    unsigned x = *(unsigned *)argument;

    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        void *blocks[64];

        for (unsigned i = 0; i < 64; i++) {
            x = x * 1664525u + 1013904223u;
            blocks[i] = malloc(x % 97 == 0 ? 200000 : 1 + (x >> 8) % 3000);
        }
        for (unsigned i = 0; i < 64; i++)
            free(blocks[(i * 5) % 64]);
        atomic_fetch_add_explicit(&rounds, 1, memory_order_relaxed);
    }
    return NULL;
}

static void *allocate_once(void *argument)
{
    void *block = malloc(10000);

    fill(block, 10000, 3);
    *(bool *)argument = is_filled(block, 10000, 3);
    free(block);
    return NULL;
}

static int child(unsigned turn)
{
    bool thread_good = turn % 10 != 0;
    pthread_t thread;

    for (unsigned i = 0; i < INHERITED; i++) {
        if (!is_filled(inherited[i], 100 + i * 50, i))
            return 2;
        free(inherited[i]);
    }
    if (turn % 25 == 0 && !heap_works(turn))
        return 3;
    if (turn % 10 == 0 && (pthread_create(&thread, NULL, allocate_once, &thread_good) != 0 ||
                           pthread_join(thread, NULL) != 0))
        return 4;
    if (turn % 30 == 0) {
        int status = 0;
        pid_t pid = fork();

        if (pid == 0)
            _exit(heap_works(turn + 1) ? 0 : 1);
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
            return 5;
    }
    return thread_good ? 0 : 6;
}

int main(void)
{
    pthread_t threads[WORKERS];
    unsigned seeds[WORKERS];
    bool children_good = true, parent_good = true;

    for (unsigned i = 0; i < INHERITED; i++) {
        inherited[i] = malloc(100 + i * 50);
        fill(inherited[i], 100 + i * 50, i);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        seeds[i] = i;
        pthread_create(&threads[i], NULL, work, &seeds[i]);
    }
    while (atomic_load_explicit(&rounds, memory_order_relaxed) < 10)
        usleep(1000);
    for (unsigned turn = 0; turn < FORKS; turn++) {
        int status = -1;
        pid_t pid = fork();

        if (pid == 0)
            _exit(child(turn));
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
            children_good = false;
    }
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < INHERITED; i++) {
        parent_good = parent_good && is_filled(inherited[i], 100 + i * 50, i);
        free(inherited[i]);
    }
    claim_holds("150 children forked under load allocate, free, start threads, fork", children_good);
    claim_holds("the parent's blocks are unharmed", parent_good);
    claim_holds("the parent's heap works", heap_works(4));
    return 0;
}
