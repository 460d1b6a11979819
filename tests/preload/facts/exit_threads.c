/* exit_threads.c - a program that ends (return from main, exit in a thread, _exit, quick_exit, abort) while its other
 * threads are inside malloc and free ends at once and with the status it chose; 20 times each.
 */
#include "claim.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

static atomic_long rounds;

static void *work(void *argument)
{
    for (unsigned x = 1;; x = x * 1664525u + 1013904223u) {
        void *block = malloc(x % 50 == 0 ? 300000 : 1 + (x >> 8) % 4000);

        memset(opaque(block), 1, 1);
        free(block);
        atomic_fetch_add_explicit(&rounds, 1, memory_order_relaxed);
    }
    return argument;
}

static void *end_in_thread(void *argument)
{
    exit(7);
    return argument;
}

static void allocate_at_exit(void)
{
    free(opaque(malloc(opaque_size(10000))));
}

static int child(const char *way)
{
    struct rlimit no_core = {0, 0};
    pthread_t thread;

    setrlimit(RLIMIT_CORE, &no_core);
    atexit(allocate_at_exit);
    at_quick_exit(allocate_at_exit);
    for (int i = 0; i < 3; i++)
        pthread_create(&thread, NULL, work, NULL);
    while (atomic_load_explicit(&rounds, memory_order_relaxed) < 1000)
        sched_yield();
    if (strcmp(way, "exit in a thread") == 0 && pthread_create(&thread, NULL, end_in_thread, NULL) == 0)
        pause();
    if (strcmp(way, "_exit") == 0)
        _exit(7);
    if (strcmp(way, "quick_exit") == 0)
        quick_exit(7);
    if (strcmp(way, "abort") == 0)
        abort();
    return 7;
}

int main(int argc, char **argv)
{
    static const char *const ways[] = {"return", "exit in a thread", "_exit", "quick_exit", "abort"};
    char self[4096] = "";

    if (argc > 1)
        return child(argv[1]);
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return 1;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        bool good = true;

        for (int turn = 0; turn < 20; turn++) {
            int status = 0;
            pid_t pid = fork();

            if (pid == 0) {
                execl(self, self, ways[i], (char *)NULL);
                _exit(127);
            }
            good = pid > 0 && waitpid(pid, &status, 0) == pid && good;
            good = good && (strcmp(ways[i], "abort") == 0 ? WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT
                                                          : WIFEXITED(status) && WEXITSTATUS(status) == 7);
        }
        claim_holds(ways[i], good);
    }
    return 0;
}
