/* trace/lane.h and trace/state.h: what a thread may record, what it counts down, what others see of it. */
#include "trace/lane.h"

#include "unit/trace/file.h"
#include <pthread.h>

static struct trace_state *state(void)
{
    return &neb_trace_page.state;
}

static void mode_begin(enum nbt_mode mode)
{
    file_begin();
    atomic_store(&state()->session, 1);
    atomic_store(&state()->epoch, 1);
    neb_lanes_begin();
    trace_mode_set(mode);
}

START_TEST(without_a_mode_nobody_records)
{
    ck_assert_ptr_null(lane_enter());
    ck_assert_uint_eq(neb_hold.lane_busy, 0);
}
END_TEST

START_TEST(call_in_the_middle_of_recording_is_counted_as_dropped)
{
    struct lane_totals totals;
    mode_begin(NBT_MODE_TRACE);
    struct lane *lane = lane_enter();
    ck_assert_ptr_nonnull(lane);
    ck_assert_ptr_null(lane_enter());
    lane_leave(lane);
    ck_assert_ptr_eq(lane_enter(), lane);
    lane_leave(lane);
    neb_lanes_total(&totals);
    ck_assert_uint_eq(totals.dropped, 1);
}
END_TEST

static void *lane_of_thread(void *unused)
{
    (void)unused;
    struct lane *lane = lane_enter();
    lane_leave(lane);
    neb_lane_end();
    return lane;
}

START_TEST(lane_goes_to_the_next_thread)
{
    pthread_t thread;
    void *first, *second;
    mode_begin(NBT_MODE_TRACE);
    struct lane *mine = lane_enter();
    lane_leave(mine);
    ck_assert_int_eq(pthread_create(&thread, NULL, lane_of_thread, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, &first), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, lane_of_thread, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, &second), 0);
    ck_assert_ptr_ne(first, mine);
    ck_assert_ptr_eq(first, second);
    ck_assert_uint_eq(state()->is_shared, 1);
}
END_TEST

/* The bytes as the format's description has them. */
START_TEST(events_are_as_documented)
{
    const unsigned char expected[] = {
        0x81, 0x01, 40, /* zigzag(16) is 32; 32 << 2 | 1 is 129 as a varint; the size */
    };
    struct block_birth birth = {.stack = 16, .session = 1, .lane = 0, .number = 0, .size = 40};
    mode_begin(NBT_MODE_TRACE);
    struct lane *lane = lane_enter();
    birth.lane = lane->id;
    neb_lane_alloc(lane, 16, 40, 16);
    lane_number_take(lane);
    const unsigned char *at = neb_output_payload(lane->chunk);
    ck_assert_uint_eq(lane->chunk->stored_bytes, sizeof expected);
    ck_assert_mem_eq(at, expected, sizeof expected);
    neb_lane_alloc(lane, 16, 40, 16); /* the same stack and size: one byte */
    lane_number_take(lane);
    neb_lane_free(lane, &birth); /* the block before the newest: age 2 */
    ck_assert_uint_eq(lane->chunk->stored_bytes, sizeof expected + 2);
    ck_assert_uint_eq(at[3], NBT_ALLOC);
    ck_assert_uint_eq(at[4], 1 << 2 | NBT_FREE);
    lane_leave(lane);
}
END_TEST

START_TEST(countdown_skips_up_to_the_sample_and_no_further)
{
    mode_begin(NBT_MODE_SAMPLE);
    ck_assert(!lane_skips(trace_watch(), 1)); /* no lane yet */
    struct lane *lane = lane_enter();
    lane_leave(lane);
    ck_assert(!lane_skips(trace_watch(), 1)); /* nothing drawn yet */
    lane->until_sample = 100;
    ck_assert(lane_skips(trace_watch(), 40));
    ck_assert(lane_skips(trace_watch(), 0)); /* counts as a byte */
    ck_assert_uint_eq(lane->until_sample, 59);
    ck_assert(!lane_skips(trace_watch(), 59));
    ck_assert(!lane_skips(trace_watch(), SIZE_MAX));
    ck_assert_uint_eq(lane->until_sample, 59);
    trace_mode_set(NBT_MODE_PROFILE);
    ck_assert(!lane_skips(trace_watch(), 1));
    ck_assert_uint_eq(lane->until_sample, 59);
}
END_TEST

START_TEST(in_mode_sample_only_filtered_blocks_are_looked_for)
{
    int block;
    ck_assert(trace_may_know(trace_watch(), &block)); /* another mode: any block */
    trace_mode_set(NBT_MODE_SAMPLE);
    ck_assert(!trace_may_know(trace_watch(), &block));
    atomic_store(trace_filter_slot(&block), 1);
    ck_assert(trace_may_know(trace_watch(), &block));
}
END_TEST

int main(void)
{
    const struct unit_claim claims[] = {
        HOLDS(without_a_mode_nobody_records),
        HOLDS(call_in_the_middle_of_recording_is_counted_as_dropped),
        HOLDS(lane_goes_to_the_next_thread),
        HOLDS(events_are_as_documented),
        HOLDS(countdown_skips_up_to_the_sample_and_no_further),
        HOLDS(in_mode_sample_only_filtered_blocks_are_looked_for),
    };
    return unit_run("lane", claims, sizeof claims / sizeof claims[0]);
}
