/* front/stats.h: exact figures for one thread, and a report that is whole. */
#include "front/alloc.h"
#include "front/stats.h"
#include "os/vm.h"
#include "unit/unit.h"
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum { COUNT = 3000 };

static void *blocks[COUNT];
static struct stats stats;

static size_t size_of_number(unsigned i)
{
    return i % 200 == 0 ? 3000000 : i % 50 == 0 ? 200000 : i * 11 % 40000;
}

static void check_live(size_t small_blocks, size_t small_bytes, size_t large_bytes, size_t huge_bytes)
{
    neb_stats_take(&stats);
    ck_assert_uint_eq(stats.all.live, small_blocks);
    ck_assert_uint_eq(stats.small_live_bytes, small_bytes);
    ck_assert_uint_eq(stats.large.large_bytes, large_bytes);
    ck_assert_uint_eq(stats.large.huge_bytes, huge_bytes);
    ck_assert_uint_eq(stats.live_bytes, small_bytes + large_bytes + huge_bytes);
    uint64_t blocks_sum = 0, live_sum = 0;
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        const struct class_stats *class = &stats.class[class_index];
        ck_assert_uint_le(class->live + class->cached, class->blocks);
        blocks_sum += class->blocks;
        live_sum += class->live;
    }
    ck_assert_uint_eq(stats.all.blocks, blocks_sum);
    ck_assert_uint_eq(stats.all.live, live_sum);
}

START_TEST(live_blocks_and_bytes_are_exact_after_every_call)
{
    size_t small_blocks = 0, small = 0, large = 0, huge = 0;
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < COUNT; i++) {
            size_t size = size_of_number(i), change;
            if (round == 0)
                ck_assert_ptr_nonnull(blocks[i] = i % 3 == 0 ? neb_calloc(1, size) : neb_malloc(size));
            change = neb_usable_size(blocks[i]);
            if (round == 1) {
                neb_free(blocks[i]);
                change = 0 - change;
            }
            if (size > LARGE_MAX)
                huge += change;
            else if (size > SMALL_MAX)
                large += change;
            else
                small += change, small_blocks += round == 0 ? 1 : SIZE_MAX;
            if (i % 37 == 0)
                check_live(small_blocks, small, large, huge);
        }
    check_live(0, 0, 0, 0);
    (void)neb_trim();
    check_live(0, 0, 0, 0);
    ck_assert_uint_eq(stats.all.cached, 0);
    ck_assert_uint_eq(stats.slab_bytes, 0);
    ck_assert_uint_eq(stats.blocks_lost, 0);
}
END_TEST

START_TEST(where_calls_are_counted_each_one_is)
{
    uint64_t allocs = 0, frees = 0;
    if (!POLICY_COUNT)
        return;
    for (unsigned i = 0; i < COUNT; i++) {
        size_t size = i * 11 % SMALL_MAX;
        switch (i % 4) {
        case 0:
            blocks[i] = neb_malloc(size);
            break;
        case 1:
            blocks[i] = neb_calloc(size / 4, 4);
            break;
        case 2:
            blocks[i] = neb_memalign(16, size);
            break;
        default:
            blocks[i] = neb_realloc(NULL, size);
        }
        allocs++;
        if (i % 5 == 0) {
            neb_free(blocks[i]);
            frees++;
        }
    }
    neb_stats_take(&stats);
    ck_assert_uint_eq(stats.all.frees, frees);
    ck_assert_uint_eq(stats.all.allocs, allocs);
}
END_TEST

START_TEST(mapped_memory_is_what_the_system_gave)
{
    for (unsigned i = 0; i < COUNT; i++)
        blocks[i] = neb_malloc(size_of_number(i));
    neb_stats_take(&stats);
    struct chunk_counts chunks = neb_chunk_counts();
    ck_assert_uint_eq(stats.mapped_bytes,
                      (chunks.chunks * CHUNK_GRANULES - chunks.granules_uncommitted) * GRANULE_BYTES +
                          stats.large.huge_bytes + stats.large.kept_bytes);
    ck_assert_uint_ge(stats.mapped_peak_bytes, stats.mapped_bytes);
    ck_assert_uint_ge(stats.used_peak_bytes, stats.slab_bytes + stats.large.large_bytes);
    ck_assert_uint_ge(stats.mapped_bytes, stats.live_bytes);
    uint64_t peak = stats.used_peak_bytes;
    for (unsigned i = 0; i < COUNT; i++)
        neb_free(blocks[i]);
    size_t given = neb_trim();
    neb_stats_take(&stats);
    ck_assert_uint_gt(given, 0);
    ck_assert_uint_eq(stats.used_peak_bytes, peak);
    ck_assert_uint_eq(stats.free_resident_bytes, 0);
    ck_assert_uint_eq(stats.large.kept_bytes, 0);
}
END_TEST

static void *allocate_some(void *argument)
{
    void **p = argument;
    for (unsigned i = 0; i < 500; i++)
        p[i] = neb_malloc(100);
    neb_heap_end();
    return NULL;
}

START_TEST(blocks_of_threads_that_ended_are_live_until_they_are_freed)
{
    pthread_t thread;
    (void)neb_malloc(1); /* the first heap is mine */
    ck_assert_int_eq(pthread_create(&thread, NULL, allocate_some, blocks), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    neb_stats_take(&stats);
    ck_assert_uint_ge(stats.class[size_class_of(100)].live, 500 - 2 * YOUNG_CALLS);
    ck_assert_uint_le(stats.class[size_class_of(100)].live, 500 + 500);
    for (unsigned i = 0; i < 500; i++)
        neb_free(blocks[i]);
    (void)neb_trim();
    neb_stats_take(&stats);
    ck_assert_uint_eq(stats.class[size_class_of(1)].live, 1);
}
END_TEST

START_TEST(the_report_is_whole_and_ends_its_lines)
{
    static char text[65536];
    for (unsigned i = 0; i < COUNT; i++)
        blocks[i] = neb_malloc(size_of_number(i));
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    neb_stats_print(fileno(file));
    rewind(file);
    size_t length = fread(text, 1, sizeof text - 1, file);
    text[length] = '\0';
    ck_assert_uint_gt(length, 500);
    ck_assert_int_eq(text[length - 1], '\n');
    static const char *const words[] = {"live",        "peak",    "resident", "given back",
                                        "page faults", "refills", "flushes",  "claimed",
                                        "batches",     "huge",    "size",     "used"};
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        ck_assert_msg(strstr(text, words[i]) != NULL, "'%s' is missing", words[i]);
    unsigned rows = 0;
    for (const char *line = text; line != NULL && *line != '\0'; line = strchr(line, '\n') + 1) {
        const char *end = strchr(line, '\n');
        ck_assert_ptr_nonnull(end);
        rows += end[-1] == '%';
    }
    ck_assert_uint_gt(rows, 50); /* most classes are in use */
}
END_TEST

UNIT_MAIN("stats", HOLDS(live_blocks_and_bytes_are_exact_after_every_call),
          HOLDS(where_calls_are_counted_each_one_is), HOLDS(mapped_memory_is_what_the_system_gave),
          HOLDS(blocks_of_threads_that_ended_are_live_until_they_are_freed),
          HOLDS(the_report_is_whole_and_ends_its_lines))
