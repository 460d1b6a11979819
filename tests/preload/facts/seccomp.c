/* seccomp.c - a sandbox that answers EPERM to one system call, entered in main when the library has started, does not
 * break the heap, and freed memory is still used again.
 *
 * Variants: madvise mremap munmap mprotect getrandom prctl membarrier sched_yield rt_tgsigqueueinfo rt_sigprocmask openat
 */
#include "claim.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static const struct {
    const char *name;
    unsigned number;
    bool starts_threads; /* libc needs the call for that itself where not */
} calls[] = {
    {"madvise", SYS_madvise, true},
    {"mremap", SYS_mremap, true},
    {"munmap", SYS_munmap, true},
    {"mprotect", SYS_mprotect, false},
    {"getrandom", SYS_getrandom, true},
    {"prctl", SYS_prctl, true},
    {"membarrier", SYS_membarrier, true},
    {"sched_yield", SYS_sched_yield, true},
    {"rt_tgsigqueueinfo", SYS_rt_tgsigqueueinfo, true},
    {"rt_sigprocmask", SYS_rt_sigprocmask, true},
    {"openat", SYS_openat, true},
};

static bool refuse(unsigned number)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static bool is_refused(unsigned number)
{
    errno = 0;
    return syscall(number, 0, 0, 0, 0, 0) == -1 && errno == EPERM;
}

static bool grow(size_t last)
{
    size_t size = 100;
    void *block = malloc(size);
    bool good = block != NULL;

    fill(block, size, 1);
    while (good && size < last) {
        size_t next = size * 3 / 2;

        block = realloc(block, next);
        good = block != NULL && is_filled(block, size, 1);
        if (good)
            fill(block, next, 1);
        size = next;
    }
    while (good && size > 300) {
        size /= 3;
        block = realloc(block, size);
        good = block != NULL && is_filled(block, size, 1);
    }
    free(block);
    return good;
}

static void *thread_body(void *argument)
{
    *(bool *)argument = heap_works(5);
    return NULL;
}

static bool threads_work(void)
{
    bool good = true, results[3] = {false};
    pthread_t threads[3];
    int started = 0;

    while (started < 3 && pthread_create(&threads[started], NULL, thread_body, &results[started]) == 0)
        started++;
    for (int i = 0; i < started; i++)
        good = pthread_join(threads[i], NULL) == 0 && results[i] && good;
    return good && started == 3;
}

/* Of many sizes, so that pools grow and granules are given back: some of the calls behind them are refused. */
static bool success_keeps_errno(void)
{
    enum { BLOCKS = 3000 };
    static void *blocks[BLOCKS];
    bool kept = true;

    for (unsigned turn = 0; turn < 4; turn++) {
        for (unsigned i = 0; i < BLOCKS; i++) {
            errno = 77;
            blocks[i] = i % 2 == 0 ? calloc(1, 1100u + turn * 700u) : malloc(1100u + turn * 700u);
            kept = kept && blocks[i] != NULL && errno == 77;
        }
        for (unsigned i = 0; i < BLOCKS; i++) {
            void *block = realloc(blocks[i], 200000u / (1u + i % 50u));

            kept = kept && block != NULL && errno == 77;
            free(block);
            kept = kept && errno == 77;
        }
    }
    return kept;
}

int main(int argc, char **argv)
{
    unsigned number = 0;
    bool found = false, reused = true, starts_threads = false, can_measure = false;
    long before;

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (argc > 1 && strcmp(argv[1], calls[i].name) == 0) {
            number = calls[i].number;
            starts_threads = calls[i].starts_threads;
            can_measure = number != SYS_openat;
            found = true;
        }
    void *early = malloc(opaque_size(3u << 20));
    fill(early, 3u << 20, 9);
    if (!found || !refuse(number))
        return 1;
    claim_holds("the kernel refuses the call", is_refused(number));
    claim_holds("the heap works", heap_works(1));
    claim_holds("calls that succeed leave errno alone", success_keeps_errno());
    claim_holds("realloc grows a block to 60 MiB and shrinks it", grow(60u << 20));
    if (starts_threads)
        claim_holds("three threads work", threads_work());
    before = resident_kib();
    for (int turn = 0; turn < 30 && reused; turn++) {
        void *large = malloc(opaque_size(32u << 20));

        reused = large != NULL;
        if (reused)
            memset(large, turn, 32u << 20);
        free(large);
        malloc_trim(0);
    }
    claim_holds("a block of 32 MiB comes and goes 30 times", reused);
    if (can_measure)
        claim_at_most("resident memory that this leaves behind", resident_kib() - before, 128 * 1024, "KiB");
    claim_holds("a block from before is whole", is_filled(early, 3u << 20, 9));
    free(early);
    claim_holds("the heap works at last", heap_works(2));
    return 0;
}
