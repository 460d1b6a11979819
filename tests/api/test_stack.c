/* test_stack.c - stacks do what stack.h says: with the library and without it alike. */
#include <nebmalloc/stack.h>

#include "claim.h"
#include <errno.h>
#include <stdint.h>

static void objects_come_off_in_reverse(void)
{
    enum { COUNT = 3000 };
    static unsigned char *object[COUNT];
    neb_stack *stack = neb_stack_create(NULL);
    CLAIM(neb_stack_is_empty(stack));
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            object[i] = i % 97 == 3 ? neb_stack_push_aligned(stack, 256, i) : neb_stack_push(stack, i);
            CLAIM(object[i] != NULL && IS_ALIGNED(object[i], i % 97 == 3 ? 256 : 16));
            memset(object[i], (int)(i & 255), i);
        }
        for (size_t i = COUNT; i-- > 0;) {
            CLAIM(is_filled(object[i], (int)(i & 255), i));
            neb_stack_pop(stack, object[i]);
        }
        CLAIM(neb_stack_is_empty(stack) && neb_stack_stats(stack).used_bytes == 0);
    }
    neb_stack_destroy(stack);
}

/* Runs of one size, of sizes in turn, of runs that a marker, a frame or an alignment interrupts. */
static void runs_come_off_in_reverse(void)
{
    enum { COUNT = 5000 };
    static unsigned char *object[COUNT];
    static size_t size[COUNT];
    neb_stack *stack = neb_stack_create(NULL);
    unsigned random = 1;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            random = random * 1664525 + 1013904223;
            bool is_new_size = i == 0 || (random >> 16) % 8 == 0;
            size[i] = is_new_size ? (random >> 20) % 200 : size[i - 1];
            object[i] = (random >> 8) % 64 == 0 ? neb_stack_push_aligned(stack, 64, size[i]) : neb_stack_push(stack, size[i]);
            CLAIM(object[i] != NULL && IS_ALIGNED(object[i], 16) && (i == 0 || object[i] != object[i - 1]));
            memset(object[i], i & 255, size[i]);
            if ((random >> 12) % 32 == 0)
                (void)neb_stack_mark(stack);
            if ((random >> 4) % 32 == 0) {
                neb_frame frame = neb_stack_frame_begin(stack);
                for (size_t more = 0; more < 40; more++)
                    memset(neb_stack_push(stack, more / 7 * 16), 0xFF, more / 7 * 16);
                neb_stack_frame_end(stack, frame);
            }
        }
        for (int i = COUNT; i-- > 0;) {
            CLAIM(is_filled(object[i], i & 255, size[i]));
            neb_stack_pop(stack, object[i]);
        }
        CLAIM(neb_stack_is_empty(stack) && neb_stack_stats(stack).used_bytes == 0);
    }
    neb_stack_destroy(stack);
}

static void objects_of_one_size_lie_side_by_side(void)
{
#if NEB_ASAN_ || NEB_MSAN_
    return; /* there they are kept apart */
#endif
    neb_stack *stack = neb_stack_create(NULL);
    unsigned char *first = neb_stack_push(stack, 64), *second = neb_stack_push(stack, 60);
    CLAIM(second == first + 64 || strstr(stack->arena.ops->name, "checked") != NULL);
    neb_stack_destroy(stack);
}

static void the_high_water_mark_is_exact(void)
{
    neb_stack *stack = neb_stack_create(NULL);
    void *a = neb_stack_push(stack, 1000), *b = neb_stack_push(stack, 1000);
    size_t high = neb_stack_stats(stack).used_bytes;
    CLAIM(high >= 2000 && high < 2200);
    neb_stack_pop(stack, b);
    neb_stack_pop(stack, a);
    CLAIM(neb_stack_stats(stack).used_bytes == 0 && neb_stack_stats(stack).used_bytes_peak == high);
    static void *object[100];
    for (int i = 0; i < 100; i++)
        object[i] = neb_stack_push(stack, 50000);
    high = neb_stack_stats(stack).used_bytes;
    for (int i = 100; i-- > 0;)
        neb_stack_pop(stack, object[i]);
    CLAIM(neb_stack_stats(stack).used_bytes_peak == high && high >= 100 * 50000);
    neb_stack_destroy(stack);
}

static void frames_and_markers_nest(void)
{
    enum { DEPTH = 50 };
    static neb_frame frame[DEPTH];
    static char *kept[DEPTH];
    neb_stack *stack = neb_stack_create(NULL);
    for (int i = 0; i < DEPTH; i++) {
        kept[i] = neb_stack_push(stack, 10);
        memset(kept[i], i, 10);
        frame[i] = neb_stack_frame_begin(stack);
        CLAIM(neb_stack_push(stack, 5000) != NULL);
        neb_mark mark = neb_stack_mark(stack);
        for (int again = 0; again < 3; again++) {
            for (size_t size = 1; size < 200000; size *= 5)
                memset(neb_stack_push(stack, size), 1, size);
            neb_stack_release(stack, mark);
        }
    }
    for (int i = DEPTH; i-- > 0;) {
        neb_stack_frame_end(stack, frame[i]);
        CLAIM(is_filled(kept[i], i, 10));
        neb_stack_pop(stack, kept[i]);
    }
    CLAIM(neb_stack_is_empty(stack));
    neb_stack_destroy(stack);
}

static void frames_in_a_loop_take_no_more_memory(void)
{
    neb_stack *stack = neb_stack_create(NULL);
    for (int i = 0; i < 100000; i++) {
        neb_frame frame = neb_stack_frame_begin(stack);
        CLAIM(neb_stack_push(stack, 100) != NULL);
        neb_stack_frame_end(stack, frame);
    }
    CLAIM(neb_stack_stats(stack).used_bytes == 0 && neb_stack_stats(stack).segments == 1);
    neb_stack_destroy(stack);
}

static void a_marker_below_is_popped_through(void)
{
    neb_stack *stack = neb_stack_create(NULL);
    void *a = neb_stack_push(stack, 10);
    (void)neb_stack_mark(stack);
    (void)neb_stack_mark(stack);
    neb_stack_pop(stack, a);
    CLAIM(neb_stack_is_empty(stack));
    neb_stack_destroy(stack);
}

static void limits_are_kept(void)
{
    static unsigned char memory[2000];
    neb_stack_options options = {.memory = memory, .memory_bytes = sizeof memory, .flags = NEB_STACK_FIXED};
    neb_stack stack;
    CLAIM(neb_stack_init(&stack, &options));
    int count = 0;
    while (neb_stack_push(&stack, 32) != NULL)
        count++;
    CLAIM(errno == ENOMEM && count >= 20 && count <= 60);
    neb_stack_finish(&stack);
    options = (neb_stack_options){.limit_bytes = 300000};
    neb_stack *limited = neb_stack_create(&options);
    size_t got = 0;
    while (neb_stack_push(limited, 1000) != NULL)
        got += 1000;
    CLAIM(errno == ENOMEM && got > 100000 && got <= 300000);
    volatile size_t huge = SIZE_MAX;
    for (size_t less = 0; less < 64; less++)
        CLAIM(neb_stack_push(limited, huge - less) == NULL);
    neb_stack_destroy(limited);
}

int main(void)
{
    RUN(objects_come_off_in_reverse);
    RUN(runs_come_off_in_reverse);
    RUN(objects_of_one_size_lie_side_by_side);
    RUN(the_high_water_mark_is_exact);
    RUN(frames_and_markers_nest);
    RUN(frames_in_a_loop_take_no_more_memory);
    RUN(a_marker_below_is_popped_through);
    RUN(limits_are_kept);
    return 0;
}
