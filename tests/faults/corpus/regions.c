/* regions.c - the opt-in API: scopes, pools, bump arenas and stacks that are used wrongly, and their blocks in the hands of code
 * that knows only malloc. Under other allocators the headers' fallback is what is tested. */
#include "corpus.h"

#include <nebmalloc/bump.h>
#include <nebmalloc/nebmalloc.h>
#include <nebmalloc/pool.h>
#include <nebmalloc/scope.h>
#include <nebmalloc/stack.h>
#include <stdlib.h>
#include <string.h>

static neb_pool *pool_of(size_t size)
{
    return neb_pool_create(&(neb_pool_options){.block_bytes = size, .name = "corpus"});
}

static void pool_twice(size_t size, size_t amount)
{
    neb_pool *pool = pool_of(size);
    void *p = neb_pool_alloc(pool);
    neb_pool_free(pool, p);
    for (size_t i = 0; i < amount; i++)
        neb_pool_free(pool, hide(neb_pool_alloc(pool)));
    neb_pool_free(pool, hide(p));
    after();
    void *a = neb_pool_alloc(pool), *b = neb_pool_alloc(pool);
    if (a == b)
        harm("handed out twice");
}

static void pool_interior(size_t size, size_t amount)
{
    neb_pool *pool = pool_of(size);
    char *p = neb_pool_alloc(pool);
    neb_pool_free(pool, hide(p + amount));
    after();
}

static void pool_foreign(size_t size, size_t amount)
{
    (void)amount;
    neb_pool_free(pool_of(size), alloc(size));
    after();
}

static void pool_block_freed(size_t size, size_t amount)
{
    (void)amount;
    neb_pool *pool = pool_of(size);
    release(neb_pool_alloc(pool));
    after();
    void *mine = neb_pool_alloc(pool);
    check_distinct(size, mine, size);
}

static void pool_after_destroy(size_t size, size_t amount)
{
    (void)amount;
    neb_pool *pool = pool_of(size);
    void *p = neb_pool_alloc(pool);
    neb_pool_destroy(pool);
    release(p);
    after();
    check_distinct(size, NULL, 0);
}

static void scope_outer_first(size_t size, size_t amount)
{
    (void)size;
    (void)amount;
    neb_scope *outer = neb_scope_enter("outer");
    neb_scope *inner = hide(neb_scope_enter("inner"));
    neb_scope_leave(outer);
    after();
    neb_scope_leave(inner);
}

static void scope_alloc_after_end(size_t size, size_t amount)
{
    (void)amount;
    neb_scope *scope = neb_scope_enter("ended");
    neb_scope_leave(scope);
    void *p = neb_scope_alloc(hide(scope), size);
    after();
    memset(p, 1, size);
}

static void ambient_freed_after_end(size_t size, size_t amount)
{
    (void)amount;
    neb_scope *scope = neb_scope_enter_with("ambient", NEB_SCOPE_AMBIENT);
    void *p = alloc(size);
    neb_scope_leave(scope);
    release(p);
    after();
}

static void ambient_written_after_end(size_t size, size_t amount)
{
    (void)amount;
    neb_scope *scope = neb_scope_enter_with("ambient", NEB_SCOPE_AMBIENT);
    char *p = alloc(size);
    neb_scope_leave(scope);
    memset(hide(p), 1, size);
    after();
}

static void stack_order(size_t size, size_t amount)
{
    (void)amount;
    neb_stack *stack = neb_stack_create(NULL);
    void *below = neb_stack_push(stack, size);
    void *top = hide(neb_stack_push(stack, size));
    neb_stack_pop(stack, hide(below));
    after();
    neb_stack_pop(stack, top);
}

static void odd_scope_blocks(size_t size, size_t amount)
{
    (void)amount;
    if (!neb_is_active()) { /* only the library can let free() have them */
        after();
        return;
    }
    neb_scope *scope = neb_scope_enter("blocks");
    release(neb_scope_alloc(scope, size));
    void *moved = neb_scope_alloc(scope, size);
    memset(neb_scope_alloc(scope, size), 1, size);
    moved = hide(realloc(hide(moved), 4 * size)); /* not the last one: to the heap */
    neb_scope_leave(scope);
    memset(moved, 1, 4 * size);
    release(moved);
    after();
}

static void odd_dropped_whole(size_t size, size_t amount)
{
    neb_bump *bump = neb_bump_create(NULL);
    neb_pool *pool = pool_of(size);
    for (size_t i = 0; i < amount; i++) {
        memset(neb_bump_alloc(bump, size), 1, size);
        memset(neb_pool_alloc(pool), 1, size);
    }
    neb_bump_destroy(bump);
    neb_pool_destroy(pool);
    after();
}

const struct bug regions[] = {
    {"pool_double_free", "-", pool_twice, 64, 0},
    {"pool_double_free_after_500", "-", pool_twice, 64, 500},
    {"pool_free_interior", "-", pool_interior, 64, 16},
    {"pool_free_foreign", "-", pool_foreign, 64, 0},
    {"pool_block_to_free", "invalid-free", pool_block_freed, 64, 0},
    {"pool_block_freed_after_destroy", "heap-use-after-free", pool_after_destroy, 64, 0},
    {"scope_outer_left_first", "-", scope_outer_first, 0, 0},
    {"scope_alloc_after_end", "-", scope_alloc_after_end, 64, 0},
    {"ambient_freed_after_end", "heap-use-after-free", ambient_freed_after_end, 64, 0},
    {"ambient_written_after_end", "heap-use-after-free", ambient_written_after_end, 64, 0},
    {"stack_popped_out_of_order", "-", stack_order, 64, 0},
    {"odd_scope_blocks", "", odd_scope_blocks, 64, 0},
    {"odd_dropped_whole", "", odd_dropped_whole, 64, 1000},
    ARRAY_END
};
