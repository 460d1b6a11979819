/* check/stack.h: what is remembered of a stack is what a walk would find. */
#include "unit/unwind/shapes.h"

#include "check/stack.h"
#include "check/stacks.h"
#include "front/alloc.h"

/* The innermost frame is this one, at two places of it. Walked, walked and kept, and as it was kept. */
NEB_NOINLINE static void compare(void)
{
    uintptr_t wanted[FRAMES];
    const uintptr_t *kept = NULL;
    for (volatile int times = 0; times < 3; times++) {
        unsigned wanted_count = reference(wanted, 1);
        unsigned count = (unsigned)neb_stacks_get(neb_stack_number_here(STACK_DEPTH_MAX), &kept);
        ck_assert_uint_gt(count, 1);
        if (wanted_count >= count && count >= STACK_DEPTH_MAX)
            wanted_count = count - 1; /* cut off */
        same(kept + 1, count - 1, wanted, wanted_count, "numbered");
    }
}

START_TEST(every_stack_of_several_threads_is_the_one_that_libunwind_sees)
{
    struct job jobs[THREADS] = {0};
    neb_stack_enable();
    shapes_in_threads(jobs);
}
END_TEST

START_TEST(the_main_threads_stacks_too)
{
    struct job mine = {0};
    neb_stack_enable();
    for (int i = 0; i < 100; i++)
        (void)neb_malloc(1); /* what is remembered is the heap's */
    shapes_in_main(&mine);
}
END_TEST

static __attribute__((noinline)) uint32_t number_at(int depth)
{
    uint32_t number = depth == 0 ? neb_stack_number_here(30) : number_at(depth - 1);
    __asm__ volatile("" : "+r"(number)); /* no tail call */
    return number;
}

enum { DEPTHS = 10, ROUNDS = 3 };
static uint32_t taken[ROUNDS][DEPTHS];

static __attribute__((noinline)) void numbers_take(uint32_t *number, volatile int *depths)
{
    for (int depth = 0; depth < *depths; depth++) /* volatile: one call, not one for each time */
        number[depth] = number_at(depth);
}

START_TEST(a_stack_that_is_remembered_is_the_one_that_is_captured)
{
    volatile int rounds = ROUNDS, depths = DEPTHS;
    neb_stack_enable();
    (void)neb_malloc(1); /* what is remembered is the heap's */
    for (int round = 0; round < rounds; round++)
        numbers_take(taken[round], &depths);
    for (int depth = 0; depth < DEPTHS; depth++) {
        ck_assert_uint_ne(taken[0][depth], 0);
        ck_assert_uint_eq(taken[1][depth], taken[0][depth]);
        ck_assert_uint_eq(taken[2][depth], taken[0][depth]);
        for (int other = 0; other < depth; other++)
            ck_assert_uint_ne(taken[0][depth], taken[0][other]);
    }
    const uintptr_t *short_one, *long_one;
    ck_assert_int_eq(neb_stacks_get(taken[0][5], &long_one), neb_stacks_get(taken[0][4], &short_one) + 1);
}
END_TEST

/* ---- what two stacks share: functions that call each other in many orders, some with frames that only their frame pointer knows ---- */

static unsigned depth_wanted;

NEB_NOINLINE static void compare_with_capture(void)
{
    uintptr_t captured[STACK_DEPTH_MAX + 1];
    const uintptr_t *numbered = NULL;
    struct place place = PLACE_OF_CALLER();
    int count = neb_stacks_get(neb_stack_number(&place, depth_wanted), &numbered);
    int wanted = neb_stack_capture(captured, (int)depth_wanted + 1) - 1;
    same(numbered, (unsigned)count, captured + 1, (unsigned)wanted, "guided");
}

static uint64_t random_state;

static unsigned random_below(unsigned bound)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(random_state >> 33) % bound;
}

static void wander(int depth);

NEB_NOINLINE static void wander_plainly(int depth)
{
    volatile char room[40] = {0};
    wander(depth - 1);
    (void)room[0];
}

NEB_NOINLINE static void wander_widely(int depth)
{
    volatile char room[1000] = {0};
    wander(depth - 1);
    compare_with_capture();
    (void)room[0];
}

NEB_NOINLINE static void wander_by_frame_pointer(int depth)
{
    volatile char *room = __builtin_alloca(16 + random_below(500));
    room[0] = 0;
    wander(depth - 1);
    compare_with_capture();
    (void)room[0];
}

NEB_NOINLINE static void wander(int depth)
{
    static void (*const ways[])(int depth) = {wander_plainly, wander_widely, wander_by_frame_pointer, wander_plainly};
    for (unsigned calls = 1 + random_below(2); depth > 0 && calls > 0; calls--) {
        compare_with_capture();
        ways[random_below(4)](depth);
    }
    compare_with_capture();
}

START_TEST(a_walk_that_another_stack_guides_finds_what_a_walk_of_its_own_finds)
{
    static const unsigned depths[] = {1, 2, 5, 12, 17, 18, 40};
    neb_stack_enable();
    (void)neb_malloc(1);
    for (unsigned seed = 0; seed < 2000; seed++) {
        random_state = seed / 3; /* so that some come again */
        depth_wanted = depths[seed % 7];
        wander(3 + (int)random_below(9));
    }
}
END_TEST

UNIT_MAIN("stack", HOLDS(every_stack_of_several_threads_is_the_one_that_libunwind_sees), HOLDS(the_main_threads_stacks_too),
          HOLDS(a_stack_that_is_remembered_is_the_one_that_is_captured),
          HOLDS(a_walk_that_another_stack_guides_finds_what_a_walk_of_its_own_finds))
