/* test_scope.c - scopes do what scope.h says: with the library and without it alike. */
#include <nebmalloc/nebmalloc.h>

#include "claim.h"
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdint.h>

static void objects_are_aligned_apart_and_keep_their_bytes(void)
{
    enum { COUNT = 3000 };
    static unsigned char *object[COUNT];
    NEB_SCOPE(scope);
    for (size_t i = 0; i < COUNT; i++) {
        object[i] = neb_scope_alloc(scope, i);
        CLAIM(object[i] != NULL && IS_ALIGNED(object[i], 16));
        memset(object[i], (int)(i & 255), i);
    }
    for (size_t i = 0; i < COUNT; i++)
        CLAIM(is_filled(object[i], (int)(i & 255), i) && neb_scope_size(scope, object[i]) == i);
}

static void objects_of_no_bytes_are_unique(void)
{
    NEB_SCOPE(scope);
    void *a = neb_scope_alloc(scope, 0), *b = neb_scope_alloc(scope, 0);
    CLAIM(a != NULL && b != NULL && a != b);
}

static void every_alignment_is_kept(void)
{
    NEB_SCOPE(scope);
    for (size_t alignment = 1; alignment <= (size_t)1 << 20; alignment *= 2)
        for (size_t size = 0; size < 300; size += 99) {
            unsigned char *p = neb_scope_alloc_aligned(scope, alignment, size);
            CLAIM(p != NULL && IS_ALIGNED(p, alignment));
            memset(p, 7, size);
            CLAIM(neb_scope_size(scope, p) == size);
        }
}

static void large_objects_get_room(void)
{
    NEB_SCOPE(scope);
    for (size_t size = 1 << 10; size <= (size_t)64 << 20; size *= 4) {
        unsigned char *p = neb_scope_alloc(scope, size), *q = neb_scope_alloc(scope, 40);
        CLAIM(p != NULL && q != NULL);
        p[0] = p[size - 1] = 1;
        memset(q, 2, 40);
        CLAIM(p[0] == 1 && p[size - 1] == 1);
    }
}

static void helpers_copy_and_format(void)
{
    NEB_SCOPE(scope);
    CLAIM(strcmp(neb_scope_strdup(scope, "twelve"), "twelve") == 0);
    CLAIM(strcmp(neb_scope_strndup(scope, "twelve", 3), "twe") == 0);
    CLAIM(strcmp(neb_scope_strndup(scope, "two", 30), "two") == 0);
    CLAIM(memcmp(neb_scope_memdup(scope, "a\0b", 3), "a\0b", 3) == 0);
    CLAIM(strcmp(neb_scope_printf(scope, "%d and %s", 5, "six"), "5 and six") == 0);
    CLAIM(strlen(neb_scope_printf(scope, "%*s", 5000, "")) == 5000);
    CLAIM(is_filled(neb_scope_alloc_zero(scope, 1000), 0, 1000));
    CLAIM(is_filled(neb_scope_calloc(scope, 7, 100), 0, 700));
    double *array = neb_scope_new_array(scope, double, 10);
    CLAIM(neb_scope_size(scope, array) == 10 * sizeof(double));
    struct wide {
        __attribute__((aligned(256))) char c;
    } *wide = neb_scope_new(scope, struct wide);
    CLAIM(IS_ALIGNED(wide, 256));
}

static void sizes_that_cannot_be_are_refused(void)
{
    NEB_SCOPE(scope);
    volatile size_t huge = SIZE_MAX, half = SIZE_MAX / 2 + 1;
    for (size_t less = 0; less < 64; less++) {
        errno = 0;
        CLAIM(neb_scope_alloc(scope, huge - less) == NULL && errno == ENOMEM);
    }
    errno = 0;
    CLAIM(neb_scope_alloc_array(scope, half, 2) == NULL && errno == ENOMEM);
    errno = 0;
    CLAIM(neb_scope_calloc(scope, huge, huge) == NULL && errno == ENOMEM);
    errno = 0;
    CLAIM(neb_scope_alloc_aligned(scope, half, 1) == NULL && errno == ENOMEM);
    void *p = neb_scope_alloc(scope, 10);
    CLAIM(neb_scope_resize(scope, p, huge) == NULL && neb_scope_size(scope, p) == 10);
    CLAIM(neb_scope_append(scope, p, "x", huge) == NULL);
}

static void the_last_object_grows_in_place_others_move(void)
{
    NEB_SCOPE(scope);
    char *p = neb_scope_strdup(scope, "hello"), *grown = neb_scope_resize(scope, p, 500);
    bool is_watched = NEB_ASAN_ || NEB_MSAN_ || strstr(neb_version(), "checked") != NULL; /* there objects lie apart */
    CLAIM(p == grown || is_watched);
    CLAIM(strcmp(grown, "hello") == 0 && neb_scope_size(scope, grown) == 500);
    char *other = neb_scope_strdup(scope, "other"), *moved = neb_scope_resize(scope, grown, 1000);
    CLAIM(moved != grown && strcmp(moved, "hello") == 0 && strcmp(other, "other") == 0);
    CLAIM(neb_scope_resize(scope, moved, 3) == moved && neb_scope_size(scope, moved) == 3);
    char *text = NULL;
    size_t length = 0;
    for (int i = 0; i < 20000; i++, length += 7)
        text = neb_scope_append(scope, text, "abcdefg", 7);
    CLAIM(neb_scope_size(scope, text) == length);
    for (size_t i = 0; i < length; i++)
        CLAIM(text[i] == "abcdefg"[i % 7]);
}

static int order[16], order_count;

static void note(void *argument)
{
    order[order_count++] = *(int *)argument;
}

static void deferred_calls_run_backwards_at_the_end(void)
{
    static int one = 1, two = 2, three = 3;
    order_count = 0;
    neb_scope *scope = neb_scope_enter("defers");
    CLAIM(neb_scope_defer(scope, note, &one));
    neb_mark mark = neb_scope_mark(scope);
    CLAIM(neb_scope_defer(scope, note, &two) && neb_scope_defer(scope, note, &three));
    CLAIM(order_count == 0);
    neb_scope_release(scope, mark);
    CLAIM(order_count == 2 && order[0] == 3 && order[1] == 2);
    neb_scope_leave(scope);
    CLAIM(order_count == 3 && order[2] == 1);
}

static void releasing_to_a_mark_keeps_what_was_before(void)
{
    neb_scope *scope = neb_scope_enter("marks");
    char *kept = neb_scope_strdup(scope, "kept");
    neb_mark outer = neb_scope_mark(scope);
    for (int round = 0; round < 50; round++) {
        char *between = neb_scope_strdup(scope, "between");
        neb_mark inner = neb_scope_mark(scope), copy = inner;
        for (int again = 0; again < 3; again++) {
            for (size_t size = 1; size < 100000; size *= 3)
                memset(neb_scope_alloc(scope, size), 1, size);
            neb_scope_release(scope, again == 1 ? copy : inner);
            CLAIM(strcmp(between, "between") == 0);
        }
        neb_scope_release(scope, outer);
        CLAIM(strcmp(kept, "kept") == 0);
    }
    neb_scope_leave(scope);
}

static void releasing_again_and_again_takes_no_more_memory(void)
{
    neb_scope *scope = neb_scope_enter("loop");
    CLAIM(neb_scope_alloc(scope, 100) != NULL);
    size_t before = 0;
    for (int i = 0; i < 20000; i++) {
        neb_mark mark = neb_scope_mark(scope);
        CLAIM(neb_scope_alloc(scope, 3000) != NULL);
        neb_scope_release(scope, mark);
        if (i == 10)
            before = neb_scope_stats(scope).reserved_bytes;
    }
    CLAIM(neb_scope_stats(scope).reserved_bytes == before);
    neb_scope_leave(scope);
}

/* Each level leaves one result in every scope around it, and its own in its own. */
static char **results_of_level(neb_scope **around, int depth, int levels)
{
    neb_scope *scope = neb_scope_enter("level");
    around[depth] = scope;
    char *mine = neb_scope_printf(scope, "level %d", depth);
    if (depth + 1 < levels) {
        char **inner = results_of_level(around, depth + 1, levels);
        for (int level = 0; level <= depth; level++)
            CLAIM(atoi(inner[level]) == (depth + 1) * 1000 + level);
    }
    char **results = NULL;
    if (depth > 0) {
        results = neb_scope_alloc_array(around[depth - 1], (size_t)depth, sizeof *results);
        for (int level = 0; level < depth; level++) {
            CLAIM(neb_scope_alloc(scope, 77) != NULL);
            results[level] = neb_scope_printf(around[level], "%d", depth * 1000 + level);
        }
    }
    char expected[32];
    snprintf(expected, sizeof expected, "level %d", depth);
    CLAIM(strcmp(mine, expected) == 0);
    neb_scope_leave(scope);
    return results;
}

static void results_outlive_their_callee_at_any_depth(void)
{
    static neb_scope *around[40];
    for (int levels = 1; levels <= 40; levels += 13)
        CLAIM(results_of_level(around, 0, levels) == NULL);
    CLAIM(neb_scope_innermost() == NULL);
}

/* An outer scope that grows inside of a loop of inner ones: the memory of both alternates, and is bounded. */
static void outer_and_inner_alternate_in_bounded_memory(void)
{
    enum { ROUNDS = 20000 };
    neb_scope *outer = neb_scope_enter("outer");
    unsigned char **all = neb_scope_alloc_array(outer, ROUNDS, sizeof *all);
    for (size_t i = 0; i < ROUNDS; i++) {
        neb_scope *inner = neb_scope_enter("inner");
        memset(neb_scope_alloc(inner, 500), 0xEE, 500);
        all[i] = neb_scope_alloc(outer, 20);
        memset(all[i], (int)(i & 127), 20);
        memset(neb_scope_alloc(inner, 500), 0xEE, 500);
        neb_scope_leave(inner);
    }
    for (size_t i = 0; i < ROUNDS; i++)
        CLAIM(is_filled(all[i], (int)(i & 127), 20));
    CLAIM(neb_scope_stats(outer).reserved_bytes < (size_t)ROUNDS * (48 + sizeof *all) * 4 + ((size_t)1 << 20));
    neb_scope_leave(outer);
}

static int leave_by(int how)
{
    static int one = 1;
    for (int i = 0; i < 3; i++) {
        NEB_SCOPE(scope);
        CLAIM(neb_scope_defer(scope, note, &one) && neb_scope_innermost() == scope);
        if (how == 0)
            return 1;
        if (how == 1)
            break;
        if (how == 2)
            continue;
        if (how == 3)
            goto out;
    }
out:
    CLAIM(neb_scope_innermost() == NULL);
    return 2;
}

static void return_break_continue_and_goto_leave(void)
{
    int calls[] = {1, 1, 3, 1};
    for (int how = 0; how < 4; how++) {
        order_count = 0;
        CLAIM(leave_by(how) == (how == 0 ? 1 : 2));
        CLAIM(order_count == calls[how] && neb_scope_innermost() == NULL);
    }
}

static jmp_buf back;

static void jump_from_depth(int depth)
{
    static int one = 1;
    NEB_SCOPE(scope);
    CLAIM(neb_scope_alloc(scope, 1000) != NULL && neb_scope_defer(scope, note, &one));
    if (depth == 0)
        longjmp(back, 1);
    if (depth > 0)
        jump_from_depth(depth - 1);
}

static void after_a_longjmp_inner_scopes_can_be_left(void)
{
    neb_scope *outer = neb_scope_enter("outer");
    char *kept = neb_scope_strdup(outer, "kept");
    order_count = 0;
    if (setjmp(back) == 0)
        jump_from_depth(7);
    CLAIM(neb_scope_innermost() != outer && order_count == 0);
    neb_scope_leave_inner(outer);
    CLAIM(neb_scope_innermost() == outer && order_count == 8);
    CLAIM(strcmp(kept, "kept") == 0 && neb_scope_alloc(outer, 10) != NULL);
    neb_scope_leave(outer);
}

static void *scopes_of_another_thread(void *argument)
{
    (void)argument;
    CLAIM(neb_scope_innermost() == NULL);
    for (int i = 0; i < 200; i++) {
        NEB_SCOPE(scope);
        char *text = neb_scope_printf(scope, "%d", i);
        for (size_t size = 1; size < 300000; size *= 2)
            memset(neb_scope_alloc(scope, size), i, size);
        CLAIM(atoi(text) == i);
    }
    CLAIM(neb_scope_enter("left open at the end") != NULL);
    return NULL;
}

static void each_thread_has_its_own(void)
{
    neb_scope *scope = neb_scope_enter("main's");
    for (int round = 0; round < 20; round++) {
        pthread_t threads[4];
        for (int i = 0; i < 4; i++)
            CLAIM(pthread_create(&threads[i], NULL, scopes_of_another_thread, NULL) == 0);
        for (int i = 0; i < 4; i++)
            CLAIM(pthread_join(threads[i], NULL) == 0);
    }
    CLAIM(neb_scope_innermost() == scope);
    neb_scope_leave(scope);
}

int main(void)
{
    RUN(objects_are_aligned_apart_and_keep_their_bytes);
    RUN(objects_of_no_bytes_are_unique);
    RUN(every_alignment_is_kept);
    RUN(large_objects_get_room);
    RUN(helpers_copy_and_format);
    RUN(sizes_that_cannot_be_are_refused);
    RUN(the_last_object_grows_in_place_others_move);
    RUN(deferred_calls_run_backwards_at_the_end);
    RUN(releasing_to_a_mark_keeps_what_was_before);
    RUN(releasing_again_and_again_takes_no_more_memory);
    RUN(results_outlive_their_callee_at_any_depth);
    RUN(outer_and_inner_alternate_in_bounded_memory);
    RUN(return_break_continue_and_goto_leave);
    RUN(after_a_longjmp_inner_scopes_can_be_left);
    RUN(each_thread_has_its_own);
    return 0;
}
