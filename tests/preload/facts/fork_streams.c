/* fork_streams.c - threads fork, flush every stream, and read lines, whose buffers grow: fork waits for the list of streams, its holder
 * for a stream, and the stream's holder for memory. Nobody may wait for ever.
 *
 * Seconds: 60
 */
#include "claim.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>

enum { THREADS = 4, FORKS = 100, LINE = 1 << 17 };

static atomic_bool stop;
static char path[] = "fork_streams.lines";

static void *flush(void *unused)
{
    while (!atomic_load_explicit(&stop, memory_order_relaxed))
        (void)fflush(NULL);
    return unused;
}

static void *read_lines(void *unused)
{
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        FILE *file = fopen(path, "r");
        char *line = NULL;
        size_t size = 0;
        while (file != NULL && getline(&line, &size, file) > 0)
            continue;
        free(line);
        if (file != NULL)
            (void)fclose(file);
    }
    return unused;
}

static void *fork_often(void *all_ended)
{
    for (int i = 0; i < FORKS; i++) {
        int status = 1;
        pid_t pid = fork();
        if (pid == 0) {
            (void)fflush(NULL); /* nobody holds the list in the child */
            _exit(0);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
            atomic_store((atomic_bool *)all_ended, false);
    }
    return NULL;
}

int main(void)
{
    pthread_t readers[THREADS], flushers[THREADS], forkers[THREADS];
    atomic_bool all_ended = true;
    FILE *file = fopen(path, "w");

    for (int i = 0; i < 2 * LINE; i++)
        (void)fputc(i % LINE == LINE - 1 ? '\n' : 'x', file);
    (void)fclose(file);
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_create(&readers[i], NULL, read_lines, NULL);
        (void)pthread_create(&flushers[i], NULL, flush, NULL);
        (void)pthread_create(&forkers[i], NULL, fork_often, &all_ended);
    }
    for (int i = 0; i < THREADS; i++)
        (void)pthread_join(forkers[i], NULL);
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(readers[i], NULL);
        (void)pthread_join(flushers[i], NULL);
    }
    claim_holds("every child flushed its streams and ended", all_ended);
    return 0;
}
