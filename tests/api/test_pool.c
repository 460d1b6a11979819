/* test_pool.c - pools do what pool.h says: with the library and without it alike. */
#include <nebmalloc/pool.h>

#include "claim.h"
#include <errno.h>
#include <pthread.h>
#include <stdint.h>

static void blocks_are_aligned_apart_and_keep_their_bytes(void)
{
    enum { COUNT = 20000 };
    static unsigned char *block[COUNT];
    size_t sizes[] = {1, 16, 24, 48, 64, 80, 112, 100, 1000, 1008};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        neb_pool_options options = {.block_bytes = sizes[s], .name = "sizes"};
        neb_pool *pool = neb_pool_create(&options);
        for (int round = 0; round < 2; round++) {
            for (int i = 0; i < COUNT; i++) {
                block[i] = neb_pool_alloc(pool);
                CLAIM(block[i] != NULL && IS_ALIGNED(block[i], 16));
                memset(block[i], i & 255, sizes[s]);
            }
            CLAIM(neb_pool_get_stats(pool).live_blocks == COUNT);
            for (int i = 0; i < COUNT; i++) {
                CLAIM(is_filled(block[i], i & 255, sizes[s]));
                neb_pool_free(pool, block[i]);
            }
            CLAIM(neb_pool_get_stats(pool).live_blocks == 0);
        }
        neb_pool_destroy(pool);
    }
}

static void every_alignment_is_kept(void)
{
    for (size_t alignment = 1; alignment <= 65536; alignment *= 2) {
        neb_pool_options options = {.block_bytes = 100, .alignment = alignment, .initial_blocks = 3};
        neb_pool *pool = neb_pool_create(&options);
        for (int i = 0; i < 20; i++)
            CLAIM(IS_ALIGNED(neb_pool_alloc(pool), alignment));
        neb_pool_destroy(pool);
    }
}

static void limits_are_exact(void)
{
    static void *block[5000];
    neb_pool_options options = {.block_bytes = 40, .limit_blocks = 2500, .name = "limited"};
    neb_pool *pool = neb_pool_create(&options);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 2500; i++)
            CLAIM((block[i] = neb_pool_alloc(pool)) != NULL);
        errno = 0;
        CLAIM(neb_pool_alloc(pool) == NULL && errno == ENOMEM);
        for (int i = 0; i < 2500; i++)
            neb_pool_free(pool, block[(i * 7) % 2500]);
    }
    neb_pool_destroy(pool);
    options = (neb_pool_options){.block_bytes = 40, .initial_blocks = 10, .flags = NEB_POOL_NO_GROWTH};
    pool = neb_pool_create(&options);
    for (int i = 0; i < 10; i++)
        CLAIM((block[i] = neb_pool_alloc(pool)) != NULL);
    CLAIM(neb_pool_alloc(pool) == NULL && errno == ENOMEM);
    neb_pool_free(pool, block[4]);
    CLAIM(neb_pool_alloc(pool) == block[4]);
    neb_pool_destroy(pool);
}

static void add(void *argument, void *block, size_t bytes)
{
    CLAIM(bytes >= sizeof(long));
    *(long *)argument += *(long *)block;
}

static void visits_find_exactly_the_live_ones(void)
{
    neb_pool *pool = neb_pool_create_for(long);
    static long *block[3000];
    long expected = 0, found = 0;
    for (long i = 0; i < 3000; i++)
        *(block[i] = neb_pool_alloc(pool)) = i;
    for (long i = 0; i < 3000; i++)
        if (i % 3 == 0)
            neb_pool_free(pool, block[i]);
        else
            expected += i;
    CLAIM(neb_pool_visit(pool, add, &found) == 2000 && found == expected);
    neb_pool_destroy(pool);
}

static void zeroed_blocks_are_zero(void)
{
    neb_pool_options options = {.block_bytes = 200, .flags = NEB_POOL_ZERO};
    neb_pool *pool = neb_pool_create(&options);
    for (int i = 0; i < 1000; i++) {
        unsigned char *p = neb_pool_alloc(pool);
        CLAIM(is_filled(p, 0, 200));
        memset(p, 0xFF, 200);
        neb_pool_free(pool, p);
    }
    neb_pool_destroy(pool);
}

struct node {
    struct node *next;
    int value;
};
NEB_POOL_TYPE(node, struct node)

static void typed_names_work(void)
{
    node_pool *pool = node_pool_create();
    struct node *first = NULL;
    for (int i = 0; i < 100; i++) {
        struct node *p = node_alloc(pool);
        p->next = first;
        p->value = i;
        first = p;
    }
    for (struct node *p = first, *next; p != NULL; p = next) {
        next = p->next;
        node_free(pool, p);
    }
    CLAIM(neb_pool_get_stats(&pool->pool).live_blocks == 0);
    node_pool_destroy(pool);
}

/* ---- threads -------------------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, SLOTS = 512, STEPS = 60000 };

static _Atomic(unsigned char *) slot[SLOTS];

struct worker {
    neb_pool *pool;
    unsigned seed;
};

/* Blocks go through common slots, so that most are freed by another thread than the one that allocated them. */
static void *exchange_blocks(void *argument)
{
    struct worker *worker = argument;
    unsigned random = worker->seed;
    for (int i = 0; i < STEPS; i++) {
        random = random * 1664525 + 1013904223;
        unsigned char *mine = neb_pool_alloc(worker->pool);
        CLAIM(mine != NULL);
        memset(mine, (int)(random >> 24), 48);
        unsigned char *other = __atomic_exchange_n((unsigned char **)(void *)&slot[random / 7 % SLOTS], mine, __ATOMIC_ACQ_REL);
        if (other != NULL) {
            CLAIM(is_filled(other, other[0], 48));
            neb_pool_free(worker->pool, other);
        }
    }
    return NULL;
}

static void any_thread_frees_what_another_allocated(void)
{
    for (unsigned flags = 0; flags <= NEB_POOL_ONE_LOCK; flags += NEB_POOL_ONE_LOCK) {
        neb_pool_options options = {.block_bytes = 48, .flags = flags};
        neb_pool *pool = neb_pool_create(&options);
        pthread_t threads[THREADS];
        static struct worker worker[THREADS];
        for (unsigned i = 0; i < THREADS; i++) {
            worker[i] = (struct worker){pool, i + 1};
            CLAIM(pthread_create(&threads[i], NULL, exchange_blocks, &worker[i]) == 0);
        }
        for (unsigned i = 0; i < THREADS; i++)
            CLAIM(pthread_join(threads[i], NULL) == 0);
        for (int i = 0; i < SLOTS; i++) {
            neb_pool_free(pool, slot[i]);
            slot[i] = NULL;
        }
        CLAIM(neb_pool_get_stats(pool).live_blocks == 0);
        CLAIM(neb_pool_get_stats(pool).free_blocks < SLOTS + THREADS + 4096);
        neb_pool_destroy(pool);
    }
}

static void *take_all_of_it(void *argument)
{
    neb_pool *pool = argument;
    size_t got = 0;
    while (neb_pool_alloc(pool) != NULL)
        got++;
    return (void *)(got == 1000 ? "all" : NULL);
}

/* What the owner holds back in its magazine is no loss to others. */
static void others_get_what_an_idle_owner_holds(void)
{
    static void *block[1000];
    neb_pool_options options = {.block_bytes = 32, .limit_blocks = 1000};
    neb_pool *pool = neb_pool_create(&options);
    for (int i = 0; i < 1000; i++)
        CLAIM((block[i] = neb_pool_alloc(pool)) != NULL);
    for (int i = 0; i < 1000; i++)
        neb_pool_free(pool, block[i]);
    pthread_t thread;
    void *all = NULL;
    CLAIM(pthread_create(&thread, NULL, take_all_of_it, pool) == 0 && pthread_join(thread, &all) == 0);
    CLAIM(all != NULL && neb_pool_alloc(pool) == NULL);
    neb_pool_destroy(pool);
}

static void *use_alone(void *argument)
{
    neb_pool *pool = argument;
    for (int i = 0; i < 5000; i++)
        neb_pool_free(pool, neb_pool_alloc(pool));
    uint64_t before = neb_pool_get_stats(pool).locked_calls;
    for (int i = 0; i < 5000; i++)
        neb_pool_free(pool, neb_pool_alloc(pool));
    return (void *)(neb_pool_get_stats(pool).locked_calls - before < 100 ? "own" : NULL);
}

static void *use_first(void *argument)
{
    neb_pool *pool = argument;
    for (int i = 0; i < 1000; i++)
        neb_pool_free(pool, neb_pool_alloc(pool));
    return NULL;
}

/* Whoever made it: a pool for a worker is often made by the thread that starts it. */
static void the_first_that_uses_a_pool_owns_it(void)
{
    neb_pool *pool = neb_pool_create_for(double);
    pthread_t thread;
    CLAIM(pthread_create(&thread, NULL, use_first, pool) == 0 && pthread_join(thread, NULL) == 0);
    uint64_t locked = neb_pool_get_stats(pool).locked_calls;
    CLAIM(locked < 10 || locked == 2000); /* all of them: where there are no owners */
    neb_pool_destroy(pool);
}

static void a_thread_that_does_all_the_work_becomes_owner(void)
{
#if NEB_ASAN_ || NEB_MSAN_
    return; /* there every call takes the lock */
#endif
    neb_pool *pool = neb_pool_create_for(double);
    neb_pool_free(pool, neb_pool_alloc(pool));
    bool has_owner = neb_pool_get_stats(pool).locked_calls < 2 && strstr(pool->ops->name, "checked") == NULL;
    pthread_t thread;
    void *is_own = NULL;
    CLAIM(pthread_create(&thread, NULL, use_alone, pool) == 0 && pthread_join(thread, &is_own) == 0);
    CLAIM(is_own != NULL || !has_owner);
    neb_pool_destroy(pool);
}

int main(void)
{
    RUN(blocks_are_aligned_apart_and_keep_their_bytes);
    RUN(every_alignment_is_kept);
    RUN(limits_are_exact);
    RUN(visits_find_exactly_the_live_ones);
    RUN(zeroed_blocks_are_zero);
    RUN(typed_names_work);
    RUN(any_thread_frees_what_another_allocated);
    RUN(others_get_what_an_idle_owner_holds);
    RUN(the_first_that_uses_a_pool_owns_it);
    RUN(a_thread_that_does_all_the_work_becomes_owner);
    return 0;
}
