/* shapes.h - stacks of many shapes, and what libunwind says of them: included by a test that defines compare(), which is called at
 * the end of each of them.
 *
 * CAPTURES=1000000 compares that many; otherwise 100,000. */
#ifndef NEB_TESTS_SHAPES_H
#define NEB_TESTS_SHAPES_H
#define UNW_LOCAL_ONLY
#include "base/attr.h"
#include "unit/unit.h"
#include <alloca.h>
#include <libunwind.h>
#include <pthread.h>
#include <signal.h>

enum { THREADS = 4, FRAMES = 128 };

struct job {
    uint64_t random;
    long left, compared;
    void *own; /* the test's */
};

static _Thread_local struct job *job;
static _Thread_local volatile sig_atomic_t in_signal;

/* Compares the stack that it is called on. */
NEB_NOINLINE static void compare(void);

/* Callers of the function that calls this, innermost first. */
NEB_NOINLINE static unsigned reference(uintptr_t *pc, unsigned skip)
{
    unw_context_t context;
    unw_cursor_t cursor;
    unsigned count = 0;
    unw_getcontext(&context);
    unw_init_local(&cursor, &context);
    while (unw_step(&cursor) > 0 && count < FRAMES) {
        unw_word_t ip;
        unw_get_reg(&cursor, UNW_REG_IP, &ip);
        if (ip == 0)
            break;
        if (skip > 0)
            skip--;
        else
            pc[count++] = ip;
    }
    return count;
}

static void same(const uintptr_t *a, unsigned a_count, const uintptr_t *b, unsigned b_count, const char *what)
{
    for (unsigned i = 0; i < a_count && i < b_count; i++)
        ck_assert_msg(a[i] == b[i], "%s: frame %u of %u: %#lx, by libunwind %#lx", what, i, a_count, (unsigned long)a[i], (unsigned long)b[i]);
    ck_assert_msg(a_count == b_count, "%s: %u frames, by libunwind %u", what, a_count, b_count);
}

/* ---- frames of many shapes --------------------------------------------------------------------------------------------- */

static void any_shape(unsigned depth);

static void compare_once(void)
{
    compare();
    job->compared++;
    job->left--;
}

#define NOT_A_TAIL_CALL() __asm__ volatile("" : : : "memory")

NEB_NOINLINE static void shape_plain(unsigned depth)
{
    any_shape(depth);
    NOT_A_TAIL_CALL();
}

NEB_NOINLINE static void shape_large(unsigned depth)
{
    volatile char room[3000];
    room[depth] = 1;
    any_shape(depth);
    room[depth + 1] = room[depth];
}

/* A size that is known at run time only: the frame is based on the frame pointer. */
NEB_NOINLINE static void shape_variable(unsigned depth)
{
    volatile char *room = alloca(16 + unit_random(&job->random) % 200);
    room[0] = 1;
    any_shape(depth);
    room[1] = room[0];
}

/* A realigned stack: the CFA is what stands at some place. */
NEB_NOINLINE static void shape_aligned(unsigned depth)
{
    NEB_ALIGNED(64) char room[64 * 3];
    volatile char *more = alloca(16 + unit_random(&job->random) % 100);
    __asm__ volatile("" : : "r"(room), "r"(more) : "memory");
    any_shape(depth);
    __asm__ volatile("" : : "r"(room), "r"(more) : "memory");
}

/* Many registers to save. */
NEB_NOINLINE static unsigned long shape_busy(unsigned depth, unsigned long a, unsigned long b, unsigned long c)
{
    unsigned long d = a * b, e = b * c, f = a ^ c, g = a + b + c;
    any_shape(depth);
    return a ^ b ^ c ^ d ^ e ^ f ^ g;
}

static int shape_sorted(const void *a, const void *b)
{
    if (job->left > 0)
        compare_once();
    return *(const int *)a - *(const int *)b;
}

/* Through a function of libc. */
NEB_NOINLINE static void shape_qsort(void)
{
    int numbers[6];
    for (unsigned i = 0; i < 6; i++)
        numbers[i] = (int)(unit_random(&job->random) % 100);
    qsort(numbers, 6, sizeof numbers[0], shape_sorted);
    NOT_A_TAIL_CALL();
}

static void on_signal(int number)
{
    (void)number;
    in_signal = 1;
    compare_once();
    in_signal = 0;
}

static void any_shape(unsigned depth)
{
    uint64_t choice = unit_random(&job->random);
    if (job->left <= 0)
        return;
    if (depth == 0) {
        for (unsigned i = 0; i < 1 + choice % 3 && job->left > 0; i++)
            compare_once();
        if (choice % 61 == 0 && !in_signal)
            (void)raise(SIGUSR1);
        return;
    }
    switch (choice >> 8 & 7) {
    case 0:
        shape_large(depth - 1);
        break;
    case 1:
        shape_variable(depth - 1);
        break;
    case 2:
        shape_aligned(depth - 1);
        break;
    case 3:
        job->random += shape_busy(depth - 1, choice, depth, choice >> 20);
        break;
    case 4:
        shape_qsort();
        break;
    default:
        shape_plain(depth - 1);
    }
    NOT_A_TAIL_CALL();
}

static void work(struct job *mine)
{
    job = mine;
    while (job->left > 0)
        any_shape((unsigned)(unit_random(&job->random) % 24));
}

static void *thread_work(void *mine)
{
    work(mine);
    return NULL;
}

/* ---- many of them ------------------------------------------------------------------------------------------------------------ */

static long captures_wanted(void)
{
    const char *wanted = getenv("CAPTURES");
    return wanted != NULL ? atol(wanted) : 100000;
}

/* In several threads at once, each with something of the test's own. */
static void shapes_in_threads(struct job jobs[THREADS])
{
    pthread_t thread[THREADS];
    (void)signal(SIGUSR1, on_signal);
    for (unsigned i = 0; i < THREADS; i++) {
        jobs[i].random = i + 1;
        jobs[i].left = captures_wanted() / THREADS;
        ck_assert_int_eq(pthread_create(&thread[i], NULL, thread_work, &jobs[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(thread[i], NULL);
        ck_assert_int_ge(jobs[i].compared, captures_wanted() / THREADS);
    }
}

static void shapes_in_main(struct job *mine)
{
    (void)signal(SIGUSR1, on_signal);
    mine->random = 77;
    mine->left = 5000;
    work(mine);
}

#endif
