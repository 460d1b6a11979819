/* trace/capture.h against libunwind: every stack the same, frame by frame, in several threads at once. */
#include "unit/unwind/shapes.h"

#include "os/process.h"
#include "trace/capture.h"
#include "trace/depot.h"
#include "trace/format.h"
#include "trace/output.h"
#include "trace/state.h"
#include "unit/trace/file.h"
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

struct memory {
    struct stack_cache cache;
    long reused;
};

static unsigned from_depot(uint32_t node, uintptr_t *pc)
{
    unsigned count = 0;
    while (node >= NBT_STACK_FIRST && count < FRAMES)
        node = neb_depot_parent(node, &pc[count++]);
    return count;
}

NEB_NOINLINE static void compare(void)
{
    uintptr_t captured[FRAMES], wanted[FRAMES];
    struct place place = PLACE_OF_CALLER();
    struct memory *memory = job->own;
    const struct stack *newest = memory->cache.newest;
    uint32_t node = neb_capture(&memory->cache, &place).node;
    memory->reused += memory->cache.newest == newest;
    unsigned wanted_count = reference(wanted, 1);
    same(captured, from_depot(node, captured), wanted, wanted_count, "captured");
}

/* ---- the claims ------------------------------------------------------------------------------------------------------------ */

static void begin(void)
{
    file_begin();
    atomic_store(&neb_trace_page.state.depth, STACK_FRAMES_MAX);
}

START_TEST(every_stack_of_several_threads_is_the_one_that_libunwind_sees)
{
    static struct memory memory[THREADS];
    struct job jobs[THREADS] = {0};
    begin();
    for (unsigned i = 0; i < THREADS; i++)
        jobs[i].own = &memory[i];
    shapes_in_threads(jobs);
    for (unsigned i = 0; i < THREADS; i++)
        ck_assert_int_gt(memory[i].reused, 0); /* else nothing was learned about what is remembered */
}
END_TEST

START_TEST(the_main_threads_stacks_too)
{
    static struct memory memory;
    struct job mine = {.own = &memory};
    begin();
    shapes_in_main(&mine);
}
END_TEST

/* The same place, called from the same depth, with one caller further out that differs. */
NEB_NOINLINE static uint32_t leaf(struct stack_cache *cache)
{
    struct place place = PLACE_OF_CALLER();
    return neb_capture(cache, &place).node;
}

NEB_NOINLINE static uint32_t middle(struct stack_cache *cache)
{
    uint32_t node = leaf(cache);
    NOT_A_TAIL_CALL();
    return node;
}

START_TEST(a_remembered_stack_is_not_taken_for_one_with_another_caller)
{
    static struct stack_cache cache;
    uint32_t nodes[2][3];
    volatile unsigned rounds = 3; /* one call, not one for each round */
    begin();
    for (unsigned i = 0; i < rounds; i++) {
        nodes[0][i] = middle(&cache);
        nodes[1][i] = middle(&cache);
    }
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_uint_eq(nodes[0][i], nodes[0][0]);
        ck_assert_uint_eq(nodes[1][i], nodes[1][0]);
    }
    ck_assert_uint_ne(nodes[0][0], nodes[1][0]);
}
END_TEST

NEB_NOINLINE static uint32_t recurse(struct stack_cache *cache, unsigned depth)
{
    uint32_t node = depth == 0 ? leaf(cache) : recurse(cache, depth - 1);
    NOT_A_TAIL_CALL();
    return node;
}

static unsigned depth_of(uint32_t node, uint32_t *root)
{
    uintptr_t pc;
    unsigned depth = 0;
    for (*root = node; *root >= NBT_STACK_FIRST; depth++)
        *root = neb_depot_parent(*root, &pc);
    return depth;
}

START_TEST(a_stack_that_is_too_deep_keeps_its_inner_frames)
{
    static struct stack_cache cache;
    uint32_t root;
    begin();
    atomic_store(&neb_trace_page.state.depth, 40);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned depth = 0; depth < 90; depth += 3) {
            uint32_t node = recurse(&cache, depth);
            unsigned frames = depth_of(node, &root);
            ck_assert_uint_le(frames, 40);
            if (depth >= 40) {
                ck_assert_uint_eq(frames, 40);
                ck_assert_uint_eq(root, NBT_STACK_TRUNCATED);
            }
        }
    ck_assert_uint_eq(recurse(&cache, 60), recurse(&cache, 60 + 0));
}
END_TEST

NEB_NOINLINE static uint32_t other_leaf(struct stack_cache *cache)
{
    struct place place = PLACE_OF_CALLER();
    return neb_capture(cache, &place).node;
}

NEB_NOINLINE static uint32_t recurse_to(struct stack_cache *cache, unsigned depth, bool other)
{
    uint32_t node = depth > 0 ? recurse_to(cache, depth - 1, other) : other ? other_leaf(cache) : leaf(cache);
    NOT_A_TAIL_CALL();
    return node;
}

START_TEST(stacks_that_are_cut_off_at_the_same_frame_share_their_nodes)
{
    static struct stack_cache cache;
    uint32_t root;
    uintptr_t pc;
    begin();
    atomic_store(&neb_trace_page.state.depth, 40);
    for (volatile unsigned round = 0; round < 3; round++) {
        uint32_t one = recurse_to(&cache, 70, false), other = recurse_to(&cache, 70, true), deeper = recurse_to(&cache, 71, true);
        ck_assert_uint_ne(one, other);
        ck_assert_uint_eq(deeper, other); /* the frame more is one of the recursion, cut off there */
        ck_assert_uint_eq(depth_of(one, &root), 40);
        ck_assert_uint_eq(root, NBT_STACK_TRUNCATED);
        ck_assert_uint_eq(depth_of(other, &root), 40);
        ck_assert_uint_eq(neb_depot_parent(one, &pc), neb_depot_parent(other, &pc));
    }
}
END_TEST

/* A pass over stacks that come once must not cost those that come again their places. */
START_TEST(a_stack_is_remembered_when_it_comes_again)
{
    static struct stack_cache cache;
    const struct stack *newest[3];
    begin();
    for (volatile unsigned i = 0; i < 3; i++) {
        (void)recurse(&cache, 5);
        newest[i] = cache.newest;
    }
    ck_assert_ptr_ne(newest[0], newest[1]);
    ck_assert_ptr_eq(newest[1], newest[2]);
    for (volatile unsigned depth = 6; depth < 100; depth++)
        (void)recurse(&cache, depth);
    unsigned held = 0;
    for (unsigned i = 0; i < STACK_CACHE_SLOTS; i++)
        held += cache.slot[i] != NULL;
    ck_assert_uint_eq(held, 1);
}
END_TEST

/* Its caller's frame pointer is saved where its frame begins. */
NEB_NOINLINE static uint32_t saves_fp(struct stack_cache *cache)
{
    volatile char *room = alloca(16 + (size_t)cache->generation % 2);
    room[0] = 1;
    uint32_t node = leaf(cache);
    room[1] = room[0];
    return node;
}

NEB_NOINLINE static uint32_t near_by(struct stack_cache *cache)
{
    uint32_t node = saves_fp(cache);
    NOT_A_TAIL_CALL();
    return node;
}

/* What near_by's callee saved stood where this one keeps something else. */
NEB_NOINLINE static uint32_t far_off(struct stack_cache *cache)
{
    volatile char room[400];
    for (unsigned i = 0; i < sizeof room; i++)
        room[i] = 0x55;
    uint32_t node = saves_fp(cache);
    room[0] = room[1];
    return node;
}

START_TEST(a_frame_pointer_that_was_saved_elsewhere_is_looked_for_there)
{
    static struct stack_cache cache;
    static uint32_t (*volatile const way[])(struct stack_cache *) = {near_by, far_off, near_by, far_off, near_by, far_off, near_by};
    const struct stack *newest[7];
    uint32_t node[7];
    volatile char *room = alloca(16 + (size_t)cache.generation % 2); /* this frame is based on its frame pointer */
    room[0] = 1;
    begin();
    for (volatile unsigned i = 0; i < 7; i++) { /* one call, not seven */
        node[i] = way[i](&cache);
        newest[i] = cache.newest;
    }
    for (unsigned i = 2; i < 7; i++)
        ck_assert_uint_eq(node[i], node[i - 2]);
    for (unsigned i = 4; i < 7; i++) /* both are remembered when they come again, and are found from then on */
        ck_assert_ptr_eq(newest[i], newest[i - 2]);
    ck_assert_uint_ne(node[0], node[1]);
}
END_TEST

UNIT_MAIN("capture", HOLDS(every_stack_of_several_threads_is_the_one_that_libunwind_sees), HOLDS(the_main_threads_stacks_too),
          HOLDS(a_remembered_stack_is_not_taken_for_one_with_another_caller), HOLDS(a_stack_that_is_too_deep_keeps_its_inner_frames),
          HOLDS(stacks_that_are_cut_off_at_the_same_frame_share_their_nodes), HOLDS(a_stack_is_remembered_when_it_comes_again),
          HOLDS(a_frame_pointer_that_was_saved_elsewhere_is_looked_for_there))
