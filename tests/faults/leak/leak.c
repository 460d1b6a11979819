/* leak.c - blocks that are lost, and blocks that are not, by name: fault-leak NAME. What each has to lead to stands in
 * tests/faults/leaks. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <nebmalloc/scope.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))

struct node {
    struct node *next;
    char rest[32];
};

static NOINLINE void *block(size_t size)
{
    void *p = malloc(size);
    if (p != NULL)
        memset(p, 0, size);
    return p;
}

/* What calls left on the stack would keep blocks. */
static NOINLINE void clean(void)
{
    char below[65536];
    memset(below, 0, sizeof below);
    __asm__ volatile("" : : "r"(below) : "memory");
}

static void *volatile kept;
static _Thread_local void *volatile kept_of_thread;
static char unaligned[2 * sizeof(void *)];
static pthread_barrier_t barrier;

/* ---- lost ------------------------------------------------------------------------------------------------------------------ */

static NOINLINE void lost_one(void)
{
    (void)block(40);
}

static NOINLINE void lost_thrice(void)
{
    for (int i = 0; i < 3; i++)
        (void)block(40);
}

static NOINLINE void lost_two_places(void)
{
    (void)block(100);
    (void)block(5000);
}

static NOINLINE struct node *chain(int count, struct node *last)
{
    struct node *first = last;
    for (int i = 0; i < count; i++) {
        struct node *node = block(sizeof *node);
        node->next = first;
        first = node;
    }
    return first;
}

static NOINLINE void lost_list(void)
{
    (void)chain(10, NULL);
}

static NOINLINE void lost_ring(void)
{
    struct node *last = block(sizeof *last);
    last->next = chain(4, last);
}

/* Heads that the walk comes to before it comes to what leads to them. */
static NOINLINE void lost_tree(void)
{
    struct node *leaves[8], **root;
    for (int i = 0; i < 8; i++)
        leaves[i] = chain(2, NULL);
    root = block(sizeof leaves);
    memcpy(root, leaves, sizeof leaves);
}

static NOINLINE void lost_large(void)
{
    (void)block(100000);
}

static NOINLINE void lost_huge(void)
{
    char **huge = block(3000000);
    huge[200000] = block(64);
}

static NOINLINE void lost_aligned(void)
{
    memset(aligned_alloc(65536 * 4, 65536 * 4), 0, 65536 * 4);
}

static NOINLINE void lost_in_a_freed_block(void)
{
    struct node *holder = block(sizeof *holder);
    holder->next = block(sizeof *holder);
    free(holder);
}

static NOINLINE void lost_overwritten(void)
{
    kept = block(40);
    kept = block(48);
}

static NOINLINE void *lose(void *unused)
{
    (void)block(72);
    return unused;
}

static void *others[200];

/* What the library remembers of a block that was freed is no pointer to the one that lies there now. */
static NOINLINE void lost_where_a_freed_one_waited(void)
{
    void *p = block(56);
    volatile uintptr_t hidden = ~(uintptr_t)p;
    free(p);
    malloc_trim(0);
    for (int i = 0; i < 200; i++)
        others[i] = block(56);
    for (int i = 0; i < 200; i++)
        if ((uintptr_t)others[i] == ~hidden)
            others[i] = NULL;
}

static NOINLINE void lost_by_a_thread(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, lose, NULL);
    pthread_join(thread, NULL);
}

/* A word that is not at a multiple of its size is none. */
static NOINLINE void lost_unaligned(void)
{
    void *p = block(40);
    memcpy(unaligned + 1, &p, sizeof p);
}

static NOINLINE void lost_empty(void)
{
    (void)malloc(0);
}

/* Below what is in use of a stack nothing counts: the pointer stands deeper than clean() comes. */
static NOINLINE void lost_below(void)
{
    char room[150000];
    void *volatile own = block(40);
    room[0] = (char)(own == NULL);
    __asm__ volatile("" : : "r"(room), "r"(&own) : "memory");
}

static NOINLINE void *lose_and_wait(void *unused)
{
    lost_below();
    clean();
    pthread_barrier_wait(&barrier);
    pause();
    return unused;
}

static NOINLINE void lost_below_a_stack(void)
{
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&thread, NULL, lose_and_wait, NULL);
    pthread_barrier_wait(&barrier);
}

/* More reports than a pipe holds. */
static NOINLINE void lose_deep(int depth)
{
    if (depth > 0)
        lose_deep(depth - 1);
    else
        (void)block(24);
    __asm__ volatile("" : : : "memory");
}

static NOINLINE void lost_at_many_depths(void)
{
    for (int depth = 0; depth < 300; depth++)
        lose_deep(depth);
}

/* ---- kept ------------------------------------------------------------------------------------------------------------------ */

static NOINLINE void kept_global(void)
{
    kept = chain(10, NULL);
}

static NOINLINE void kept_by_its_middle(void)
{
    kept = (char *)block(40) + 39;
}

static NOINLINE void kept_by_the_middle_of_a_huge_one(void)
{
    char *huge = block(9000000);
    kept = huge + 4500000;
    *(void **)(void *)(huge + 8 * 1000000) = block(40);
}

static NOINLINE void kept_thread_local(void)
{
    kept_of_thread = block(40);
}

static NOINLINE void kept_specific(void)
{
    pthread_key_t key;
    pthread_key_create(&key, NULL);
    pthread_setspecific(key, block(40));
}

static NOINLINE void kept_on_the_stack(void)
{
    void *volatile own = block(40);
    exit(own == NULL);
}

static void *wait_with_all(void *unused)
{
    void *volatile on_stack = block(80);
    pthread_key_t key;
    kept_of_thread = block(48);
    pthread_key_create(&key, NULL);
    pthread_setspecific(key, block(64));
    pthread_barrier_wait(&barrier);
    for (;;)
        pause();
    return on_stack == NULL ? unused : NULL;
}

static NOINLINE void kept_by_threads(void)
{
    enum { THREADS = 20 };
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&thread, NULL, wait_with_all, NULL);
    pthread_barrier_wait(&barrier);
}

/* The only pointer stands in a register while the thread computes, or sleeps. */
static void *compute_with_register(void *sleeps)
{
    void *p = block(40);
    pthread_barrier_wait(&barrier);
    clean();
#if defined(__x86_64__)
    if (sleeps == NULL)
        __asm__ volatile("mov %0, %%rbx\n xor %0, %0\n 1: pause\n jmp 1b" : "+a"(p) : : "rbx");
    else
        __asm__ volatile("mov %0, %%r12\n 1: mov $34, %%eax\n syscall\n jmp 1b" : "+a"(p) : : "r12", "rcx", "r11", "memory"); /* pause */
#else
    for (;;)
        __asm__ volatile("" : "+r"(p));
#endif
    return p;
}

static NOINLINE void kept_in_registers(void)
{
    static char yes;
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 3);
    pthread_create(&thread, NULL, compute_with_register, NULL);
    pthread_create(&thread, NULL, compute_with_register, &yes);
    pthread_barrier_wait(&barrier);
    usleep(20000);
}

static NOINLINE void kept_in_mappings(void)
{
    void **own = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void **shared = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    void **constant = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    own[4000] = block(40);
    shared[3000] = block(48);
    constant[1] = block(56);
    mprotect(constant, 65536, PROT_READ);
}

/* A coroutine: its stack is a block, and nothing but the stack pointer leads there. */
static ucontext_t outside, inside;

static void coroutine(void)
{
    void *volatile own = block(40);
    memset(&inside, 0, sizeof inside);
    exit(own == NULL);
}

static NOINLINE void kept_by_a_coroutine(void)
{
    getcontext(&inside);
    inside.uc_stack.ss_sp = block(131072);
    inside.uc_stack.ss_size = 131072;
    inside.uc_link = &outside;
    makecontext(&inside, coroutine, 0);
    memset(&inside.uc_stack, 0, sizeof inside.uc_stack);
    swapcontext(&outside, &inside);
}

static void on_signal(int number)
{
    void *volatile own = block(40);
    exit(own == NULL ? number : 0);
}

static NOINLINE void kept_on_an_alternate_stack(void)
{
    enum { BYTES = 65536 };
    struct sigaction action;
    stack_t stack = {.ss_sp = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), .ss_size = BYTES};
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK;
    sigaltstack(&stack, NULL);
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
}

static NOINLINE void kept_in_a_scope(void)
{
    void **cell = neb_scope_alloc(neb_scope_enter("kept"), 64);
    *cell = block(40);
}

static NOINLINE void kept_by_libc(void)
{
    FILE *file = fopen("/dev/null", "w");
    fprintf(file, "x");
    setenv("LEAK_TEST", "a value that is longer than any buffer that is there already", 1);
    putenv(strdup("LEAK_OTHER=1"));
    (void)dlopen("libm.so.6", RTLD_NOW);
}

static NOINLINE void kept_by_a_guarded_page(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = aligned_alloc(page, 4 * page);
    memset(pages, 0, 4 * page);
    *(void **)(void *)(pages + page) = block(40);
    *(void **)(void *)(pages + 3 * page) = block(48);
    mprotect(pages, page, PROT_NONE); /* before the pointer */
    mprotect(pages + page, page, PROT_READ);
    kept = pages;
}

/* ---- odd ------------------------------------------------------------------------------------------------------------------- */

/* Its registers are unknown; the program ends all the same. */
static void *block_all(void *unused)
{
    sigset_t all;
    sigfillset(&all);
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, &all, NULL, 8);
    kept_of_thread = block(40);
    pthread_barrier_wait(&barrier);
    for (;;)
        pause();
    return unused;
}

static NOINLINE void odd_blocks_signals(void)
{
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&thread, NULL, block_all, NULL);
    pthread_barrier_wait(&barrier);
    lost_one();
}

/* In the middle of malloc and free. */
static void *churn(void *unused)
{
    pthread_barrier_wait(&barrier);
    for (;;)
        free(block(100));
    return unused;
}

static NOINLINE void odd_busy_threads(void)
{
    enum { THREADS = 8 };
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&thread, NULL, churn, NULL);
    pthread_barrier_wait(&barrier);
    lost_one();
}

/* The first thread has ended, but is listed. */
static void *exit_later(void *unused)
{
    usleep(100000);
    lost_one();
    clean();
    exit(unused != NULL);
}

static NOINLINE void odd_main_is_gone(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, exit_later, NULL);
    pthread_exit(NULL);
}

static NOINLINE void odd_exits_in_a_child(void)
{
    lost_one();
    if (fork() != 0)
        _exit(0);
}

static NOINLINE void odd_buffered(void)
{
    lost_one();
    fputs("buffered", stdout);
}

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
#define CASE(name) {#name, name}
    CASE(lost_one), CASE(lost_thrice), CASE(lost_two_places), CASE(lost_list), CASE(lost_ring), CASE(lost_tree), CASE(lost_large),
    CASE(lost_huge), CASE(lost_aligned), CASE(lost_in_a_freed_block), CASE(lost_overwritten), CASE(lost_by_a_thread), CASE(lost_where_a_freed_one_waited),
    CASE(lost_unaligned), CASE(lost_empty), CASE(lost_below), CASE(lost_below_a_stack), CASE(lost_at_many_depths),
    CASE(kept_global), CASE(kept_by_its_middle), CASE(kept_by_the_middle_of_a_huge_one), CASE(kept_thread_local), CASE(kept_specific),
    CASE(kept_on_the_stack), CASE(kept_by_threads), CASE(kept_in_registers), CASE(kept_in_mappings), CASE(kept_by_a_coroutine),
    CASE(kept_on_an_alternate_stack), CASE(kept_in_a_scope), CASE(kept_by_libc), CASE(kept_by_a_guarded_page),
    CASE(odd_blocks_signals), CASE(odd_busy_threads), CASE(odd_main_is_gone), CASE(odd_exits_in_a_child), CASE(odd_buffered),
};

int main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (argc != 2 || strcmp(argv[1], cases[i].name) != 0)
            continue;
        cases[i].run();
        clean();
        return 0;
    }
    fprintf(stderr, "usage: %s NAME\n", argv[0]);
    return 2;
}
