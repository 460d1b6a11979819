/* descriptors.c - a process without a single file descriptor, and without a chance to get one, allocates, starts threads,
 * and says nothing into files that it opens later.
 */
#include "claim.h"
#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>

static void *thread_body(void *argument)
{
    *(bool *)argument = heap_works(2);
    return NULL;
}

static int live_without(void)
{
    struct rlimit none = {0, 0};
    bool worked = false;
    pthread_t thread;

    for (int fd = 0; fd < 1024; fd++)
        close(fd);
    if (setrlimit(RLIMIT_NOFILE, &none) != 0 || open("/", O_RDONLY) >= 0)
        return 2;
    if (!heap_works(1) || pthread_create(&thread, NULL, thread_body, &worked) != 0)
        return 3;
    pthread_join(thread, NULL);
    (void)malloc_trim(0);
    free(malloc(opaque_size(50u << 20)));
    return worked ? 0 : 4;
}

static int live_with_another(void)
{
    char name[] = "descriptors.XXXXXX";

    for (int fd = 0; fd < 3; fd++)
        close(fd);
    int file = mkstemp(name); /* gets number 0 */
    if (file < 0 || !heap_works(3))
        return 2;
    (void)dup2(file, 1);
    (void)dup2(file, 2);
    (void)malloc_trim(0);
    off_t size = lseek(file, 0, SEEK_END);
    unlink(name);
    return size == 0 ? 0 : 3;
}

static int child_status(int (*live)(void))
{
    int status = -1;
    pid_t child = fork();

    if (child == 0)
        _exit(live());
    waitpid(child, &status, 0);
    return status;
}

int main(void)
{
    claim_is("without any descriptor", "%d", child_status(live_without));
    claim_is("with a file in the place of stderr", "%d", child_status(live_with_another));
    return 0;
}
