/* test_bump.c - bump arenas do what bump.h says: with the library and without it alike. */
#include <nebmalloc/bump.h>

#include "claim.h"
#include <errno.h>
#include <pthread.h>
#include <stdint.h>

static void objects_are_aligned_apart_and_keep_their_bytes(void)
{
    enum { COUNT = 3000 };
    static unsigned char *object[COUNT];
    neb_bump *bump = neb_bump_create(NULL);
    for (size_t i = 0; i < COUNT; i++) {
        object[i] = neb_bump_alloc(bump, i);
        CLAIM(object[i] != NULL && IS_ALIGNED(object[i], 16));
        memset(object[i], (int)(i & 255), i);
    }
    for (size_t i = 0; i < COUNT; i++)
        CLAIM(is_filled(object[i], (int)(i & 255), i));
    neb_bump_destroy(bump);
}

static void every_alignment_is_kept(void)
{
    neb_bump *bump = neb_bump_create(NULL);
    for (size_t alignment = 1; alignment <= (size_t)1 << 20; alignment *= 2)
        for (size_t size = 0; size < 300; size += 99)
            CLAIM(IS_ALIGNED(neb_bump_alloc_aligned(bump, alignment, size), alignment));
    struct wide {
        __attribute__((aligned(512))) char c;
    } *wide = neb_bump_new(bump, struct wide);
    CLAIM(IS_ALIGNED(wide, 512));
    neb_bump_destroy(bump);
}

static void helpers_copy(void)
{
    neb_bump *bump = neb_bump_create(NULL);
    CLAIM(strcmp(neb_bump_strdup(bump, "twelve"), "twelve") == 0);
    CLAIM(memcmp(neb_bump_memdup(bump, "a\0b", 3), "a\0b", 3) == 0);
    CLAIM(is_filled(neb_bump_alloc_zero(bump, 1000), 0, 1000));
    int *array = neb_bump_new_array(bump, int, 100);
    array[99] = 1;
    array = neb_bump_resize(bump, array, 100 * sizeof *array, 200 * sizeof *array);
    CLAIM(array[99] == 1);
    CLAIM(neb_bump_resize(bump, NULL, 0, 10) != NULL);
    neb_bump_destroy(bump);
}

static void sizes_that_cannot_be_are_refused(void)
{
    neb_bump *bump = neb_bump_create(NULL);
    volatile size_t huge = SIZE_MAX;
    for (size_t less = 0; less < 64; less++) {
        errno = 0;
        CLAIM(neb_bump_alloc(bump, huge - less) == NULL && errno == ENOMEM);
    }
    errno = 0;
    CLAIM(neb_bump_alloc_array(bump, huge / 2 + 1, 2) == NULL && errno == ENOMEM);
    CLAIM(neb_bump_alloc_aligned(bump, huge / 2 + 1, 1) == NULL);
    neb_bump_destroy(bump);
}

static void restore_and_reset_keep_the_memory(void)
{
    neb_bump *bump = neb_bump_create(NULL);
    char *kept = neb_bump_strdup(bump, "kept");
    neb_mark mark = neb_bump_mark(bump);
    size_t used = neb_bump_stats(bump).used_bytes, reserved = 0;
    for (int round = 0; round < 30; round++) {
        for (size_t i = 0; i < 3000; i++)
            memset(neb_bump_alloc(bump, i), 1, i);
        neb_arena_stats stats = neb_bump_stats(bump);
        CLAIM(stats.used_bytes >= 3000 * 2999 / 2 && stats.reserved_bytes >= stats.used_bytes);
        CLAIM(round < 2 || stats.reserved_bytes + stats.kept_bytes == reserved);
        reserved = stats.reserved_bytes + stats.kept_bytes;
        neb_bump_restore(bump, mark);
        CLAIM(neb_bump_stats(bump).used_bytes == used && strcmp(kept, "kept") == 0);
        CLAIM(neb_bump_stats(bump).used_bytes_peak >= 3000 * 2999 / 2);
    }
    neb_bump_reset(bump);
    CLAIM(neb_bump_stats(bump).used_bytes == 0 && neb_bump_stats(bump).reserved_bytes + neb_bump_stats(bump).kept_bytes == reserved);
    neb_bump_destroy(bump);
}

static void checkpoints_nest(void)
{
    neb_bump *bump = neb_bump_create(NULL);
    enum { DEPTH = 200 };
    static neb_mark mark[DEPTH];
    static char *text[DEPTH];
    for (int i = 0; i < DEPTH; i++) {
        text[i] = neb_bump_strdup(bump, "text");
        mark[i] = neb_bump_mark(bump);
        CLAIM(neb_bump_alloc(bump, 2000) != NULL);
    }
    for (int i = DEPTH; i-- > 0;) {
        neb_bump_restore(bump, mark[i]);
        CLAIM(strcmp(text[i], "text") == 0);
    }
    neb_bump_destroy(bump);
}

static void the_callers_memory_comes_first(void)
{
    static unsigned char memory[4096];
    neb_bump_options options = {.memory = memory + 3, .memory_bytes = sizeof memory - 3, .flags = NEB_BUMP_FIXED};
    neb_bump bump;
    CLAIM(neb_bump_init(&bump, &options));
    int count = 0;
    for (unsigned char *p; (p = neb_bump_alloc(&bump, 64)) != NULL; count++)
        CLAIM(p >= memory && p + 64 <= memory + sizeof memory);
    CLAIM(count >= 40 && errno == ENOMEM);
    neb_bump_finish(&bump);
    options.flags = 0;
    neb_bump *growing = neb_bump_create(&options);
    CLAIM((unsigned char *)growing >= memory && (unsigned char *)growing < memory + sizeof memory);
    for (int i = 0; i < 1000; i++)
        memset(neb_bump_alloc(growing, 64), 1, 64);
    neb_bump_reset(growing);
    unsigned char *first = neb_bump_alloc(growing, 64);
    CLAIM(first >= memory && first < memory + sizeof memory);
    neb_bump_destroy(growing);
    options.memory_bytes = 60;
    CLAIM(!neb_bump_init(&bump, &options) && neb_bump_create(&options) == NULL);
}

static void limits_are_kept(void)
{
    neb_bump_options options = {.initial_bytes = 1000, .limit_bytes = 200000, .name = "limited"};
    neb_bump *bump = neb_bump_create(&options);
    size_t got = 0;
    while (neb_bump_alloc(bump, 1000) != NULL)
        got += 1000;
    CLAIM(errno == ENOMEM && got > 100000 && got <= 200000);
    CLAIM(neb_bump_stats(bump).reserved_bytes <= 200000);
    neb_bump_destroy(bump);
    options = (neb_bump_options){.initial_bytes = 5000, .flags = NEB_BUMP_FIXED};
    bump = neb_bump_create(&options);
    CLAIM(neb_bump_alloc(bump, 4900) != NULL && neb_bump_alloc(bump, 100000) == NULL && errno == ENOMEM);
    neb_bump_destroy(bump);
}

static void growth_follows_the_options(void)
{
    neb_bump_options options = {.initial_bytes = 100000, .growth_percent = 100};
    neb_bump *even = neb_bump_create(&options);
    options.growth_percent = 300;
    neb_bump *steep = neb_bump_create(&options);
    for (int i = 0; i < 3000; i++)
        CLAIM(neb_bump_alloc(even, 1000) != NULL && neb_bump_alloc(steep, 1000) != NULL);
    CLAIM(neb_bump_stats(even).segments > 20 && neb_bump_stats(steep).segments < 8);
    neb_bump_destroy(even);
    neb_bump_destroy(steep);
}

static void fills_are_as_asked(void)
{
    neb_bump_options options = {.flags = NEB_BUMP_FILL_ALLOC | NEB_BUMP_FILL_FREE};
    neb_bump *bump = neb_bump_create(&options);
    unsigned char *p = neb_bump_alloc(bump, 100);
    CLAIM(is_filled(p, 0xA5, 100));
    neb_bump_reset(bump);
#if !NEB_ASAN_ && !NEB_MSAN_
    CLAIM(is_filled(p, 0x5A, 100));
#endif
    neb_bump_destroy(bump);
}

enum { THREADS = 4, EACH = 20000 };

static void *allocate_shared(void *argument)
{
    neb_bump *bump = argument;
    unsigned char **mine = malloc(EACH * sizeof *mine);
    int tag = (int)(size_t)&mine & 127;
    for (size_t i = 0; i < EACH; i++) {
        mine[i] = neb_bump_alloc(bump, i % 100);
        CLAIM(mine[i] != NULL && IS_ALIGNED(mine[i], 16));
        memset(mine[i], tag ^ (int)(i & 63), i % 100);
    }
    for (size_t i = 0; i < EACH; i++)
        CLAIM(is_filled(mine[i], tag ^ (int)(i & 63), i % 100));
    free(mine);
    return NULL;
}

static void a_shared_arena_serves_any_thread(void)
{
    neb_bump_options options = {.flags = NEB_BUMP_SHARED};
    neb_bump *bump = neb_bump_create(&options);
    for (int round = 0; round < 3; round++) {
        neb_mark mark = neb_bump_mark(bump);
        pthread_t threads[THREADS];
        for (int i = 0; i < THREADS; i++)
            CLAIM(pthread_create(&threads[i], NULL, allocate_shared, bump) == 0);
        for (int i = 0; i < THREADS; i++)
            CLAIM(pthread_join(threads[i], NULL) == 0);
        CLAIM(neb_bump_stats(bump).used_bytes >= (size_t)THREADS * EACH * 49);
        if (round == 1)
            neb_bump_restore(bump, mark);
        else
            neb_bump_reset(bump);
    }
    CLAIM(IS_ALIGNED(neb_bump_alloc_aligned(bump, 4096, 10), 4096));
    neb_bump_destroy(bump);
}

int main(void)
{
    RUN(objects_are_aligned_apart_and_keep_their_bytes);
    RUN(every_alignment_is_kept);
    RUN(helpers_copy);
    RUN(sizes_that_cannot_be_are_refused);
    RUN(restore_and_reset_keep_the_memory);
    RUN(checkpoints_nest);
    RUN(the_callers_memory_comes_first);
    RUN(limits_are_kept);
    RUN(growth_follows_the_options);
    RUN(fills_are_as_asked);
    RUN(a_shared_arena_serves_any_thread);
    return 0;
}
