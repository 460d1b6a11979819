/* test_misuse.c - what must not be done is noticed, with one line that names the call and the objects, and SIGABRT.
 *
 * Each case runs in a process of its own; its stderr must be one line that contains the expected parts, in this order. The
 * checked library's reports go to the stderr that a process begins with, and have more lines. */
#define _GNU_SOURCE
#include <nebmalloc/nebmalloc.h>

#include "claim.h"
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void (*volatile free_it)(void *) = free;
static void *(*volatile realloc_it)(void *, size_t) = realloc;
static void *volatile kept;
static void *volatile null;
static volatile size_t odd = 24, zero = 0;

/* ---- scopes ------------------------------------------------------------------------------------------------------------------ */

static void leave_outer_first(void)
{
    neb_scope *outer = neb_scope_enter("outer");
    kept = neb_scope_enter("inner");
    neb_scope_leave(outer);
}

static void leave_twice(void)
{
    neb_scope *scope = neb_scope_enter("once");
    neb_scope_leave(scope);
    neb_scope_leave(scope);
}

static void alloc_after_leave(void)
{
    neb_scope *scope = neb_scope_enter("ended");
    neb_scope_leave(scope);
    kept = neb_scope_alloc(scope, 10);
}

static void *leave_in_thread(void *scope)
{
    neb_scope_leave(scope);
    return NULL;
}

static void leave_from_another_thread(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, leave_in_thread, neb_scope_enter("main's"));
    pthread_join(thread, NULL);
}

static neb_mark common_mark;

static void *release_in_thread(void *scope)
{
    neb_scope_release(scope, common_mark);
    return NULL;
}

static void mark_of_another_thread(void)
{
    neb_scope *scope = neb_scope_enter("main's");
    common_mark = neb_scope_mark(scope);
    pthread_t thread;
    pthread_create(&thread, NULL, release_in_thread, scope);
    pthread_join(thread, NULL);
}

static void mark_of_another_scope(void)
{
    neb_scope *outer = neb_scope_enter("outer");
    neb_mark mark = neb_scope_mark(outer);
    neb_scope *inner = neb_scope_enter("inner");
    neb_scope_release(inner, mark);
}

static void mark_that_is_gone(void)
{
    neb_scope *scope = neb_scope_enter("marks");
    neb_mark older = neb_scope_mark(scope);
    kept = neb_scope_alloc(scope, 100);
    neb_mark newer = neb_scope_mark(scope);
    neb_scope_release(scope, older);
    kept = neb_scope_alloc(scope, 1000);
    (void)neb_scope_mark(scope);
    neb_scope_release(scope, newer);
}

static void mark_of_a_scope_that_ended(void)
{
    neb_scope *scope = neb_scope_enter("first");
    neb_mark mark = neb_scope_mark(scope);
    neb_scope_leave(scope);
    scope = neb_scope_enter("second");
    neb_scope_release(scope, mark);
}

static void release_under_an_inner_scope(void)
{
    neb_scope *outer = neb_scope_enter("outer");
    neb_mark mark = neb_scope_mark(outer);
    kept = neb_scope_enter("inner");
    neb_scope_release(outer, mark);
}

static void scope_alignment(void)
{
    kept = neb_scope_alloc_aligned(neb_scope_enter("odd"), odd, 10);
}

static void scope_size_of_no_object(void)
{
    static uint64_t words[16];
    (void)neb_scope_size(neb_scope_enter("sizes"), words + 8);
}

static void open_scope(void *argument)
{
    (void)argument;
    kept = neb_scope_enter("left open");
}

static void defer_leaves_a_scope_open(void)
{
    neb_scope *scope = neb_scope_enter("outer");
    if (neb_scope_defer(scope, open_scope, NULL))
        neb_scope_leave(scope);
}

/* ---- bump arenas -------------------------------------------------------------------------------------------------------------- */

static void checkpoint_that_is_gone(void)
{
    neb_bump_options options = {.name = "tables"};
    neb_bump *bump = neb_bump_create(&options);
    neb_mark older = neb_bump_mark(bump);
    kept = neb_bump_alloc(bump, 100000);
    neb_mark newer = neb_bump_mark(bump);
    neb_bump_restore(bump, older);
    kept = neb_bump_alloc(bump, 200000);
    neb_bump_restore(bump, newer);
}

static void checkpoint_before_reset(void)
{
    neb_bump *bump = neb_bump_create(NULL);
    neb_mark mark = neb_bump_mark(bump);
    neb_bump_reset(bump);
    neb_bump_restore(bump, mark);
}

static void checkpoint_of_another_arena(void)
{
    neb_bump *one = neb_bump_create(NULL), *two = neb_bump_create(NULL);
    neb_bump_restore(two, neb_bump_mark(one));
}

static void bump_limit(void)
{
    neb_bump_options options = {.limit_bytes = 100000, .flags = NEB_BUMP_STRICT, .name = "small"};
    neb_bump *bump = neb_bump_create(&options);
    while ((kept = neb_bump_alloc(bump, 1000)) != NULL)
        continue;
}

static void bump_alignment(void)
{
    kept = neb_bump_alloc_aligned(neb_bump_create(NULL), zero, 10);
}

static void bump_finished_twice(void)
{
    neb_bump bump;
    if (neb_bump_init(&bump, NULL)) {
        neb_bump_finish(&bump);
        neb_bump_finish(&bump);
    }
}

static void bump_memory_freed(void)
{
    free_it(neb_bump_alloc(neb_bump_create(NULL), 10));
}

/* ---- pools ------------------------------------------------------------------------------------------------------------------------ */

static void pool_block_freed_twice(void)
{
    neb_pool *pool = neb_pool_create_for(double);
    void *p = neb_pool_alloc(pool), *q = neb_pool_alloc(pool);
    neb_pool_free(pool, p);
    neb_pool_free(pool, q);
    neb_pool_free(pool, p);
}

static neb_pool *common_pool;

static void *free_in_thread(void *block)
{
    neb_pool_free(common_pool, block);
    return NULL;
}

/* The block is in the magazine of a thread that isn't the one that frees it again. */
static void pool_block_freed_again_in_a_thread(void)
{
    common_pool = neb_pool_create_for(double);
    void *p = neb_pool_alloc(common_pool);
    neb_pool_free(common_pool, p);
    pthread_t thread;
    pthread_create(&thread, NULL, free_in_thread, p);
    pthread_join(thread, NULL);
}

/* The magazine has been full: the older half of it is in the shared list, and the newer one has moved down. */
static void free_again_of_many(size_t which)
{
    enum { MANY = 1030 };
    static void *block[MANY];
    neb_pool *pool = neb_pool_create_for(double);
    for (size_t i = 0; i < MANY; i++)
        block[i] = neb_pool_alloc(pool);
    for (size_t i = 0; i < MANY; i++)
        neb_pool_free(pool, block[i]);
    neb_pool_free(pool, block[which]);
}

static void pool_shared_block_freed_twice(void)
{
    free_again_of_many(0);
}

static void pool_moved_block_freed_twice(void)
{
    free_again_of_many(1000);
}

static void pool_block_of_another_pool(void)
{
    neb_pool *pool = neb_pool_create_for(double), *other = neb_pool_create_for(long);
    neb_pool_free(pool, neb_pool_alloc(other));
}

static void pool_inside_of_a_block(void)
{
    neb_pool_options options = {.block_bytes = 100, .name = "hundreds"};
    neb_pool *pool = neb_pool_create(&options);
    neb_pool_free(pool, (char *)neb_pool_alloc(pool) + 16);
}

static void pool_heap_block(void)
{
    neb_pool_free(neb_pool_create_for(double), malloc(16));
}

static void pool_limit(void)
{
    neb_pool_options options = {.block_bytes = 8, .limit_blocks = 10, .flags = NEB_POOL_STRICT, .name = "ten"};
    neb_pool *pool = neb_pool_create(&options);
    while ((kept = neb_pool_alloc(pool)) != NULL)
        continue;
}

static void pool_alignment(void)
{
    neb_pool_options options = {.block_bytes = 8, .alignment = 48, .name = "odd"};
    kept = neb_pool_create(&options);
}

static void pool_without_size(void)
{
    neb_pool_options options = {.name = "empty"};
    kept = neb_pool_create(&options);
}

static void pool_memory_freed(void)
{
    free_it(neb_pool_alloc(neb_pool_create_for(double)));
}

/* ---- stacks ----------------------------------------------------------------------------------------------------------------------- */

static void pop_not_the_top(void)
{
    neb_stack_options options = {.name = "values"};
    neb_stack *stack = neb_stack_create(&options);
    void *below = neb_stack_push(stack, 10);
    kept = neb_stack_push(stack, 10);
    neb_stack_pop(stack, below);
}

static void pop_twice(void)
{
    neb_stack *stack = neb_stack_create(NULL);
    void *below = neb_stack_push(stack, 10), *top = neb_stack_push(stack, 10);
    neb_stack_pop(stack, top);
    neb_stack_pop(stack, top);
    kept = below;
}

static void pop_of_an_empty_stack(void)
{
    neb_stack_pop(neb_stack_create(NULL), null);
}

static void pop_out_of_a_frame(void)
{
    neb_stack *stack = neb_stack_create(NULL);
    void *p = neb_stack_push(stack, 10);
    (void)neb_stack_frame_begin(stack);
    neb_stack_pop(stack, p);
}

static void frames_out_of_order(void)
{
    neb_stack *stack = neb_stack_create(NULL);
    neb_frame outer = neb_stack_frame_begin(stack);
    (void)neb_stack_frame_begin(stack);
    neb_stack_frame_end(stack, outer);
}

static void frame_ended_twice(void)
{
    neb_stack *stack = neb_stack_create(NULL);
    (void)neb_stack_frame_begin(stack);
    neb_frame inner = neb_stack_frame_begin(stack);
    neb_stack_frame_end(stack, inner);
    neb_stack_frame_end(stack, inner);
}

static void marker_below_a_frame(void)
{
    neb_stack *stack = neb_stack_create(NULL);
    neb_mark mark = neb_stack_mark(stack);
    (void)neb_stack_frame_begin(stack);
    neb_stack_release(stack, mark);
}

static void marker_that_is_gone(void)
{
    neb_stack *stack = neb_stack_create(NULL);
    void *p = neb_stack_push(stack, 10);
    neb_mark mark = neb_stack_mark(stack);
    neb_stack_pop(stack, p);
    kept = neb_stack_push(stack, 100);
    neb_stack_release(stack, mark);
}

static void stack_memory_freed(void)
{
    free_it(neb_stack_push(neb_stack_create(NULL), 10));
}

/* ---- under the names of malloc ---------------------------------------------------------------------------------------------------- */

static void scope_object_freed_twice(void)
{
    void *p = neb_scope_alloc(neb_scope_enter("frees"), 10);
    free_it(p);
    free_it(p);
}

static char *object_of_a_run(neb_scope *scope, int which, int of, size_t size)
{
    char *p = NULL, *found = NULL;
    for (int i = 0; i < of; i++) {
        p = neb_scope_alloc(scope, size);
        found = i == which ? p : found;
    }
    return found;
}

static void run_object_freed_twice(void)
{
    neb_scope *scope = neb_scope_enter("frees");
    char *p = object_of_a_run(scope, 90, 91, 64);
    free_it(object_of_a_run(scope, 0, 9, 64)); /* those beside it are others */
    free_it(p);
    free_it(object_of_a_run(scope, 0, 9, 64));
    free_it(p);
}

static void run_object_freed_twice_after_many_more(void)
{
    neb_scope *scope = neb_scope_enter("frees");
    char *p = object_of_a_run(scope, 300, 400, 24);
    free_it(p);
    (void)object_of_a_run(scope, 0, 9000, 24);
    (void)object_of_a_run(scope, 0, 9000, 40);
    free_it(p);
}

static void inside_of_a_run_object(void)
{
    free_it(object_of_a_run(neb_scope_enter("frees"), 90, 100, 64) + 32);
}

static void above_the_last_object_of_a_run(void)
{
    free_it(object_of_a_run(neb_scope_enter("frees"), 99, 100, 64) + 64);
}

static void size_of_the_inside_of_a_run_object(void)
{
    neb_scope *scope = neb_scope_enter("sizes");
    (void)neb_scope_size(scope, object_of_a_run(scope, 90, 100, 64) + 32);
}

static void realloc_of_a_freed_run_object(void)
{
    char *p = object_of_a_run(neb_scope_enter("frees"), 90, 100, 64);
    free_it(p);
    kept = realloc_it(p, 20);
}

static void inside_of_a_scope_object(void)
{
    free_it((char *)neb_scope_alloc(neb_scope_enter("frees"), 100) + 32);
}

static void realloc_of_a_freed_scope_object(void)
{
    void *p = neb_scope_alloc(neb_scope_enter("frees"), 10);
    free_it(p);
    kept = realloc_it(p, 20);
}

static void ambient_block_freed_after_the_end(void)
{
    neb_scope *scope = neb_scope_enter_with("ambient", NEB_SCOPE_AMBIENT);
    void *p = malloc(10);
    neb_scope_leave(scope);
    free_it(p);
}

static void ambient_block_used_after_the_end(void)
{
    neb_scope *scope = neb_scope_enter_with("ambient", NEB_SCOPE_AMBIENT);
    volatile char *volatile p = malloc(10);
    neb_scope_leave(scope);
    p[3] = 1;
}

static void explicit_object_used_after_the_end(void)
{
    neb_scope *outer = neb_scope_enter("outer");
    kept = neb_scope_alloc(outer, 10);
    neb_scope *scope = neb_scope_enter("inner");
    volatile char *volatile p = neb_scope_alloc(scope, 10);
    neb_scope_leave(scope);
    p[3] = 1;
}

enum need { ANYWHERE, LIBRARY, CHECKED };

static const struct {
    const char *name;
    void (*run)(void);
    enum need need;
    int signal;
    const char *part[3];
} cases[] = {
#define CASE(name, need, ...) {#name, name, need, SIGABRT, {__VA_ARGS__}}
    CASE(leave_outer_first, ANYWHERE, "neb_scope_leave(0x", "scope 'outer' is not the innermost", "'inner' (0x"),
    CASE(leave_twice, ANYWHERE, "neb_scope_leave(0x", "has ended"),
    CASE(alloc_after_leave, ANYWHERE, "neb_scope_alloc(0x", "has ended"),
    CASE(leave_from_another_thread, ANYWHERE, "neb_scope_leave(0x", "'main's' belongs to thread 1, not to this one (2)"),
    CASE(mark_of_another_thread, ANYWHERE, "neb_scope_release(0x", "'main's' belongs to thread 1"),
    CASE(mark_of_another_scope, ANYWHERE, "neb_scope_release(0x", "the mark is of another scope (0x", "'inner'"),
    CASE(mark_that_is_gone, ANYWHERE, "neb_scope_release(0x", "the mark is gone", "'marks'"),
    CASE(mark_of_a_scope_that_ended, ANYWHERE, "neb_scope_release(0x", "the mark is gone", "'second'"),
    CASE(release_under_an_inner_scope, ANYWHERE, "neb_scope_release(0x", "'outer' is not the innermost", "'inner'"),
    CASE(scope_alignment, ANYWHERE, "neb_scope_alloc_aligned(0x", "alignment 24 is not a power of two", "'odd'"),
    CASE(scope_size_of_no_object, ANYWHERE, "neb_scope_size(0x", "no object of a scope begins here"),
    CASE(defer_leaves_a_scope_open, ANYWHERE, "neb_scope_leave(0x", "'outer' is not the innermost", "'left open'"),
    CASE(checkpoint_that_is_gone, ANYWHERE, "neb_bump_restore(0x", "the mark is gone", "bump arena 'tables'"),
    CASE(checkpoint_before_reset, ANYWHERE, "neb_bump_restore(0x", "the mark is gone"),
    CASE(checkpoint_of_another_arena, ANYWHERE, "neb_bump_restore(0x", "of another bump arena (0x"),
    CASE(bump_limit, ANYWHERE, "neb_bump_alloc(0x", "'small' is at its limit", "100000 allowed"),
    CASE(bump_alignment, ANYWHERE, "neb_bump_alloc_aligned(0x", "alignment 0 is not a power of two"),
    CASE(bump_finished_twice, ANYWHERE, "neb_bump_finish(0x", "already ended"),
    CASE(bump_memory_freed, LIBRARY, "free(0x", "memory of a bump arena"),
    CASE(pool_block_freed_twice, ANYWHERE, "neb_pool_free(0x", "double free", "'double'"),
    CASE(pool_block_freed_again_in_a_thread, ANYWHERE, "neb_pool_free(0x", "double free", "'double'"),
    CASE(pool_shared_block_freed_twice, ANYWHERE, "neb_pool_free(0x", "double free", "'double'"),
    CASE(pool_moved_block_freed_twice, ANYWHERE, "neb_pool_free(0x", "double free", "'double'"),
    CASE(pool_block_of_another_pool, ANYWHERE, "neb_pool_free(0x", "no block of pool 'double' (0x"),
    CASE(pool_inside_of_a_block, ANYWHERE, "neb_pool_free(0x", "16 bytes inside a block of 112 bytes", "'hundreds'"),
    CASE(pool_heap_block, ANYWHERE, "neb_pool_free(0x", "no block of pool 'double'"),
    CASE(pool_limit, ANYWHERE, "neb_pool_alloc(0x", "'ten' is at its limit", "10 blocks"),
    CASE(pool_alignment, ANYWHERE, "neb_pool_create(0x", "alignment 48 is not a power of two", "'odd'"),
    CASE(pool_without_size, ANYWHERE, "neb_pool_create(0x", "blocks of 0 bytes", "'empty'"),
    CASE(pool_memory_freed, LIBRARY, "free(0x", "a pool's memory"),
    CASE(pop_not_the_top, ANYWHERE, "neb_stack_pop(0x", "not the object on top of stack 'values' (0x", "ends at 0x"),
    CASE(pop_twice, ANYWHERE, "neb_stack_pop(0x", "not the object on top"),
    CASE(pop_of_an_empty_stack, ANYWHERE, "neb_stack_pop((nil))", "is empty"),
    CASE(pop_out_of_a_frame, ANYWHERE, "neb_stack_pop(0x", "nothing is left in the innermost frame"),
    CASE(frames_out_of_order, ANYWHERE, "neb_stack_frame_end(0x", "frame 1", "not the innermost one, which is frame 2"),
    CASE(frame_ended_twice, ANYWHERE, "neb_stack_frame_end(0x", "frame 2", "which is frame 1"),
    CASE(marker_below_a_frame, ANYWHERE, "neb_stack_release(0x", "a frame of stack", "begun after the mark is open"),
    CASE(marker_that_is_gone, ANYWHERE, "neb_stack_release(0x", "the mark is gone"),
    CASE(stack_memory_freed, LIBRARY, "free(0x", "memory of a stack"),
    CASE(scope_object_freed_twice, LIBRARY, "free(0x", "double free: this object of a scope"),
    CASE(run_object_freed_twice, LIBRARY, "free(0x", "double free: this object of a scope"),
    CASE(run_object_freed_twice_after_many_more, LIBRARY, "free(0x", "double free: this object of a scope"),
    CASE(inside_of_a_run_object, LIBRARY, "free(0x", "no object begins here"),
    CASE(above_the_last_object_of_a_run, LIBRARY, "free(0x", "no object begins here"),
    CASE(size_of_the_inside_of_a_run_object, ANYWHERE, "neb_scope_size(0x", "no object of a scope begins here"),
    CASE(realloc_of_a_freed_run_object, LIBRARY, "realloc(0x", "double free"),
    CASE(inside_of_a_scope_object, LIBRARY, "free(0x", "no object begins here"),
    CASE(realloc_of_a_freed_scope_object, LIBRARY, "realloc(0x", "double free"),
    CASE(ambient_block_freed_after_the_end, CHECKED, "free(0x", "the scope of this block has ended"),
#define FAULT(name) {#name, name, CHECKED, SIGSEGV, {"(0x", "the scope of this block has ended", "#0 " #name}}
    FAULT(ambient_block_used_after_the_end),
    FAULT(explicit_object_used_after_the_end),
};

static void run_child(int output, const char *name)
{
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    dup2(output, STDERR_FILENO);
    execl("/proc/self/exe", "misuse", name, (char *)NULL);
    _exit(127);
}

static bool is_expected(size_t i, const char *text, int status)
{
    if (!WIFSIGNALED(status) || WTERMSIG(status) != cases[i].signal)
        return false;
    const char *at = strstr(text, "nebmalloc: ERROR: ");
    for (int part = 0; at != NULL && part < 3 && cases[i].part[part] != NULL; part++)
        at = strstr(at, cases[i].part[part]);
    const char *end = strchr(text, '\n');
    bool says_more = NEB_ASAN_ || NEB_MSAN_ || strstr(neb_version(), "checked") != NULL;
    return at != NULL && end != NULL && (end[1] == '\0' || says_more);
}

static bool run_case(size_t i)
{
    int pipes[2];
    char text[4096];
    size_t length = 0;
    CLAIM(pipe(pipes) == 0);
    pid_t child = fork();
    if (child == 0)
        run_child(pipes[1], cases[i].name);
    close(pipes[1]);
    for (ssize_t got; length < sizeof text - 1 && (got = read(pipes[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)got;
    text[length] = '\0';
    close(pipes[0]);
    int status = 0;
    CLAIM(waitpid(child, &status, 0) == child);
    bool is_good = is_expected(i, text, status);
    printf("%s %s\n", is_good ? "ok" : "FAIL", cases[i].name);
    if (!is_good)
        printf("     status %#x, stderr: %s\n", (unsigned)status, text);
    return is_good;
}

int main(int count, char **arguments)
{
    for (size_t i = 0; count == 2 && i < sizeof cases / sizeof cases[0]; i++)
        if (strcmp(cases[i].name, arguments[1]) == 0) {
            cases[i].run();
            return 0;
        }
    enum need have = !neb_is_active() ? ANYWHERE : strstr(neb_version(), "checked") != NULL ? CHECKED : LIBRARY;
    size_t failures = 0, run = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (cases[i].need <= have) {
            failures += !run_case(i);
            run++;
        }
    printf("%zu of %zu cases of misuse noticed (%s)\n", run - failures, run, neb_version());
    return failures != 0;
}
