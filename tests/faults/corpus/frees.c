/* frees.c - what is freed must not be: twice, not at its beginning, or never allocated. */
#define _GNU_SOURCE
#include "corpus.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void twice(size_t size, size_t amount)
{
    (void)amount;
    void *p = alloc(size);
    release(p);
    release(p);
    after();
    check_distinct(size, NULL, 0);
}

/* Others are freed in between, as many as amount says. */
static void twice_later(size_t size, size_t amount)
{
    void *p = alloc(size), *others[512];
    for (size_t i = 0; i < amount; i++)
        others[i] = alloc(size);
    release(p);
    for (size_t i = 0; i < amount; i++)
        release(others[i]);
    release(p);
    after();
    check_distinct(size, NULL, 0);
}

static void *free_it(void *p)
{
    for (size_t size = 1; size < 200; size++)
        release(alloc(size));
    release(p);
    return NULL;
}

static void twice_other_thread(size_t size, size_t amount)
{
    void *p = alloc(size);
    (void)amount;
    in_thread(free_it, p);
    release(p);
    after();
    check_distinct(size, NULL, 0);
}

static void twice_in_other_thread(size_t size, size_t amount)
{
    void *p = alloc(size);
    (void)amount;
    release(p);
    in_thread(free_it, p);
    after();
    check_distinct(size, NULL, 0);
}

static void reused(size_t size, size_t amount)
{
    (void)amount;
    void *p = alloc(size);
    release(p);
    void *q = alloc(size); /* often the same */
    release(p);
    after();
    check_distinct(size, q, size);
}

static void by_realloc(size_t size, size_t amount)
{
    (void)amount;
    void *p = alloc(size);
    (void)!hide(realloc(hide(p), 0));
    release(p);
    after();
    check_distinct(size, NULL, 0);
}

static void moved(size_t size, size_t amount)
{
    void *p = alloc(size), *behind = alloc(size);
    void *q = hide(realloc(hide(p), amount));
    release(p == q ? behind : p); /* where it could grow in place: another double free */
    if (p == q)
        release(behind);
    after();
    check_distinct(size, NULL, 0);
}

static void zeroed(size_t size, size_t amount)
{
    void *p = hide(calloc(amount, size));
    release(p);
    release(p);
    after();
    check_distinct(size * amount, NULL, 0);
}

static void aligned(size_t size, size_t amount)
{
    void *p = hide(memalign(amount, size));
    release(p);
    release(p);
    after();
    check_distinct(size, NULL, 0);
}

static void deleted(size_t size, size_t amount)
{
    (void)amount;
    void *p = hide(_Znwm(size));
    _ZdlPv(hide(p));
    _ZdlPv(hide(p));
    after();
    check_distinct(size, NULL, 0);
}

static void *in_handler;

static void on_signal(int number)
{
    (void)number;
    release(in_handler);
}

static void by_signal(size_t size, size_t amount)
{
    (void)amount;
    in_handler = alloc(size);
    (void)signal(SIGUSR1, on_signal);
    release(in_handler);
    (void)raise(SIGUSR1);
    after();
    check_distinct(size, NULL, 0);
}

static void after_fork(size_t size, size_t amount)
{
    (void)amount;
    void *p = alloc(size);
    release(p);
    pid_t child = fork();
    if (child == 0) {
        release(p);
        after();
        check_distinct(size, NULL, 0);
        (void)!write(1, "end\n", 4);
        _exit(0);
    }
    int status = 0;
    (void)waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) {
        (void)signal(WTERMSIG(status), SIG_DFL);
        (void)raise(WTERMSIG(status));
    }
}

static pthread_key_t key;

static void destroy(void *p)
{
    release(p);
    release(p);
}

static void *with_key(void *p)
{
    (void)pthread_setspecific(key, p);
    return NULL;
}

static void by_destructor(size_t size, size_t amount)
{
    (void)amount;
    (void)pthread_key_create(&key, destroy);
    in_thread(with_key, alloc(size));
    after();
    check_distinct(size, NULL, 0);
}

static void interior(size_t size, size_t amount)
{
    unsigned char *p = alloc(size);
    memset(p, 7, size);
    release(p + amount);
    after();
    check_distinct(size, p, size);
    if (!all_are(p, size, 7))
        harm("the block changed");
}

static void before(size_t size, size_t amount)
{
    unsigned char *p = alloc(size);
    memset(p, 7, size);
    release(p - amount);
    after();
    check_distinct(size, p, size);
}

static unsigned char global[4096] = {1};

static void of_global(size_t size, size_t amount)
{
    release(global + amount);
    after();
    check_distinct(size, global, sizeof global);
}

static void of_stack(size_t size, size_t amount)
{
    unsigned char local[4096];
    memset(local, 0, sizeof local);
    release(hide(local + amount));
    after();
    check_distinct(size, local, sizeof local);
}

static void of_mapping(size_t size, size_t amount)
{
    void *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)amount;
    release(p);
    after();
    check_distinct(size, p, 1 << 20);
}

static void fresh_neighbour(size_t size, size_t amount)
{
    unsigned char *p = alloc(size);
    release(p + amount);
    after();
    check_distinct(size, NULL, 0);
}

#define INVALID "invalid-free|double-free"
const struct bug frees[] = {
    {"double_free_1", "double-free", twice, 1, 0},
    {"double_free_100", "double-free", twice, 100, 0},
    {"double_free_1024", "double-free", twice, 1024, 0},
    {"double_free_32768", "double-free", twice, 32768, 0},
    {"double_free_large", "double-free", twice, 100000, 0},
    {"double_free_huge", "double-free", twice, 3000000, 0},
    {"double_free_after_1", "double-free", twice_later, 100, 1},
    {"double_free_after_20", "double-free", twice_later, 100, 20},
    {"double_free_after_500", "double-free", twice_later, 100, 500},
    {"double_free_other_thread_first", "double-free", twice_other_thread, 100, 0},
    {"double_free_other_thread_second", "double-free", twice_in_other_thread, 100, 0},
    {"double_free_other_thread_large", "double-free", twice_in_other_thread, 100000, 0},
    {"double_free_after_reuse", "double-free", reused, 100, 0},
    {"double_free_after_reuse_large", "double-free", reused, 100000, 0},
    {"double_free_by_realloc_zero", "double-free", by_realloc, 100, 0},
    {"double_free_after_realloc_moved", "double-free", moved, 100, 100000},
    {"double_free_calloc", "double-free", zeroed, 50, 4},
    {"double_free_memalign", "double-free", aligned, 200, 256},
    {"double_free_memalign_page", "double-free", aligned, 200, 4096},
    {"double_free_delete", "double-free", deleted, 64, 0},
    {"double_free_signal_handler", "double-free", by_signal, 100, 0},
    {"double_free_child_of_fork", "double-free", after_fork, 100, 0},
    {"double_free_thread_destructor", "double-free", by_destructor, 100, 0},
    {"free_interior_1", INVALID, interior, 100, 1},
    {"free_interior_16", INVALID, interior, 100, 16},
    {"free_interior_cell", INVALID, interior, 8192, 4096},
    {"free_interior_large", INVALID, interior, 200000, 65536},
    {"free_interior_huge", INVALID, interior, 5000000, 1 << 20},
    {"free_before_block", INVALID, before, 100, 16},
    {"free_global", INVALID, of_global, 100, 64},
    {"free_stack", INVALID, of_stack, 100, 64},
    {"free_mapping", INVALID, of_mapping, 100, 0},
    {"free_never_allocated", INVALID, fresh_neighbour, 4096, 40960},
    ARRAY_END,
};
