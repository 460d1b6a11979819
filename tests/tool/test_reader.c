/* The reader: what files say, and that damage costs no more than what is damaged. */
#include "tests/tool/compose.h"
#include "tests/unit/unit.h"
#include "tool/reader.h"

static char *read_bytes(struct model *model, const uint8_t *data, size_t bytes)
{
    struct source source = {.fd = -1, .memory = data, .bytes = bytes, .name = "test.nbt"};
    char *refused = reader_source(model, &source);
    if (refused == NULL)
        model_sum(model);
    return refused;
}

static void read_well(struct model *model, const struct composed *file)
{
    model_init(model);
    char *refused = read_bytes(model, file->data, file->bytes);
    ck_assert_msg(refused == NULL, "%s", refused);
    ck_assert_msg(model->damage_count == 0, "%s", model->damage_count == 0 ? "" : model->damage[0]);
}

/* The site whose innermost frame has this address. */
static const struct stats *site_at(const struct model *model, uint64_t address)
{
    for (size_t i = 0; i < model->site_count; i++)
        if (model->frames[model->nodes[model->sites[i].node].frame].address == address)
            return &model->sites[i].stats;
    ck_abort_msg("no site at %llx", (unsigned long long)address);
}

START_TEST(sites_come_out_as_they_were_written)
{
    struct composed file = compose_profile("/bin/true");
    struct model model;
    read_well(&model, &file);
    ck_assert_uint_eq(model.site_count, 3);
    ck_assert_uint_eq(model.totals.allocs, 1011);
    ck_assert_uint_eq(model.totals.bytes, 22000);
    ck_assert_uint_eq(model.totals.live_blocks, 5);
    ck_assert_uint_eq(model.totals.live_bytes, 5400);
    const struct stats *stats = site_at(&model, 0x3030);
    ck_assert_uint_eq(stats->reallocs, 2);
    ck_assert_uint_eq(stats->age[3], 6);
    ck_assert_uint_eq(stats->size[6], 10);
    stats = site_at(&model, 0x4040); /* more than its own buckets hold */
    ck_assert_uint_eq(stats->age[0], 1000);
    ck_assert_uint_eq(stats->size[4], 1000);
    ck_assert_uint_eq(model.threads[1].tid, 4243);
    ck_assert_str_eq(model.threads[1].name, "worker");
    ck_assert_str_eq(model.processes[0].command, "sample --\"quoted\" </script>");
    ck_assert_uint_eq(model.processes[0].point_count, 50);
    ck_assert_str_eq(model.marks[0].text, "half way");
    ck_assert_uint_eq(model.processes[0].classes[0].live, 4);
    ck_assert_uint_eq(model.pins[0].blocks, 4);
    ck_assert_uint_eq(model.processes[0].end_ns, 49000000);
    model_finish(&model);
    free(file.data);
}
END_TEST

START_TEST(buckets_that_are_lost_cost_no_more_than_what_they_held)
{
    struct composed file = compose_profile("/bin/true"), lost = compose_profile("/bin/true");
    size_t magic = 0;
    struct model model;
    for (size_t at = 4096; at + 64 <= lost.bytes; at += 8)
        if (memcmp(lost.data + at, "NBTC\x0d\0", 6) == 0)
            magic = at;
    ck_assert_uint_ne(magic, 0);
    poke(&lost, magic + 4, 63, 2); /* a kind that nobody knows */
    read_well(&model, &lost);
    const struct stats *stats = site_at(&model, 0x4040);
    ck_assert_uint_eq(stats->allocs, 1000);
    ck_assert_uint_eq(stats->age[0], 1000 % 256);
    model_finish(&model);
    poke(&file, magic + 40, 7, 8); /* seven others came before, in a chunk that is not there: none of this one's is the first */
    read_well(&model, &file);
    ck_assert_uint_eq(site_at(&model, 0x4040)->age[0], 1000 % 256);
    model_finish(&model);
    free(lost.data);
    free(file.data);
}
END_TEST

START_TEST(a_site_that_did_not_change_since_the_peak_had_what_it_has_now)
{
    struct composed file = compose_profile("/bin/true");
    struct model model;
    read_well(&model, &file);
    ck_assert_uint_eq(site_at(&model, 0x3030)->peak_bytes, 700);  /* noted at peak 9 */
    ck_assert_uint_eq(site_at(&model, 0x4040)->peak_bytes, 0);    /* noted at peak 8: none is live */
    ck_assert_uint_eq(site_at(&model, 0x5050)->peak_bytes, 5000); /* at peak 3: the block is still there */
    ck_assert_uint_eq(model.totals.peak_bytes, 5700);
    model_finish(&model);
    free(file.data);
}
END_TEST

START_TEST(events_add_up_and_lanes_wait_for_each_other)
{
    struct composed file = compose_trace("/bin/true");
    struct model model;
    read_well(&model, &file);
    const struct stats *make = site_at(&model, 0x3030), *idle = site_at(&model, 0x4040),
                       *deeper = site_at(&model, 0x5050);
    ck_assert_uint_eq(make->allocs, 4);
    ck_assert_uint_eq(make->bytes, 100 + 100 + 300 + 64);
    ck_assert_uint_eq(make->frees, 3);
    ck_assert_uint_eq(stats_live_bytes(make), 300);
    ck_assert_uint_eq(make->reallocs, 1);
    ck_assert_uint_eq(make->reallocs_moved, 1);
    ck_assert_uint_eq(make->frees_at_once, 1); /* the aligned one */
    ck_assert_uint_eq(make->age[1], 2);        /* 0.0 at age 3, 0.1 at age 2 */
    ck_assert_uint_eq(deeper->frees, 1);
    ck_assert_uint_eq(deeper->frees_remote, 1);
    ck_assert_uint_eq(idle->frees_at_once, 1);
    ck_assert_uint_eq(model.totals.allocs, 6);
    ck_assert_uint_eq(model.totals.frees, 5);
    ck_assert_uint_eq(model.totals.peak_bytes, 100 + 100 + 50 + 1000);
    ck_assert_uint_eq(deeper->peak_bytes, 1000);
    ck_assert_uint_eq(model.totals.failed, 1);
    ck_assert_uint_eq(model.totals.dropped, 2);
    ck_assert_uint_eq(model.totals.untracked, 1);
    ck_assert_uint_eq(model.threads[0].allocs, 5);
    ck_assert_uint_eq(model.threads[1].frees, 2);
    ck_assert_uint_eq(model.threads[1].frees_remote, 1);
    model_finish(&model);
    free(file.data);
}
END_TEST

START_TEST(two_processes_are_added_up_and_their_stacks_kept_once)
{
    struct composed a = compose_trace("/bin/true"), b = compose_profile("/bin/true");
    struct model model;
    model_init(&model);
    ck_assert_ptr_null(read_bytes(&model, b.data, b.bytes));
    size_t nodes = model.node_count;
    ck_assert_ptr_null(read_bytes(&model, a.data, a.bytes));
    ck_assert_ptr_null(read_bytes(&model, a.data, a.bytes));
    ck_assert_uint_eq(model.node_count, nodes);
    ck_assert_uint_eq(model.module_count, 2);
    ck_assert_uint_eq(model.totals.allocs, 1011 + 6 + 6);
    ck_assert_uint_eq(model.totals.peak_bytes, 5700 + 1250 + 1250);
    ck_assert_uint_eq(model.totals.live_bytes, 5400 + 300 + 300);
    model_finish(&model);
    free(a.data);
    free(b.data);
}
END_TEST

START_TEST(sampled_figures_are_the_weighted_ones)
{
    struct composed file = compose(1);
    put_head(&file, "sample", "/bin/true");
    chunk_begin(&file, 6, 0, 0, 0, 0);
    put_site(&file, 18,
             (const uint64_t[SITE_FIELDS]){2, 200, 1, 100, 2, 200,        2,      200,       0,     100, 0,
                                           0, 0,   0, 0,   0, 256 * 1000, 100000, 256 * 400, 40000, 0,   0},
             1, 6);
    chunk_end(&file, false);
    struct model model;
    read_well(&model, &file);
    ck_assert(model.sampled);
    ck_assert_uint_eq(model.totals.allocs, 1000);
    ck_assert_uint_eq(model.totals.bytes, 100000);
    ck_assert_uint_eq(model.totals.live_bytes, 60000);
    ck_assert_uint_eq(model.totals.peak_bytes, 100000);
    model_finish(&model);
    free(file.data);
}
END_TEST

START_TEST(other_files_and_other_major_versions_are_refused_with_a_line)
{
    struct model model;
    model_init(&model);
    static const uint8_t text[5000] = "#!/bin/sh\n";
    char *refused = read_bytes(&model, text, sizeof text);
    ck_assert_ptr_nonnull(strstr(refused, "not an .nbt file"));
    free(refused);
    refused = read_bytes(&model, text, 0);
    ck_assert_ptr_nonnull(strstr(refused, "not an .nbt file"));
    free(refused);
    struct composed file = compose(2);
    poke(&file, AT_MAJOR, 3, 2);
    poke(&file, AT_MINOR, 7, 2);
    refused = read_bytes(&model, file.data, file.bytes);
    ck_assert_ptr_nonnull(strstr(refused, "version 3.7"));
    free(refused);
    refused = read_bytes(&model, file.data, 100);
    ck_assert_ptr_nonnull(strstr(refused, "cut off"));
    free(refused);
    ck_assert_uint_eq(model.process_count, 0);
    model_finish(&model);
    free(file.data);
}
END_TEST

START_TEST(newer_minor_versions_are_read_without_what_is_new)
{
    struct composed file = compose_profile("/bin/true");
    poke(&file, AT_MINOR, 3, 2);
    chunk_begin(&file, 40, 0, 0, 0, 0);
    put(&file, "from the future", 15);
    chunk_end(&file, true);
    struct model model;
    read_well(&model, &file);
    ck_assert_uint_eq(model.totals.allocs, 1011);
    model_finish(&model);
    free(file.data);
    file = compose(3);
    put_head(&file, "trace", "/bin/true");
    chunk_begin(&file, 5, 0, 0, 0, 0);
    event_alloc(&file, 18, 8);
    event(&file, 3, 77);
    event_alloc(&file, 18, 8);
    chunk_end(&file, true);
    model_init(&model);
    ck_assert_ptr_null(read_bytes(&model, file.data, file.bytes));
    ck_assert_uint_eq(model.totals.allocs, 1);
    ck_assert_uint_eq(model.damage_count, 1);
    model_finish(&model);
    free(file.data);
}
END_TEST

START_TEST(a_file_cut_off_at_any_byte_gives_what_is_before_the_cut)
{
    struct composed files[] = {compose_profile("/bin/true"), compose_trace("/bin/true")};
    for (unsigned which = 0; which < 2; which++) {
        struct composed *file = &files[which];
        uint64_t allocs = 0;
        for (size_t bytes = 0; bytes <= file->bytes; bytes++) {
            uint8_t *copy = malloc(bytes + 1); /* of this size, so that a sanitizer sees a read beyond */
            memcpy(copy, file->data, bytes);
            struct model model;
            model_init(&model);
            char *refused = read_bytes(&model, copy, bytes);
            ck_assert_int_eq(refused == NULL, bytes >= 4096);
            if (refused == NULL) {
                ck_assert_uint_ge(model.totals.allocs, allocs); /* nothing is lost by having more */
                ck_assert(bytes == file->bytes || model.damage_count > 0);
                allocs = model.totals.allocs;
            }
            free(refused);
            model_finish(&model);
            free(copy);
        }
        ck_assert_uint_eq(allocs, which == 0 ? 1011 : 6);
        free(file->data);
    }
}
END_TEST

START_TEST(a_flipped_bit_anywhere_is_survived)
{
    struct composed files[] = {compose_profile("/bin/true"), compose_trace("/bin/true")};
    for (unsigned which = 0; which < 2; which++) {
        struct composed *file = &files[which];
        unsigned reported = 0;
        for (size_t bit = 0; bit < file->bytes * 8; bit += bit % 3 + 1) {
            if (file->data[bit / 8] == 0 && bit / 8 % 16 != 0)
                continue; /* most of it is empty space */
            file->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            struct model model;
            model_init(&model);
            char *refused = read_bytes(&model, file->data, file->bytes);
            reported += refused == NULL && model.damage_count > 0;
            free(refused);
            model_finish(&model);
            file->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        ck_assert_uint_gt(reported, 500);
        free(file->data);
    }
}
END_TEST

START_TEST(a_sealed_chunk_whose_checksum_is_wrong_is_left_out_and_named)
{
    struct composed file = compose_trace("/bin/true");
    chunk_begin(&file, 5, 2, 0, 9000, 9);
    event_alloc(&file, 18, 8);
    chunk_end(&file, true);
    file.data[file.chunk + 64] ^= 1;
    struct model model;
    model_init(&model);
    ck_assert_ptr_null(read_bytes(&model, file.data, file.bytes));
    ck_assert_uint_eq(model.totals.allocs, 6);
    ck_assert_uint_eq(model.damage_count, 1);
    ck_assert_ptr_nonnull(strstr(model.damage[0], "events chunk at"));
    model_finish(&model);
    free(file.data);
}
END_TEST

START_TEST(chunks_behind_a_damaged_header_are_found)
{
    static const struct {
        size_t offset;
        uint64_t value;
        size_t bytes;
    } damages[] = {{0, 0, 4}, {16, 1, 8}, {16, UINT64_MAX & ~UINT64_C(7), 8}, {16, UINT64_C(1) << 40, 8}};
    for (unsigned i = 0; i < 4; i++) {
        struct composed file = compose_profile("/bin/true");
        poke(&file, 4096 + damages[i].offset, damages[i].value, damages[i].bytes); /* the process chunk */
        struct model model;
        model_init(&model);
        ck_assert_ptr_null(read_bytes(&model, file.data, file.bytes));
        ck_assert_uint_eq(model.totals.allocs, 1011);
        model_finish(&model);
        free(file.data);
    }
}
END_TEST

START_TEST(blocks_whose_chunk_is_lost_are_not_freed)
{
    struct composed file = compose(3);
    put_head(&file, "trace", "/bin/true");
    chunk_begin(&file, 5, 0, 100, 0, 0); /* allocations 0 to 99 are missing */
    event_alloc(&file, 18, 8);
    event_free(&file, 50);
    event_free_remote(&file, 7, 3);
    event_free_remote(&file, 0, 12345);
    event_free(&file, 1);
    chunk_end(&file, true);
    struct model model;
    read_well(&model, &file);
    ck_assert_uint_eq(model.totals.allocs, 1);
    ck_assert_uint_eq(model.totals.frees, 1);
    ck_assert_uint_eq(model.totals.untracked, 3);
    model_finish(&model);
    free(file.data);
}
END_TEST

START_TEST(lanes_that_wait_for_each_other_for_ever_are_no_trap)
{
    struct composed file = compose(3);
    put_head(&file, "trace", "/bin/true");
    for (unsigned lane = 0; lane < 3; lane++) {
        chunk_begin(&file, 5, lane, 0, 0, 0);
        event_free_remote(&file, (lane + 1) % 3, 0);
        event_alloc(&file, 18, 8);
        chunk_end(&file, true);
    }
    struct model model;
    read_well(&model, &file);
    ck_assert_uint_eq(model.totals.allocs, 3);
    model_finish(&model);
    free(file.data);
}
END_TEST

START_TEST(many_blocks_of_many_lanes_balance)
{
    enum { LANES = 40, BLOCKS = 2000 };
    struct composed file = compose(3);
    uint64_t seed = 7, live = 0, bytes = 0;
    put_head(&file, "trace", "/bin/true");
    for (unsigned lane = 0; lane < LANES; lane++) {
        bool *freed = calloc(BLOCKS, sizeof *freed);
        uint64_t *size = calloc(BLOCKS, sizeof *size);
        chunk_begin(&file, 5, lane, 0, lane, 1);
        for (uint64_t number = 0; number < BLOCKS; number++) {
            size[number] = unit_random(&seed) % 5000;
            event_alloc(&file, 16 + unit_random(&seed) % 5, size[number]);
            live++;
            bytes += size[number];
            uint64_t other = unit_random(&seed) % (number + 1);
            if (number % 3 != 0 && !freed[other]) {
                event_free(&file, number + 1 - other);
                freed[other] = true;
                live--;
                bytes -= size[other];
            }
            if (number % 100 == 0)
                event_stamp(&file, 1, 1000);
        }
        chunk_end(&file, true);
        free(freed);
        free(size);
    }
    struct model model;
    read_well(&model, &file);
    ck_assert_uint_eq(model.totals.allocs, LANES * BLOCKS);
    ck_assert_uint_eq(model.totals.live_blocks, live);
    ck_assert_uint_eq(model.totals.live_bytes, bytes);
    ck_assert_uint_eq(model.totals.untracked, 0);
    ck_assert_uint_ge(model.totals.peak_bytes, bytes);
    model_finish(&model);
    free(file.data);
}
END_TEST

UNIT_MAIN("tool: reader", HOLDS(sites_come_out_as_they_were_written),
          HOLDS(buckets_that_are_lost_cost_no_more_than_what_they_held),
          HOLDS(a_site_that_did_not_change_since_the_peak_had_what_it_has_now),
          HOLDS(events_add_up_and_lanes_wait_for_each_other),
          HOLDS(two_processes_are_added_up_and_their_stacks_kept_once),
          HOLDS(sampled_figures_are_the_weighted_ones),
          HOLDS(other_files_and_other_major_versions_are_refused_with_a_line),
          HOLDS(newer_minor_versions_are_read_without_what_is_new),
          HOLDS(a_file_cut_off_at_any_byte_gives_what_is_before_the_cut),
          HOLDS(a_flipped_bit_anywhere_is_survived),
          HOLDS(a_sealed_chunk_whose_checksum_is_wrong_is_left_out_and_named),
          HOLDS(chunks_behind_a_damaged_header_are_found), HOLDS(blocks_whose_chunk_is_lost_are_not_freed),
          HOLDS(lanes_that_wait_for_each_other_for_ever_are_no_trap),
          HOLDS(many_blocks_of_many_lanes_balance))
