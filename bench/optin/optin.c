/* optin.c - the opt-in API against malloc: 64-byte allocations, one thread.
 *
 *   optin [--json] [--rounds N]
 *
 *   alloc       a batch of 500 blocks allocated, right after such a batch was given back
 *   alloc+end   the same with what it takes to give them back: 500 frees, or one reset, leave, frame end
 *   few         7 blocks and their end: as many as glibc keeps in its per-thread cache, its fastest state
 *   hundred     100 blocks and their end, as a request handler does it
 *   thousand    1,000 blocks and their end: where there are headers, more than a first-level cache of 48 KiB holds
 *   fresh       200,000 blocks of memory that was never used, kept: page faults are part of it
 *   end         the end alone, after 10, 1,000 and 100,000 objects: it should not depend on how many
 *
 * 500 blocks with headers fit the cache, so that `alloc` is the price of the call. Their addresses are kept four at a time:
 * a processor that stores into one cache line a cycle would else spend a whole one on the loop's own store, which is as
 * much as a bump arena takes.
 *
 * glibc is its malloc by the names __libc_malloc and __libc_free, which a preloaded library leaves alone; malloc is
 * whatever the process has. All variants of a pattern take turns within a round; the minimum over the rounds counts,
 * since only disturbances make a loop slower, and the median is printed beside it. Nanoseconds for each block. */
#define _GNU_SOURCE
#include <nebmalloc/nebmalloc.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern void *__libc_malloc(size_t size);
extern void __libc_free(void *p);

enum { BLOCK = 64, BATCH = 500, FEW = 7, THOUSAND = 1000, FRESH = 200000, HUNDRED = 100, ROUNDS_MAX = 100000, PATTERNS = 6 };

#define USE(p) __asm__ volatile("" : : "r"(p) : "memory")

static void *block[FRESH];

static double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* ---- one batch by each allocator: allocate(count), then end(count) -------------------------------------------------------- */

static neb_bump *bump;
static neb_stack *stack;
static neb_scope *scope;
static neb_pool *pool;
static neb_frame frame;

#define ONE(p, expression)                                                                                             \
    void *p = (expression);                                                                                            \
    USE(p)
#define LOOP(count, expression)                                                                                        \
    int i = 0;                                                                                                         \
    for (; i + 4 <= (count); i += 4) {                                                                                 \
        ONE(p, expression);                                                                                            \
        ONE(q, expression);                                                                                            \
        ONE(r, expression);                                                                                            \
        ONE(s, expression);                                                                                            \
        block[i] = p;                                                                                                  \
        block[i + 1] = q;                                                                                              \
        block[i + 2] = r;                                                                                              \
        block[i + 3] = s;                                                                                              \
    }                                                                                                                  \
    for (; i < (count); i++) {                                                                                         \
        ONE(p, expression);                                                                                            \
        block[i] = p;                                                                                                  \
    }

static void glibc_alloc(int count)
{
    LOOP(count, __libc_malloc(BLOCK))
}

static void glibc_end(int count)
{
    for (int i = 0; i < count; i++)
        __libc_free(block[i]);
}

static void malloc_alloc(int count)
{
    LOOP(count, malloc(BLOCK))
}

static void malloc_end(int count)
{
    for (int i = 0; i < count; i++)
        free(block[i]);
}

static void bump_alloc(int count)
{
    neb_bump *const from = bump; /* in a register, as a program has it */
    LOOP(count, neb_bump_alloc(from, BLOCK))
}

static void bump_end(int count)
{
    (void)count;
    neb_bump_reset(bump);
}

static void scope_alloc(int count)
{
    neb_scope *const from = scope = neb_scope_enter("bench");
    LOOP(count, neb_scope_alloc(from, BLOCK))
}

static void scope_end(int count)
{
    (void)count;
    neb_scope_leave(scope);
}

static void stack_alloc(int count)
{
    frame = neb_stack_frame_begin(stack);
    neb_stack *const from = stack;
    LOOP(count, neb_stack_push(from, BLOCK))
}

static void stack_end(int count)
{
    (void)count;
    neb_stack_frame_end(stack, frame);
}

static void stack_pop_end(int count)
{
    neb_stack *const of = stack;
    for (int i = count; i-- > 0;)
        neb_stack_pop(of, block[i]);
    neb_stack_frame_end(of, frame);
}

static void pool_alloc(int count)
{
    neb_pool *const from = pool;
    LOOP(count, neb_pool_alloc(from))
}

static void pool_end(int count)
{
    neb_pool *const of = pool;
    for (int i = count; i-- > 0;)
        neb_pool_free(of, block[i]);
}

static const struct allocator {
    const char *name;
    void (*alloc)(int count);
    void (*end)(int count);
} allocators[] = {{"glibc", glibc_alloc, glibc_end},      {"malloc", malloc_alloc, malloc_end}, {"bump", bump_alloc, bump_end},
                  {"scope", scope_alloc, scope_end},      {"stack", stack_alloc, stack_end},    {"stack-pop", stack_alloc, stack_pop_end},
                  {"pool", pool_alloc, pool_end}};
enum { ALLOCATORS = sizeof allocators / sizeof allocators[0] };

/* ---- patterns ------------------------------------------------------------------------------------------------------------------ */

struct result {
    const char *pattern;
    double least[ALLOCATORS], median[ALLOCATORS];
};

static double *sample[ALLOCATORS];

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void summarise(struct result *result, const char *pattern, int rounds)
{
    result->pattern = pattern;
    for (int a = 0; a < ALLOCATORS; a++) {
        qsort(sample[a], (size_t)rounds, sizeof(double), compare);
        result->least[a] = sample[a][0];
        result->median[a] = sample[a][rounds / 2];
    }
}

static void measure(struct result *result, const char *pattern, int rounds, int count, int repeats, bool with_end)
{
    for (int round = -rounds / 10 - 1; round < rounds; round++)
        for (int a = 0; a < ALLOCATORS; a++) {
            allocators[a].alloc(count); /* what the one before left in the caches is not its affair */
            allocators[a].end(count);
            double start = now_ns(), took;
            for (int repeat = 0; repeat < repeats; repeat++) {
                allocators[a].alloc(count);
                if (with_end)
                    allocators[a].end(count);
            }
            took = (now_ns() - start) / repeats;
            if (!with_end)
                allocators[a].end(count);
            if (round >= 0)
                sample[a][round] = took / count;
        }
    summarise(result, pattern, rounds);
}

/* Nothing is given back until the end, so that each round finds memory that was never used. */
static void measure_fresh(struct result *result)
{
    enum { ROUNDS = 5 };
    for (int round = 0; round < ROUNDS; round++)
        for (int a = 0; a < ALLOCATORS; a++) {
            neb_bump *old_bump = bump;
            neb_stack *old_stack = stack;
            neb_pool *old_pool = pool;
            neb_pool_options options = {.block_bytes = BLOCK};
            bump = neb_bump_create(NULL);
            stack = neb_stack_create(NULL);
            pool = neb_pool_create(&options);
            double start = now_ns();
            allocators[a].alloc(FRESH);
            for (int i = 0; i < FRESH; i += 16) /* each page is touched, by all alike */
                *(volatile char *)block[i] = 1;
            sample[a][round] = (now_ns() - start) / FRESH;
            if (scope != NULL && neb_scope_innermost() == scope)
                neb_scope_leave(scope);
            (void)neb_memory_trim();
            neb_bump_destroy(bump);
            neb_stack_destroy(stack);
            neb_pool_destroy(pool);
            bump = old_bump;
            stack = old_stack;
            pool = old_pool;
        }
    summarise(result, "fresh", ROUNDS);
}

static double end_of(const struct allocator *allocator, int count)
{
    double least = 1e18;
    for (int round = 0; round < 20; round++) {
        allocator->alloc(count);
        double start = now_ns();
        allocator->end(count);
        double took = now_ns() - start;
        least = took < least ? took : least;
    }
    return least;
}

static void print_table(const struct result *results, size_t count)
{
    printf("%-10s", "ns/block");
    for (int a = 0; a < ALLOCATORS; a++)
        printf("%16s", allocators[a].name);
    for (size_t r = 0; r < count; r++) {
        printf("\n%-10s", results[r].pattern);
        for (int a = 0; a < ALLOCATORS; a++)
            printf("%8.2f %6.1fx", results[r].least[a], results[r].least[0] / results[r].least[a]);
    }
    printf("\n\nend after   10 / 1,000 / 100,000 objects, ns\n");
    for (int a = 0; a < ALLOCATORS; a++)
        printf("%-10s %8.0f %8.0f %10.0f\n", allocators[a].name, end_of(&allocators[a], 10), end_of(&allocators[a], 1000),
               end_of(&allocators[a], 100000));
}

static void print_json(const struct result *results, size_t count)
{
    printf("{\"library\": \"%s\", \"block_bytes\": %d, \"unit\": \"ns per block\", \"patterns\": {", neb_version(), BLOCK);
    for (size_t r = 0; r < count; r++) {
        printf("%s\n  \"%s\": {", r > 0 ? "," : "", results[r].pattern);
        for (int a = 0; a < ALLOCATORS; a++)
            printf("%s\"%s\": {\"min\": %.3f, \"median\": %.3f, \"glibc_ratio\": %.2f}", a > 0 ? ", " : "", allocators[a].name,
                   results[r].least[a], results[r].median[a], results[r].least[0] / results[r].least[a]);
        printf("}");
    }
    printf("},\n \"end_ns\": {");
    for (int a = 0; a < ALLOCATORS; a++)
        printf("%s\"%s\": [%.0f, %.0f, %.0f]", a > 0 ? ", " : "", allocators[a].name, end_of(&allocators[a], 10),
               end_of(&allocators[a], 1000), end_of(&allocators[a], 100000));
    printf("}}\n");
}

int main(int argc, char **argv)
{
    int rounds = 2000;
    bool json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
            rounds = atoi(argv[++i]);
        else {
            fprintf(stderr, "usage: optin [--json] [--rounds N]\n");
            return 2;
        }
    }
    if (rounds < 1 || rounds > ROUNDS_MAX)
        return 2;
    neb_pool_options options = {.block_bytes = BLOCK, .name = "bench"};
    bump = neb_bump_create(NULL);
    stack = neb_stack_create(NULL);
    pool = neb_pool_create(&options);
    for (int a = 0; a < ALLOCATORS; a++)
        sample[a] = malloc(sizeof(double) * (size_t)(rounds < 5 ? 5 : rounds));
    struct result results[PATTERNS];
    measure(&results[0], "alloc", rounds, BATCH, 1, false);
    measure(&results[1], "alloc+end", rounds, BATCH, 4, true);
    measure(&results[2], "few", rounds, FEW, 100, true);
    measure(&results[3], "hundred", rounds, HUNDRED, 10, true);
    measure(&results[4], "thousand", rounds, THOUSAND, 1, true);
    measure_fresh(&results[5]);
    if (json)
        print_json(results, PATTERNS);
    else {
        printf("%s\n", neb_version());
        print_table(results, PATTERNS);
    }
    neb_pool_destroy(pool);
    neb_stack_destroy(stack);
    neb_bump_destroy(bump);
    return 0;
}
