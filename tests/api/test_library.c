/* test_library.c - what only the library can do: malloc's names know scope memory, ambient scopes, figures, the walk. */
#define _GNU_SOURCE
#include <nebmalloc/nebmalloc.h>

#include "claim.h"
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/time.h>
#include <unistd.h>

/* The compiler knows free and realloc too well. */
static void (*volatile free_it)(void *) = free;
static void *(*volatile realloc_it)(void *, size_t) = realloc;
static size_t (*volatile usable_size)(void *) = malloc_usable_size;

static bool is_checked(void)
{
    return strstr(neb_version(), "checked") != NULL;
}

static void free_of_scope_memory_is_harmless(void)
{
    NEB_SCOPE(scope);
    char *before = neb_scope_strdup(scope, "before"), *freed = neb_scope_strdup(scope, "freed");
    char *large = neb_scope_alloc(scope, 5 << 20), *after = neb_scope_strdup(scope, "after");
    free_it(freed);
    free_it(large);
    CLAIM(strcmp(before, "before") == 0 && strcmp(after, "after") == 0);
    CLAIM(neb_scope_alloc(scope, 100) != freed);
}

static void usable_size_is_the_room_up_to_the_next_object(void)
{
    NEB_SCOPE(scope);
    for (size_t size = 1; size < 5000; size += 3) {
        unsigned char *p = neb_scope_alloc(scope, size), *next = neb_scope_alloc(scope, 1);
        size_t usable = usable_size(p);
        CLAIM(usable >= size && usable < size + 16);
        *next = 99;
        memset(p, 1, usable);
        CLAIM(*next == 99 && usable_size(next) >= 1 && usable_size(next) < 16);
    }
}

static void realloc_of_scope_memory_moves_or_grows_in_place(void)
{
    NEB_SCOPE(scope);
    char *p = neb_scope_strdup(scope, "text"), *next = neb_scope_strdup(scope, "next");
    char *moved = realloc_it(p, 1000);
    CLAIM(moved != p && strcmp(moved, "text") == 0 && strcmp(next, "next") == 0);
    free_it(moved);
    char *grown = realloc_it(next, 500);
    CLAIM(grown == next || is_checked());
    CLAIM(strcmp(grown, "next") == 0);
    CLAIM(realloc_it(grown, 2) == grown || is_checked());
    char *huge = neb_scope_alloc(scope, 3 << 20);
    memset(huge, 'x', 3 << 20);
    (void)!neb_scope_alloc(scope, 1);
    huge = realloc_it(huge, 6 << 20);
    for (size_t i = 0; i < (size_t)3 << 20; i += 4096)
        CLAIM(huge[i] == 'x');
    free_it(huge);
}

static void ambient_scopes_take_all_mallocs_of_the_thread(void)
{
    char *outside = strdup("outside");
    neb_scope *scope = neb_scope_enter_with("ambient", NEB_SCOPE_AMBIENT);
    size_t reserved = neb_scope_stats(scope).reserved_bytes;
    static char *text[2000];
    for (int i = 0; i < 2000; i++) {
        CLAIM(asprintf(&text[i], "%0*d", i % 300 + 1, i) > 0);
        if (i % 3 == 0)
            free_it(text[i]);
    }
    for (int i = 0; i < 2000; i++)
        CLAIM(i % 3 == 0 || atoi(text[i]) == i);
    CLAIM(neb_scope_stats(scope).reserved_bytes > reserved);
    char *cleared = calloc(1000, 7);
    CLAIM(is_filled(cleared, 0, 7000));
    char *aligned = aligned_alloc(4096, 8192);
    CLAIM(IS_ALIGNED(aligned, 4096) && usable_size(aligned) >= 8192);
    char *grown = malloc(3);
    memcpy(grown, "ab", 3);
    for (size_t size = 8; size < 200000; size *= 2)
        grown = realloc_it(grown, size);
    CLAIM(strcmp(grown, "ab") == 0);
    outside = realloc_it(outside, 20);
    CLAIM(strcmp(outside, "outside") == 0);
    {
        NEB_SCOPE(inner); /* an ordinary one inside: malloc goes on coming from the ambient one */
        char *p = neb_scope_strdup(inner, "inner"), *q = strdup("still ambient");
        CLAIM(strcmp(p, "inner") == 0 && strcmp(q, "still ambient") == 0);
        text[0] = q;
    }
    CLAIM(strcmp(text[0], "still ambient") == 0);
    outside = strdup("x");
    neb_scope_leave(scope);
    char *heap = malloc(100);
    memset(heap, 1, 100);
    free_it(heap);
}

static void heap_blocks_may_be_freed_inside(void)
{
    static char *block[500];
    for (size_t i = 0; i < 500; i++)
        memset(block[i] = malloc(i), 1, i);
    neb_scope *scope = neb_scope_enter_with("ambient", NEB_SCOPE_AMBIENT);
    for (size_t i = 0; i < 500; i++) {
        free_it(block[i]);
        CLAIM(malloc(i) != NULL);
    }
    neb_scope_leave(scope);
    for (size_t i = 0; i < 500; i++)
        memset(block[i] = malloc(i), 1, i);
    for (size_t i = 0; i < 500; i++)
        free_it(block[i]);
}

static void *ambient_thread(void *argument)
{
    (void)argument;
    for (int round = 0; round < 50; round++) {
        neb_scope *scope = neb_scope_enter_with("thread", NEB_SCOPE_AMBIENT);
        for (size_t i = 0; i < 300; i++) {
            char *p = malloc(i);
            memset(p, 3, i);
            if (i % 2 == 0)
                free_it(p);
        }
        if (round < 49)
            neb_scope_leave(scope); /* the last one is left open: the thread's end leaves it */
    }
    return NULL;
}

static void threads_have_ambient_scopes_of_their_own(void)
{
    for (int round = 0; round < 10; round++) {
        pthread_t threads[4];
        for (int i = 0; i < 4; i++)
            CLAIM(pthread_create(&threads[i], NULL, ambient_thread, NULL) == 0);
        for (int i = 0; i < 4; i++)
            CLAIM(pthread_join(threads[i], NULL) == 0);
    }
}

static volatile sig_atomic_t handled;

static void malloc_in_handler(int number)
{
    (void)number;
    void *p = malloc(50);
    handled += p != NULL;
    free_it(p);
}

static void a_signal_handler_may_malloc_inside(void)
{
    struct itimerval timer = {{0, 500}, {0, 500}}, none = {{0, 0}, {0, 0}};
    signal(SIGALRM, malloc_in_handler);
    CLAIM(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    while (handled < 100) {
        neb_scope *scope = neb_scope_enter_with("ambient", NEB_SCOPE_AMBIENT);
        for (size_t i = 0; i < 2000; i++) {
            unsigned char *p = malloc(i % 200);
            memset(p, (int)(i & 255), i % 200);
            CLAIM(is_filled(p, (int)(i & 255), i % 200));
        }
        neb_scope_leave(scope);
    }
    CLAIM(setitimer(ITIMER_REAL, &none, NULL) == 0);
    signal(SIGALRM, SIG_DFL);
}

/* ---- figures and the walk ------------------------------------------------------------------------------------------------- */

static void figures_follow_what_is_allocated(void)
{
    neb_memory_stats before = {.bytes = sizeof before}, during = {.bytes = sizeof during}, thread = {.bytes = sizeof thread};
    CLAIM(neb_memory_stats_get(&before));
    static void *block[10000];
    for (int i = 0; i < 10000; i++)
        block[i] = malloc(200);
    void *large = malloc(1 << 20);
    neb_bump *bump = neb_bump_create(NULL);
    CLAIM(neb_memory_stats_get(&during) && neb_thread_stats_get(&thread));
    CLAIM(during.live_blocks >= before.live_blocks + 10001 - 600 && during.live_blocks <= before.live_blocks + 10001 + 600);
    CLAIM(during.live_bytes >= before.live_bytes + 2000000 && during.large_bytes >= before.large_bytes + (1 << 20));
    CLAIM(during.regions > before.regions && during.region_bytes > before.region_bytes);
    CLAIM(during.mapped_bytes >= during.live_bytes && thread.live_blocks >= 9000 && thread.live_blocks <= during.live_blocks);
    struct {
        size_t bytes;
        uint64_t live_bytes;
        uint64_t beyond;
    } small = {16, 0, 4711};
    CLAIM(neb_memory_stats_get((neb_memory_stats *)(void *)&small) && small.live_bytes > 0 && small.beyond == 4711);
    neb_bump_destroy(bump);
    free_it(large);
    for (int i = 0; i < 10000; i++)
        free_it(block[i]);
}

struct search {
    void **wanted;
    size_t count, found, others;
};

static bool search_block(void *argument, const neb_block_info *info)
{
    struct search *search = argument;
    for (size_t i = 0; i < search->count; i++)
        if (search->wanted[i] == info->block) {
            search->found++;
            CLAIM(info->bytes == usable_size(info->block));
            return true;
        }
    search->others++;
    return true;
}

static bool stop_at_once(void *argument, const neb_block_info *info)
{
    (void)info;
    ++*(int *)argument;
    return false;
}

static void the_walk_finds_each_live_block_once(void)
{
    static void *block[300];
    static char *freed[300];
    for (size_t i = 0; i < 300; i++) {
        block[i] = malloc(i * i * 40);
        freed[i] = malloc(i * 30);
    }
    for (size_t i = 0; i < 300; i++)
        free_it(freed[i]);
    struct search search = {block, 300, 0, 0};
    CLAIM(neb_memory_visit(search_block, &search) && search.found == 300);
    struct search gone = {(void **)freed, 300, 0, 0};
    CLAIM(neb_memory_visit(search_block, &gone) && gone.found == 0 && gone.others < 2000);
    int calls = 0;
    CLAIM(!neb_memory_visit(stop_at_once, &calls) && calls == 1);
    for (size_t i = 0; i < 300; i++)
        free_it(block[i]);
}

static void trimming_gives_memory_back(void)
{
    static void *block[20000];
    for (int i = 0; i < 20000; i++)
        memset(block[i] = malloc(500), 1, 500);
    for (int i = 0; i < 20000; i++)
        free_it(block[i]);
    NEB_SCOPE(scope);
    neb_mark mark = neb_scope_mark(scope);
    memset(neb_scope_alloc(scope, 1 << 20), 1, 1 << 20);
    neb_scope_release(scope, mark);
    CLAIM(neb_memory_trim() > 1000000);
}

static void ranges_get_names(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *p = aligned_alloc(page, 16 * page);
    if (!neb_memory_name(p, 16 * page, "tables")) {
        CLAIM(errno == EINVAL); /* a kernel without CONFIG_ANON_VMA_NAME */
        free_it(p);
        return;
    }
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    bool found = false;
    while (fgets(line, sizeof line, maps) != NULL)
        found = found || strstr(line, "[anon:tables]") != NULL;
    fclose(maps);
    CLAIM(found && !neb_memory_name(p + 1, page, "no whole page") && errno == EINVAL);
    free_it(p);
}

static void scopes_of_many_threads_leave_nothing_behind(void)
{
    neb_memory_stats before = {.bytes = sizeof before}, after = {.bytes = sizeof after};
    for (int round = 0; round < 400; round++) {
        pthread_t thread;
        CLAIM(pthread_create(&thread, NULL, ambient_thread, NULL) == 0 && pthread_join(thread, NULL) == 0);
        if (round == 100)
            CLAIM(neb_memory_stats_get(&before));
    }
    CLAIM(neb_memory_stats_get(&after) && after.regions <= before.regions + 2);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1 && !neb_is_active()) {
        fprintf(stderr, "the library was expected, but %s is there\n", neb_version());
        return 1;
    }
    if (!neb_is_active()) {
        CLAIM(!neb_memory_visit(stop_at_once, NULL) && errno == ENOSYS);
        neb_memory_stats stats = {.bytes = sizeof stats};
        CLAIM(!neb_memory_stats_get(&stats) || stats.mapped_bytes >= stats.live_bytes);
        CLAIM(strstr(neb_version(), "malloc") != NULL);
        puts("ok the fallback says what it cannot do");
        return 0;
    }
    RUN(free_of_scope_memory_is_harmless);
    RUN(usable_size_is_the_room_up_to_the_next_object);
    RUN(realloc_of_scope_memory_moves_or_grows_in_place);
    RUN(ambient_scopes_take_all_mallocs_of_the_thread);
    RUN(heap_blocks_may_be_freed_inside);
    RUN(threads_have_ambient_scopes_of_their_own);
    RUN(a_signal_handler_may_malloc_inside);
    RUN(figures_follow_what_is_allocated);
    RUN(the_walk_finds_each_live_block_once);
    RUN(trimming_gives_memory_back);
    RUN(ranges_get_names);
    RUN(scopes_of_many_threads_leave_nothing_behind);
    return 0;
}
