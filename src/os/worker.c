/* worker.c - see worker.h. */
#define _GNU_SOURCE
#include "os/worker.h"

#include "os/call.h"
#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { STACK_BYTES = 128 << 10 };

static void (*worker_body)(void);

static void *worker_main(void *unused)
{
    (void)unused;
    (void)pthread_setname_np(pthread_self(), "nebmalloc");
    worker_body();
    return NULL;
}

bool neb_worker_start(void (*body)(void))
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    worker_body = body;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&thread, &attributes, worker_main, NULL) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return started;
}

void neb_os_sleep_ms(uint32_t ms)
{
    struct timespec left = {ms / 1000, (long)(ms % 1000) * 1000000};
    (void)call_nanosleep(&left, NULL);
}

bool neb_os_barrier_all_init(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

bool neb_os_barrier_all(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

bool neb_os_wipe_on_fork(void *base, uint64_t bytes)
{
    return madvise(base, (size_t)bytes, MADV_WIPEONFORK) == 0;
}
