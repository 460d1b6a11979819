/* regions.c - the opt-in API as programs use it: a scope for each request, a bump arena for each tree, a pool of
 * equal objects, a stack of frames.
 *
 * The patterns are those of the API's own examples (tests/examples). Nothing is linked: under nebmalloc the calls
 * reach the library, under every other allocator the headers fall back to its malloc, as in a program that is
 * shipped with the API and run without the library. So a row compares what such a program gets.
 *
 * Stresses  bump allocation and freeing all at once, nested scopes, fixed-size recycling
 * Count     requests, trees, replacements or recursions per lane
 */
#include "bench.h"

#include <nebmalloc/nebmalloc.h>

enum {
    BLOCKS = 100, BLOCKS_SPAN = 100, INNER_EACH = 10, INNER_BLOCKS = 8, /* scope */
    NODES = 4000,                                                       /* bump */
    OBJECTS = 2000, OBJECT_BYTES = 64,                                  /* pool */
    DEPTH = 9, PUSHES = 3                                               /* stack */
};

static struct block stamped(struct lane *lane, void *at, size_t size)
{
    if (at == NULL)
        bench_fail("an allocation returned NULL");
    lane->operations++;
    return block_stamp(lane, at, size);
}

static void all_verify(struct lane *lane, const struct block *blocks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        block_verify(lane, blocks[i]);
}

/* ---- scope: what a request makes dies with it; each step has a scope of its own ------------------------------ */

static void step_run(struct lane *lane)
{
    struct block blocks[INNER_BLOCKS];
    neb_scope *scope = neb_scope_enter("step");
    for (uint32_t i = 0; i < INNER_BLOCKS; i++) {
        size_t size = random_size(lane, 4, 8);
        blocks[i] = stamped(lane, neb_scope_alloc(scope, size), size);
    }
    all_verify(lane, blocks, INNER_BLOCKS);
    neb_scope_leave(scope);
}

static void request_run(struct lane *lane)
{
    struct block blocks[BLOCKS + BLOCKS_SPAN];
    uint32_t count = BLOCKS + random_below(lane, BLOCKS_SPAN);
    neb_scope *scope = neb_scope_enter("request");
    for (uint32_t i = 0; i < count; i++) {
        size_t size = random_size(lane, 4, 9);
        blocks[i] = stamped(lane, neb_scope_alloc(scope, size), size);
        if (i % INNER_EACH == 0)
            step_run(lane);
    }
    all_verify(lane, blocks, count);
    neb_scope_leave(scope);
}

static void scope_work(struct lane *lane)
{
    for (uint64_t i = 0; i < lane->bench->count; i++)
        request_run(lane);
}

/* ---- bump: a compiler's tree, kept whole until the next function -------------------------------------------- */

static void bump_work(struct lane *lane)
{
    struct block *nodes = bench_map(NODES * sizeof *nodes);
    neb_bump *bump = neb_bump_create(NULL);
    if (bump == NULL)
        bench_fail("neb_bump_create returned NULL");
    for (uint64_t i = 0; i < lane->bench->count; i++) {
        for (uint32_t k = 0; k < NODES; k++) {
            size_t size = random_size(lane, 4, 7);
            nodes[k] = stamped(lane, neb_bump_alloc(bump, size), size);
        }
        all_verify(lane, nodes, NODES);
        neb_bump_reset(bump);
    }
    neb_bump_destroy(bump);
}

/* ---- pool: objects of a simulation that come and go ----------------------------------------------------------- */

static void pool_work(struct lane *lane)
{
    struct block *objects = bench_map(OBJECTS * sizeof *objects);
    neb_pool *pool = neb_pool_create(&(neb_pool_options){.block_bytes = OBJECT_BYTES});
    if (pool == NULL)
        bench_fail("neb_pool_create returned NULL");
    for (uint64_t i = 0; i < lane->bench->count; i++) {
        struct block *object = &objects[random_below(lane, OBJECTS)];
        if (object->at != NULL) {
            block_verify(lane, *object);
            neb_pool_free(pool, object->at);
        }
        *object = stamped(lane, neb_pool_alloc(pool), OBJECT_BYTES);
    }
    for (uint32_t i = 0; i < OBJECTS; i++)
        if (objects[i].at != NULL)
            block_verify(lane, objects[i]);
    neb_pool_destroy(pool);
}

/* ---- stack: a recursion with frames ---------------------------------------------------------------------------- */

static void descend(struct lane *lane, neb_stack *stack, unsigned depth)
{
    struct block blocks[PUSHES];
    neb_frame frame = neb_stack_frame_begin(stack);
    for (uint32_t i = 0; i < PUSHES; i++) {
        size_t size = random_size(lane, 4, 9);
        blocks[i] = stamped(lane, neb_stack_push(stack, size), size);
    }
    if (depth > 0) {
        descend(lane, stack, depth - 1);
        descend(lane, stack, depth - 1);
    }
    all_verify(lane, blocks, PUSHES);
    neb_stack_frame_end(stack, frame);
}

static void stack_work(struct lane *lane)
{
    neb_stack *stack = neb_stack_create(NULL);
    if (stack == NULL)
        bench_fail("neb_stack_create returned NULL");
    for (uint64_t i = 0; i < lane->bench->count; i++)
        descend(lane, stack, DEPTH);
    neb_stack_destroy(stack);
}

static void regions_work(struct lane *lane)
{
    if (bench_is(lane->bench, "scope"))
        scope_work(lane);
    else if (bench_is(lane->bench, "bump"))
        bump_work(lane);
    else if (bench_is(lane->bench, "pool"))
        pool_work(lane);
    else
        stack_work(lane);
}

static const char *const variants[] = {"scope", "bump", "pool", "stack", NULL};
const struct pattern pattern = {.name = "regions", .variants = variants, .threads_min = 1, .work = regions_work};
