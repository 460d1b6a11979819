/* tool_uses.c - mistakes that a memory checker must see in programs that use the opt-in API: argv[1] says which one.
 * "none" makes none of them, and must run clean. test_tools.py builds it for each tool. */
#include <nebmalloc/nebmalloc.h>

#include <stdio.h>
#include <string.h>

static volatile unsigned char sink;

static void touch(const void *p, size_t at)
{
    sink = ((const volatile unsigned char *)p)[at];
    if (sink == 77) /* MemorySanitizer asks about decisions, not about copies */
        puts("a byte is 77");
}

static void scope_after_end(void)
{
    neb_scope *scope = neb_scope_enter("ended");
    unsigned char *p = neb_scope_alloc(scope, 40);
    memset(p, 1, 40);
    neb_scope_leave(scope);
    touch(p, 3);
}

static void scope_after_release(void)
{
    NEB_SCOPE(scope);
    neb_mark mark = neb_scope_mark(scope);
    unsigned char *p = neb_scope_alloc(scope, 40);
    memset(p, 1, 40);
    neb_scope_release(scope, mark);
    touch(p, 3);
}

static void scope_beyond_the_end(void)
{
    NEB_SCOPE(scope);
    unsigned char *p = neb_scope_alloc(scope, 40);
    memset(p, 1, 40);
    (void)!neb_scope_alloc(scope, 40);
    touch(p, 40);
}

static void scope_uninitialised(void)
{
    NEB_SCOPE(scope);
    neb_mark mark = neb_scope_mark(scope);
    memset(neb_scope_alloc(scope, 4000), 1, 4000);
    neb_scope_release(scope, mark);
    touch(neb_scope_alloc(scope, 40), 3);
}

static void bump_after_reset(void)
{
    neb_bump *bump = neb_bump_create(NULL);
    unsigned char *p = neb_bump_alloc(bump, 40);
    memset(p, 1, 40);
    neb_bump_reset(bump);
    touch(p, 3);
}

static void pool_after_free(void)
{
    neb_pool *pool = neb_pool_create_for(double[4]);
    unsigned char *p = neb_pool_alloc(pool);
    memset(p, 1, 32);
    neb_pool_free(pool, p);
    touch(p, 3);
}

static void stack_after_pop(void)
{
    neb_stack *stack = neb_stack_create(NULL);
    unsigned char *p = neb_stack_push(stack, 40);
    memset(p, 1, 40);
    neb_stack_pop(stack, p);
    touch(p, 3);
}

static void none(void)
{
    NEB_SCOPE(scope);
    for (size_t i = 1; i < 3000; i++) {
        unsigned char *p = neb_scope_alloc(scope, i);
        memset(p, 1, i);
        touch(p, i - 1);
        neb_mark mark = neb_scope_mark(scope);
        memset(neb_scope_append(scope, NULL, p, i), 2, i);
        neb_scope_release(scope, mark);
        touch(p, 0);
    }
    neb_bump *bump = neb_bump_create(NULL);
    neb_pool *pool = neb_pool_create_for(double[4]);
    neb_stack *stack = neb_stack_create(NULL);
    for (size_t i = 1; i < 3000; i++) {
        touch(memset(neb_bump_alloc(bump, i), 1, i), i - 1);
        void *block = memset(neb_pool_alloc(pool), 1, 32), *pushed = memset(neb_stack_push(stack, i), 1, i);
        touch(block, 31);
        touch(pushed, i - 1);
        neb_pool_free(pool, block);
        neb_stack_pop(stack, pushed);
        if (i % 1000 == 0)
            neb_bump_reset(bump);
    }
    neb_bump_destroy(bump);
    neb_pool_destroy(pool);
    neb_stack_destroy(stack);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } uses[] = {{"none", none},
                {"scope_after_end", scope_after_end},
                {"scope_after_release", scope_after_release},
                {"scope_beyond_the_end", scope_beyond_the_end},
                {"scope_uninitialised", scope_uninitialised},
                {"bump_after_reset", bump_after_reset},
                {"pool_after_free", pool_after_free},
                {"stack_after_pop", stack_after_pop}};
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++)
        if (argc == 2 && strcmp(argv[1], uses[i].name) == 0) {
            uses[i].run();
            return 0;
        }
    fprintf(stderr, "usage: tool_uses NAME\n");
    return 2;
}
