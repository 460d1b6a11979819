/* test_runs.c - objects of one size that follow each other in a scope: they have their sizes, their bytes and
 * an end of their own, however they were made, resized, freed and released; with the library by their address
 * alone, too.
 *
 * A model knows each object's scope, size and fill byte; steps at random change both. */
#include <nebmalloc/nebmalloc.h>

#include "claim.h"
#include <malloc.h>
#include <pthread.h>

/* The compiler knows these too well. */
static void (*volatile free_it)(void *) = free;
static void *(*volatile realloc_it)(void *, size_t) = realloc;
static size_t (*volatile usable_size)(void *) = malloc_usable_size;

enum { BLOCK = 32768, SEGMENT = 65536 };

#ifndef TEST_CORE
#define TEST_CORE 0
#endif

/* Whether the names of malloc are the library's: the core is linked without them. */
static bool has_library(void)
{
    return !TEST_CORE && !NEB_ASAN_ && !NEB_MSAN_ && strstr(neb_version(), "malloc") == NULL;
}

/* Where tools or the checked library want objects apart, they lie apart. */
static bool is_plain(void)
{
    return (TEST_CORE || has_library()) && !NEB_ASAN_ && !NEB_MSAN_ &&
           strstr(neb_version(), "checked") == NULL;
}

/* ---- the model
 * ------------------------------------------------------------------------------------------------------------
 */

enum { OBJECTS = 4000, LEVELS = 6, MARKS = 3, STEPS = 30000 };

static struct object {
    unsigned char *p;
    size_t size;
    int level;
    unsigned char fill;
    bool is_freed;
} object[OBJECTS];
static int objects;

static struct level {
    neb_scope *scope;
    int marks;
    struct {
        neb_mark mark;
        int objects; /* so many there were; those of this level that are newer go */
    } mark[MARKS];
} level[LEVELS];
static int levels;

static uint64_t state = 1;

static size_t below(size_t n)
{
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(state >> 33) % n;
}

static void check(const struct object *o)
{
    CLAIM(neb_scope_size(level[o->level].scope, o->p) == o->size);
    CLAIM(is_filled(o->p, o->fill, o->size));
}

static void check_all(void)
{
    for (int i = 0; i < objects; i++)
        check(&object[i]);
}

/* Objects at from and above, of one level or deeper ones, are gone; their order stays. */
static void forget(int from, int of_level)
{
    int kept = from;
    for (int i = from; i < objects; i++)
        if (object[i].level < of_level)
            object[kept++] = object[i];
    objects = kept;
}

static void fill(struct object *o)
{
    o->fill = (unsigned char)(1 + below(255));
    memset(o->p, o->fill, o->size);
}

static void add(int at, void *p, size_t size)
{
    if (objects == OBJECTS)
        return;
    object[objects] = (struct object){.p = p, .size = size, .level = at};
    CLAIM(p != NULL && IS_ALIGNED(p, 16));
    fill(&object[objects++]);
}

static size_t some_size(void)
{
    switch (below(8)) {
    case 0:
        return below(40);
    case 1:
        return below(2000);
    case 2:
        return below(40) == 0 ? below(300000) : below(300);
    default:
        return 8 * below(35);
    }
}

static void allocate(void)
{
    int at = below(4) == 0 ? (int)below((size_t)levels) : levels - 1;
    size_t size = some_size();
    for (size_t count = below(3) == 0 ? below(300) : below(6); count-- > 0;)
        add(at, neb_scope_alloc(level[at].scope, size), size);
    if (below(20) == 0)
        add(at, neb_scope_alloc_aligned(level[at].scope, (size_t)16 << below(9), size), size);
}

/* What was moved is a new object, for the marks that are in force. */
static void moved_to(int i, unsigned char *p, size_t size)
{
    struct object *o = &object[i];
    size_t common = o->size < size ? o->size : size;
    CLAIM(p != NULL && is_filled(p, o->fill, common));
    if (p == o->p) {
        o->size = size;
        fill(o);
    } else {
        add(o->level, p, size);
    }
}

static void resize(void)
{
    if (objects == 0)
        return;
    int i = below(2) == 0 ? objects - 1 : (int)below((size_t)objects);
    struct object *o = &object[i];
    neb_scope *scope = level[o->level].scope;
    if (o->is_freed)
        return;
    size_t size = below(3) == 0 ? o->size / 2 : o->size + below(100);
    if (below(2) == 0)
        moved_to(i, neb_scope_resize(scope, o->p, size), size);
    else {
        static const unsigned char none[100];
        size_t more = below(sizeof none);
        moved_to(i, neb_scope_append(scope, o->p, none, more), o->size + more);
    }
}

static void by_address(void)
{
    if (objects == 0 || !has_library())
        return;
    struct object *o = &object[below((size_t)objects)];
    if (o->is_freed)
        return;
    size_t usable = usable_size(o->p), size = below(2) == 0 ? o->size / 2 : o->size + below(60);
    switch (below(3)) {
    case 0:
        free_it(o->p);
        o->is_freed = true;
        break;
    case 1: {
        unsigned char *p = realloc_it(o->p, size == 0 ? 1 : size);
        CLAIM(p != NULL && is_filled(p, o->fill, size < o->size ? size : o->size));
        if (p == o->p) {
            o->size = size == 0 ? 1 : size;
            fill(o);
        } else {
            o->is_freed = true;
            free_it(p);
        }
        break;
    }
    default:
        CLAIM(usable >= o->size);
        memset(o->p, o->fill, usable);
        CLAIM(usable_size(o->p) == usable);
    }
}

static void enter(void)
{
    if (levels == LEVELS)
        return;
    level[levels].scope = neb_scope_enter("level");
    level[levels].marks = 0;
    levels++;
}

static void leave(void)
{
    if (levels == 1)
        return;
    levels--;
    forget(0, levels);
    neb_scope_leave(level[levels].scope);
}

static void mark_or_release(void)
{
    struct level *l = &level[levels - 1];
    if (l->marks < MARKS && below(2) == 0) {
        l->mark[l->marks].mark = neb_scope_mark(l->scope);
        l->mark[l->marks++].objects = objects;
    } else if (l->marks > 0) {
        l->marks = 1 + (int)below((size_t)l->marks);
        forget(l->mark[l->marks - 1].objects, levels - 1);
        neb_scope_release(l->scope, l->mark[l->marks - 1].mark);
        for (int i = 0; i < l->marks - 1; i++)
            CLAIM(l->mark[i].objects <= objects);
    }
}

static void objects_keep_size_and_bytes_whatever_happens(void)
{
    for (int round = 0; round < 8; round++) {
        levels = objects = 0;
        enter();
        for (int step = 0; step < STEPS / 8; step++) {
            static void (*const steps[])(void) = {allocate,        resize, by_address,
                                                  mark_or_release, enter,  leave};
            static const size_t weight[] = {8, 8, 8, 2, 1, 1};
            size_t pick = below(28), which = 0;
            while (pick >= weight[which])
                pick -= weight[which++];
            steps[which]();
            if (objects > 0)
                check(&object[below((size_t)objects)]);
            if (step % 100 == 0 || which >= 3)
                check_all();
            if (objects == OBJECTS) {
                while (levels > 1)
                    leave();
                forget(0, 0);
                neb_scope_leave(level[0].scope);
                levels = 0;
                enter();
            }
        }
        while (levels > 1)
            leave();
        check_all();
        neb_scope_leave(level[0].scope);
    }
    CLAIM(neb_scope_innermost() == NULL);
}

/* ---- claims
 * ---------------------------------------------------------------------------------------------------------------
 */

static void each_size_makes_runs_over_blocks_and_segments(void)
{
    for (size_t size = 0; size <= 272; size += 4) {
        NEB_SCOPE(scope);
        enum { COUNT = 3000 };
        static unsigned char *p[COUNT];
        for (size_t i = 0; i < COUNT; i++) {
            p[i] = neb_scope_alloc(scope, size);
            CLAIM(p[i] != NULL && IS_ALIGNED(p[i], 16));
            memset(p[i], (int)(i & 255), size);
        }
        for (size_t i = 0; i < COUNT; i++) {
            CLAIM(neb_scope_size(scope, p[i]) == size && is_filled(p[i], (int)(i & 255), size));
            CLAIM(!has_library() || (usable_size(p[i]) >= size && usable_size(p[i]) < size + 16));
            CLAIM(i == 0 || !has_library() || p[i] < p[i - 1] || p[i - 1] + usable_size(p[i - 1]) <= p[i]);
        }
    }
}

static void runs_take_no_words(void)
{
    NEB_SCOPE(scope);
    enum { COUNT = 10000 };
    for (int i = 0; i < COUNT; i++)
        CLAIM(neb_scope_alloc(scope, 64) != NULL);
    CLAIM(!is_plain() ||
          neb_scope_stats(scope).used_bytes <= COUNT * 64 + COUNT * 64 / 8 + 2 * SEGMENT + 65536 * 4);
}

/* What is freed is the object's affair until it is gone: who gets the memory after a release begins anew. */
static void a_freed_object_of_memory_that_was_released_is_a_new_one(void)
{
    NEB_SCOPE(scope);
    neb_mark mark = neb_scope_mark(scope);
    for (int round = 0; round < 50; round++) {
        size_t size = 8 * (size_t)(round % 5 + 1);
        for (int i = 0; i < 5000; i++) {
            void *p = neb_scope_alloc(scope, size);
            if (has_library())
                free_it(p);
        }
        neb_scope_release(scope, mark);
    }
}

/* Tables of runs all over the memory that the next scope begins in. */
static void leave_tables(void)
{
    NEB_SCOPE(scope);
    for (int i = 0; i < 3000; i++)
        CLAIM(neb_scope_alloc(scope, 16) != NULL);
}

static void check_small_objects(neb_scope *scope)
{
    unsigned char *p[100];
    for (size_t i = 0; i < 100; i++) {
        p[i] = neb_scope_alloc(scope, 3 * i);
        CLAIM(neb_scope_size(scope, p[i]) == 3 * i);
    }
    for (size_t i = 0; has_library() && i < 100; i++)
        free_it(p[i]);
}

/* A large object reaches over the beginnings of blocks whose tables stood there before. */
static void old_tables_inside_of_large_objects_mean_nothing(void)
{
    for (size_t large = 1; large < 200; large += 7) {
        leave_tables();
        NEB_SCOPE(scope);
        unsigned char *p = neb_scope_alloc(scope, large * 1000);
        check_small_objects(scope);
        CLAIM(neb_scope_size(scope, p) == large * 1000);
    }
}

/* The same where nothing but a mark's record reaches over. */
static void old_tables_behind_marks_mean_nothing(void)
{
    neb_scope *first = neb_scope_enter("where it begins");
    size_t to_block = BLOCK - (size_t)neb_scope_alloc(first, 1000) % BLOCK;
    neb_scope_leave(first);
    for (size_t large = to_block - 64; large < to_block + 64; large += 8) {
        leave_tables();
        NEB_SCOPE(scope);
        CLAIM(neb_scope_alloc(scope, large) != NULL);
        (void)neb_scope_mark(scope);
        check_small_objects(scope);
    }
}

/* The same where the last object grows over. */
static void old_tables_behind_grown_objects_mean_nothing(void)
{
    for (size_t size = 60; size <= 64; size += 4)
        for (size_t large = 1000; large < 2 * BLOCK; large += 555) {
            leave_tables();
            NEB_SCOPE(scope);
            void *p = NULL;
            for (int i = 0; i < 80; i++)
                p = neb_scope_alloc(scope, size);
            p = neb_scope_resize(scope, p, large);
            CLAIM(neb_scope_size(scope, p) == large);
            check_small_objects(scope);
        }
}

static void a_run_ends_where_the_scope_is_released_to(void)
{
    for (size_t size = 8; size <= 256; size += 8) {
        NEB_SCOPE(scope);
        neb_mark mark = neb_scope_mark(scope);
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < 500; i++) {
                void *p = neb_scope_alloc(scope, size);
                CLAIM(IS_ALIGNED(p, 16) && neb_scope_size(scope, p) == size);
            }
            neb_scope_release(scope, mark);
        }
        neb_scope *inner = neb_scope_enter("inner");
        for (int i = 0; i < 500; i++)
            CLAIM(neb_scope_size(inner, neb_scope_alloc(inner, size)) == size);
        neb_scope_leave(inner);
        for (int i = 0; i < 500; i++)
            CLAIM(neb_scope_size(scope, neb_scope_alloc(scope, size)) == size);
    }
}

static void an_object_at_the_end_of_a_run_grows_and_shrinks_in_place(void)
{
    NEB_SCOPE(scope);
    unsigned char *p = NULL, *q;
    for (int i = 0; i < 100; i++)
        p = neb_scope_alloc(scope, 64);
    memset(p, 7, 64);
    for (size_t size = 64; size < 20000; size += 61) {
        q = neb_scope_resize(scope, p, size);
        CLAIM((q == p || !is_plain()) && neb_scope_size(scope, q) == size && is_filled(q, 7, 64));
        p = q;
    }
    q = neb_scope_resize(scope, p, 5);
    CLAIM(q == p && neb_scope_size(scope, q) == 5);
    CLAIM(!has_library() || (usable_size(q) >= 5 && usable_size(q) < 5 + 16) || !is_plain());
    unsigned char *next = neb_scope_alloc(scope, 64);
    memset(next, 8, 64);
    CLAIM(is_filled(q, 7, 5));
}

static void an_object_in_a_run_that_shrinks_stays_and_may_grow_back(void)
{
    NEB_SCOPE(scope);
    unsigned char *p[200];
    for (int i = 0; i < 200; i++)
        memset(p[i] = neb_scope_alloc(scope, 256), i, 256);
    for (size_t size = 0; size <= 256; size++) {
        unsigned char *q = p[150], *r = neb_scope_resize(scope, q, size);
        CLAIM((r == q || !is_plain()) && neb_scope_size(scope, r) == size);
        CLAIM(is_filled(p[149], 149, 256) && is_filled(p[151], 151, 256));
        p[150] = r;
    }
}

static void *free_all(void *argument)
{
    for (void **p = argument; *p != NULL; p++)
        free_it(*p);
    return NULL;
}

static void other_threads_may_free_what_a_run_holds(void)
{
    if (!has_library())
        return;
    NEB_SCOPE(scope);
    enum { COUNT = 3000, THREADS = 2 };
    static void *p[THREADS][COUNT + 1];
    for (size_t i = 0; i < COUNT; i++)
        for (int t = 0; t < THREADS; t++)
            p[t][i] = neb_scope_alloc(scope, 48);
    pthread_t thread[THREADS];
    for (int t = 0; t < THREADS; t++)
        CLAIM(pthread_create(&thread[t], NULL, free_all, p[t]) == 0);
    for (int i = 0; i < 3000; i++)
        CLAIM(neb_scope_alloc(scope, 48 + (size_t)(i / 50 % 2) * 16) != NULL);
    for (int t = 0; t < THREADS; t++)
        CLAIM(pthread_join(thread[t], NULL) == 0);
}

static void an_inner_scope_does_not_grow_what_is_its_outer_scopes(void)
{
    NEB_SCOPE(outer);
    for (size_t size = 8; size <= 72; size += 4) {
        char *p = neb_scope_alloc(outer, size);
        memset(p, 1, size);
        neb_scope *inner = neb_scope_enter("inner");
        char *grown = has_library() ? realloc_it(p, 200) : neb_scope_resize(outer, p, 200);
        CLAIM(grown != NULL && is_filled(grown, 1, size));
        memset(grown, 3, 200);
        neb_scope_leave(inner);
        memset(neb_scope_alloc(outer, 100), 2, 100);
        CLAIM(is_filled(grown, 3, 200));
    }
}

int main(void)
{
    RUN(each_size_makes_runs_over_blocks_and_segments);
    RUN(runs_take_no_words);
    RUN(a_freed_object_of_memory_that_was_released_is_a_new_one);
    RUN(old_tables_inside_of_large_objects_mean_nothing);
    RUN(old_tables_behind_marks_mean_nothing);
    RUN(old_tables_behind_grown_objects_mean_nothing);
    RUN(a_run_ends_where_the_scope_is_released_to);
    RUN(an_object_at_the_end_of_a_run_grows_and_shrinks_in_place);
    RUN(an_object_in_a_run_that_shrinks_stays_and_may_grow_back);
    RUN(other_threads_may_free_what_a_run_holds);
    RUN(an_inner_scope_does_not_grow_what_is_its_outer_scopes);
    RUN(objects_keep_size_and_bytes_whatever_happens);
    return 0;
}
