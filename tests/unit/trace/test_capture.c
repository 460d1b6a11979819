/* trace/capture.h against libunwind: every stack the same, frame by frame, in several threads at once.
 *
 * CAPTURES=1000000 test-trace-capture compares that many; otherwise 100,000. */
#define UNW_LOCAL_ONLY
#include "os/process.h"
#include "trace/capture.h"
#include "trace/depot.h"
#include "trace/format.h"
#include "trace/output.h"
#include "trace/state.h"
#include "unit/trace/file.h"
#include <alloca.h>
#include <libunwind.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { THREADS = 4, FRAMES = 128 };

struct job {
    struct stack_cache cache;
    uint64_t random;
    long left, compared, reused;
};

static _Thread_local struct job *job;
static _Thread_local volatile sig_atomic_t in_signal;

/* ---- the comparison ---------------------------------------------------------------------------------------------------- */

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

static unsigned from_depot(uint32_t node, uintptr_t *pc)
{
    unsigned count = 0;
    while (node >= NBT_STACK_FIRST && count < FRAMES)
        node = neb_depot_parent(node, &pc[count++]);
    return count;
}

static void same(const uintptr_t *a, unsigned a_count, const uintptr_t *b, unsigned b_count, const char *what)
{
    for (unsigned i = 0; i < a_count && i < b_count; i++)
        ck_assert_msg(a[i] == b[i], "%s: frame %u of %u: %#lx, by libunwind %#lx", what, i, a_count, (unsigned long)a[i], (unsigned long)b[i]);
    ck_assert_msg(a_count == b_count, "%s: %u frames, by libunwind %u", what, a_count, b_count);
}

NEB_NOINLINE static void compare(void)
{
    uintptr_t captured[FRAMES], walked[FRAMES], wanted[FRAMES];
    struct place place = PLACE_OF_CALLER();
    struct reach reach = {0, 0};
    const struct stack *newest = job->cache.newest;
    uint32_t node = neb_capture(&job->cache, &place).node;
    job->reused += job->cache.newest == newest;
    unsigned wanted_count = reference(wanted, 1);
    same(captured, from_depot(node, captured), wanted, wanted_count, "captured");
    if (job->left % 8 == 0)
        same(walked, neb_step_walk(&reach, &place, walked, FRAMES), wanted, wanted_count, "walked");
    job->compared++;
    job->left--;
}

/* ---- frames of many shapes --------------------------------------------------------------------------------------------- */

static void any_shape(unsigned depth);

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
        compare();
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
    compare();
    in_signal = 0;
}

static void any_shape(unsigned depth)
{
    uint64_t choice = unit_random(&job->random);
    if (job->left <= 0)
        return;
    if (depth == 0) {
        for (unsigned i = 0; i < 1 + choice % 3 && job->left > 0; i++)
            compare();
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

/* ---- the claims ------------------------------------------------------------------------------------------------------------ */

static void begin(void)
{
    file_begin();
    atomic_store(&neb_trace_page.state.depth, STACK_FRAMES_MAX);
}

static long captures_wanted(void)
{
    const char *wanted = getenv("CAPTURES");
    return wanted != NULL ? atol(wanted) : 100000;
}

static struct job *job_make(uint64_t seed, long left)
{
    struct job *made = mmap(NULL, sizeof *made, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    made->random = seed;
    made->left = left;
    return made;
}

START_TEST(every_stack_of_several_threads_is_the_one_that_libunwind_sees)
{
    pthread_t thread[THREADS];
    struct job *jobs[THREADS];
    begin();
    (void)signal(SIGUSR1, on_signal);
    for (unsigned i = 0; i < THREADS; i++) {
        jobs[i] = job_make(i + 1, captures_wanted() / THREADS);
        ck_assert_int_eq(pthread_create(&thread[i], NULL, thread_work, jobs[i]), 0);
    }
    long compared = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(thread[i], NULL);
        compared += jobs[i]->compared;
        ck_assert_int_gt(jobs[i]->reused, 0); /* else nothing was learned about what is remembered */
    }
    ck_assert_int_ge(compared, captures_wanted() / THREADS * THREADS);
}
END_TEST

START_TEST(the_main_threads_stacks_too)
{
    begin();
    (void)signal(SIGUSR1, on_signal);
    work(job_make(77, 5000));
}
END_TEST

/* The same place, called from the same depth, with one caller further out that differs. */
NEB_NOINLINE static uint32_t leaf(struct stack_cache *cache)
{
    struct place place = PLACE_OF_CALLER();
    return neb_capture(cache, &place).node;
}

NEB_NOINLINE static uint32_t middle(struct stack_cache *cache)
{
    uint32_t node = leaf(cache);
    NOT_A_TAIL_CALL();
    return node;
}

START_TEST(a_remembered_stack_is_not_taken_for_one_with_another_caller)
{
    static struct stack_cache cache;
    uint32_t nodes[2][3];
    volatile unsigned rounds = 3; /* one call, not one for each round */
    begin();
    for (unsigned i = 0; i < rounds; i++) {
        nodes[0][i] = middle(&cache);
        nodes[1][i] = middle(&cache);
    }
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(nodes[0][i], nodes[0][0]);
        ck_assert_uint_eq(nodes[1][i], nodes[1][0]);
    }
    ck_assert_uint_ne(nodes[0][0], nodes[1][0]);
}
END_TEST

NEB_NOINLINE static uint32_t recurse(struct stack_cache *cache, unsigned depth)
{
    uint32_t node = depth == 0 ? leaf(cache) : recurse(cache, depth - 1);
    NOT_A_TAIL_CALL();
    return node;
}

static unsigned depth_of(uint32_t node, uint32_t *root)
{
    uintptr_t pc;
    unsigned depth = 0;
    for (*root = node; *root >= NBT_STACK_FIRST; depth++)
        *root = neb_depot_parent(*root, &pc);
    return depth;
}

START_TEST(a_stack_that_is_too_deep_keeps_its_inner_frames)
{
    static struct stack_cache cache;
    uint32_t root;
    begin();
    atomic_store(&neb_trace_page.state.depth, 40);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned depth = 0; depth < 90; depth += 3) {
            uint32_t node = recurse(&cache, depth);
            unsigned frames = depth_of(node, &root);
            ck_assert_uint_le(frames, 40);
            if (depth >= 40) {
                ck_assert_uint_eq(frames, 40);
                ck_assert_uint_eq(root, NBT_STACK_TRUNCATED);
            }
        }
    ck_assert_uint_eq(recurse(&cache, 60), recurse(&cache, 60 + 0));
}
END_TEST

UNIT_MAIN("capture", HOLDS(every_stack_of_several_threads_is_the_one_that_libunwind_sees), HOLDS(the_main_threads_stacks_too),
          HOLDS(a_remembered_stack_is_not_taken_for_one_with_another_caller), HOLDS(a_stack_that_is_too_deep_keeps_its_inner_frames))
