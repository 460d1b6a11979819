/* vfork_exec.c - vfork with exec, posix_spawn and popen from a threaded program; the heap that the vfork child shares
 * with its parent stays whole, and the new program runs under the library as well.
 */
#include "claim.h"
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/wait.h>

extern char **environ;

static atomic_bool stop;

static void *work(void *argument)
{
    (void)argument;
    while (!atomic_load_explicit(&stop, memory_order_relaxed))
        free(opaque(malloc(opaque_size(700))));
    return NULL;
}

static bool ends_well(pid_t pid)
{
    int status = -1;

    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* Apart from main: a variable of the function that calls vfork may be changed by the child. */
__attribute__((noinline)) static pid_t start(const char *file, char *const command[])
{
    pid_t pid = vfork();

    if (pid == 0) {
        execv(file, command);
        _exit(127);
    }
    return pid;
}

int main(int argc, char **argv)
{
    pthread_t threads[2];
    bool vforks = true, spawns = true, popens = true;
    char self[4096] = "", *const command[] = {self, (char[]){"child"}, NULL};
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

    if (argc > 1 && strcmp(argv[1], "child") == 0)
        return *(char *)opaque(strdup("child")) == 'c' ? 0 : 1;
    if (length <= 0)
        return 1;
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    for (int turn = 0; turn < 40; turn++) {
        void *before = malloc(3000);
        pid_t pid;
        char text[64] = "";
        FILE *pipe;

        fill(before, 3000, 1);
        vforks = ends_well(start(self, command)) && vforks && is_filled(before, 3000, 1);
        free(before);
        spawns = posix_spawn(&pid, self, NULL, NULL, command, environ) == 0 && ends_well(pid) && spawns;
        if (turn % 10 == 0) {
            pipe = popen("echo through a pipe", "r");
            popens = popens && pipe != NULL && fgets(text, sizeof text, pipe) != NULL &&
                     strcmp(text, "through a pipe\n") == 0 && pclose(pipe) == 0;
        }
    }
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    claim_holds("vfork and exec 40 times while two threads allocate", vforks);
    claim_holds("posix_spawn 40 times", spawns);
    claim_holds("popen and pclose", popens);
    claim_holds("the parent's heap works", heap_works(5));
    return 0;
}
