/* heap/slab.h: bits, the bump arena, and pages that go back from between blocks. */
#include "heap/slab.h"
#include "os/vm.h"
#include "unit/unit.h"

enum { BLOCKS_MAX = GRANULE_BYTES / 16 };

static struct slab slab;
static unsigned char *memory;
static void *blocks[BLOCKS_MAX];

static size_t block_size(void)
{
    return neb_size_class[slab.class_index].size;
}

/* A slab of this class whose blocks are all handed out, in order. */
static void slab_begin(unsigned class_index)
{
    if (memory == NULL)
        memory = neb_vm_map_aligned(SLAB_GRANULES_MAX * GRANULE_BYTES, GRANULE_BYTES);
    neb_slab_init(&slab, memory, class_index, true);
    for (size_t taken = 0; taken < slab.capacity;) {
        void *into[7];
        size_t count = neb_slab_take_fresh(&slab, into, 7);
        ck_assert(count > 0 && count <= 7);
        while (count-- > 0)
            blocks[taken++] = into[count];
    }
}

static enum slab_answer give_one(void *p)
{
    enum slab_answer answer;
    size_t given = neb_slab_give(&slab, &p, 1, &answer);
    ck_assert_uint_eq(given, answer == SLAB_OK);
    return answer;
}

static void give(size_t index)
{
    ck_assert_int_eq(give_one(blocks[index]), SLAB_OK);
}

START_TEST(fresh_blocks_come_in_ascending_order_and_end_at_the_capacity)
{
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        void *more;
        slab_begin(class_index);
        for (size_t i = 0; i < slab.capacity; i++)
            ck_assert_ptr_eq(blocks[i], memory + i * block_size());
        ck_assert(!slab_has_free(&slab));
        ck_assert_uint_eq(neb_slab_take_fresh(&slab, &more, 1), 0);
        ck_assert_uint_eq(neb_slab_take_bits(&slab, &more, 1), 0);
    }
}
END_TEST

START_TEST(blocks_taken_apart_leave_the_others_free)
{
    static const size_t strides[] = {2, 4};
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++)
        for (unsigned i = 0; i < 2; i++) {
            size_t stride = strides[i], taken = 0, expected = 0;
            slab_begin(class_index);
            neb_slab_init(&slab, memory, class_index, true);
            for (size_t count; (count = neb_slab_take_apart(&slab, blocks + taken, 7, stride)) > 0; taken += count)
                for (size_t at = count; at-- > 0; expected += stride)
                    ck_assert_ptr_eq(blocks[taken + at], memory + expected * block_size());
            ck_assert_uint_eq(taken, (slab.capacity + stride - 1) / stride);
            ck_assert_uint_eq(slab.bump, slab.capacity);
            ck_assert_uint_eq(slab.free_count, slab.capacity - taken);
            for (size_t index = 0; index < slab.capacity; index++)
                ck_assert_int_eq(neb_slab_look(&slab, slab_block(&slab, index)), index % stride == 0 ? SLAB_OK : SLAB_ALREADY_FREE);
            for (size_t index = 0; index < slab.capacity; index++) {
                void *p = NULL;
                if (index % stride == 0)
                    continue;
                ck_assert_uint_eq(neb_slab_take_bits(&slab, &p, 1), 1);
                ck_assert_ptr_eq(p, memory + index * block_size());
            }
            ck_assert(!slab_has_free(&slab));
        }
}
END_TEST

START_TEST(given_blocks_come_back_each_once_in_ascending_order)
{
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        slab_begin(class_index);
        uint64_t state = class_index;
        size_t given = 0;
        static bool is_given[BLOCKS_MAX];
        memset(is_given, 0, sizeof is_given);
        for (size_t i = 0; i < slab.capacity; i++) {
            size_t index = (size_t)(unit_random(&state) % slab.capacity);
            if (is_given[index])
                continue;
            is_given[index] = true;
            given++;
            give(index);
        }
        ck_assert_uint_eq(slab.free_count, given);
        const unsigned char *last = NULL;
        while (given > 0) {
            void *into[5];
            size_t count = neb_slab_take_bits(&slab, into, 5);
            ck_assert_uint_eq(count, given < 5 ? given : 5);
            given -= count;
            while (count-- > 0) { /* popped from the end of the array */
                const unsigned char *block = into[count];
                ck_assert(last == NULL || block > last);
                ck_assert(is_given[slab_block_index(&slab, block)]);
                last = block;
            }
        }
        ck_assert(!slab_has_free(&slab));
    }
}
END_TEST

START_TEST(a_slab_knows_when_all_its_blocks_are_free)
{
    neb_slab_init(&slab, neb_vm_map_aligned(GRANULE_BYTES, GRANULE_BYTES), 10, true);
    void *taken[3];
    ck_assert(slab_is_unused(&slab));
    ck_assert_uint_eq(neb_slab_take_fresh(&slab, taken, 3), 3);
    for (int i = 0; i < 3; i++) {
        ck_assert(!slab_is_unused(&slab));
        ck_assert_int_eq(give_one(taken[i]), SLAB_OK);
    }
    ck_assert(slab_is_unused(&slab));
}
END_TEST

START_TEST(only_the_beginning_of_a_block_is_one)
{
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        slab_begin(class_index);
        size_t bytes = (size_t)slab.granules << GRANULE_SHIFT;
        for (size_t offset = 0; offset < bytes; offset++) {
            size_t expected = offset % block_size() == 0 && offset / block_size() < slab.capacity
                                  ? offset / block_size()
                                  : SIZE_MAX;
            if (slab_block_index(&slab, memory + offset) != expected)
                ck_abort_msg("class %u, offset %zu", class_index, offset);
        }
        for (size_t i = 0; i < slab.capacity; i++)
            ck_assert_ptr_eq(slab_block(&slab, i), blocks[i]);
    }
}
END_TEST

START_TEST(what_is_wrong_with_a_pointer_is_told)
{
    neb_slab_init(&slab, memory = neb_vm_map_aligned(GRANULE_BYTES, GRANULE_BYTES), 12, true);
    void *taken[2];
    ck_assert_uint_eq(neb_slab_take_fresh(&slab, taken, 2), 2);
    ck_assert_int_eq(neb_slab_look(&slab, taken[0]), SLAB_OK);
    ck_assert_int_eq(give_one(taken[0]), SLAB_OK);
    ck_assert_int_eq(neb_slab_look(&slab, taken[0]), SLAB_ALREADY_FREE);
    ck_assert_int_eq(give_one(taken[0]), SLAB_ALREADY_FREE);
    ck_assert_uint_eq(slab.free_count, 1);
    ck_assert_int_eq(give_one(memory + 1), SLAB_NOT_A_BLOCK);
    ck_assert_int_eq(give_one(memory + 16), SLAB_NOT_A_BLOCK);
    ck_assert_int_eq(give_one(memory + slab.capacity * block_size()), SLAB_NOT_A_BLOCK);
    ck_assert_int_eq(give_one(memory + 2 * block_size()), SLAB_NEVER_HANDED);
    ck_assert_uint_eq(slab.free_count, 1);
}
END_TEST

START_TEST(a_run_ends_at_the_first_block_elsewhere_or_wrong)
{
    slab_begin(0);
    unsigned char *outside = neb_vm_map_aligned(GRANULE_BYTES, GRANULE_BYTES);
    enum slab_answer answer;
    void *mixed[] = {blocks[200], blocks[3], blocks[70], outside, blocks[5]};
    ck_assert_uint_eq(neb_slab_give(&slab, mixed, 5, &answer), 3);
    ck_assert_int_eq(answer, SLAB_OK);
    ck_assert_uint_eq(slab.free_count, 3);
    void *wrong[] = {blocks[9], blocks[70], blocks[10]};
    ck_assert_uint_eq(neb_slab_give(&slab, wrong, 3, &answer), 1);
    ck_assert_int_eq(answer, SLAB_ALREADY_FREE);
    ck_assert_uint_eq(slab.free_count, 4);
    void *taken[4];
    ck_assert_uint_eq(neb_slab_take_bits(&slab, taken, 4), 4);
    ck_assert_ptr_eq(taken[3], blocks[3]);
    ck_assert_ptr_eq(taken[2], blocks[9]);
    ck_assert_ptr_eq(taken[1], blocks[70]);
    ck_assert_ptr_eq(taken[0], blocks[200]);
    neb_vm_unmap(outside, GRANULE_BYTES);
}
END_TEST

/* Neighbours upwards and downwards, alone, and in parts that end anywhere. */
static void order_make(void **order, unsigned way)
{
    uint64_t state = way + 1;
    for (size_t i = 0; i < slab.capacity; i++)
        order[i] = blocks[way == 1 ? slab.capacity - 1 - i : i];
    for (size_t i = 0; way == 2 && i < slab.capacity; i++) {
        size_t other = unit_random(&state) % slab.capacity;
        void *block = order[i];
        order[i] = order[other];
        order[other] = block;
    }
    for (size_t i = 0, count; way == 3 && i < slab.capacity; i += count) { /* upwards and downwards in turn */
        count = 1 + unit_random(&state) % 100;
        count = count < slab.capacity - i ? count : slab.capacity - i;
        for (size_t k = 0; k < count; k++)
            order[i + k] = blocks[count % 2 == 0 ? i + k : i + count - 1 - k];
    }
}

START_TEST(blocks_given_in_any_order_are_marked_each_once)
{
    static void *order[BLOCKS_MAX], *taken[BLOCKS_MAX];
    enum slab_answer answer;
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index += 3)
        for (unsigned way = 0; way < 4; way++) {
            slab_begin(class_index);
            order_make(order, way);
            ck_assert_uint_eq(neb_slab_give(&slab, order, slab.capacity, &answer), slab.capacity);
            ck_assert_int_eq(answer, SLAB_OK);
            ck_assert_uint_eq(slab.free_count, slab.capacity);
            ck_assert_uint_eq(neb_slab_take_bits(&slab, taken, slab.capacity), slab.capacity);
            for (size_t i = 0; i < slab.capacity; i++)
                ck_assert_ptr_eq(taken[slab.capacity - 1 - i], blocks[i]);
        }
}
END_TEST

START_TEST(neighbours_are_given_up_to_the_first_that_is_wrong)
{
    enum slab_answer answer;
    void *down[6];
    slab_begin(0);
    for (size_t i = 0; i < 6; i++)
        down[i] = blocks[69 - i];
    give(66); /* 69, 68 and 67 can be given */
    ck_assert_uint_eq(neb_slab_give(&slab, down, 6, &answer), 3);
    ck_assert_int_eq(answer, SLAB_ALREADY_FREE);
    ck_assert_uint_eq(neb_slab_give(&slab, blocks + 60, 20, &answer), 6);
    ck_assert_int_eq(answer, SLAB_ALREADY_FREE);
    ck_assert_uint_eq(slab.free_count, 10);
    slab.bump = 100;
    ck_assert_uint_eq(neb_slab_give(&slab, blocks + 95, 10, &answer), 5);
    ck_assert_int_eq(answer, SLAB_NEVER_HANDED);
    ck_assert_uint_eq(slab.free_count, 15);
}
END_TEST

START_TEST(among_blocks_given_at_once_one_that_comes_twice_is_found)
{
    enum slab_answer answer;
    slab_begin(0);
    void *scattered[] = {blocks[5], blocks[9], blocks[5], blocks[11]};
    ck_assert_uint_eq(neb_slab_give(&slab, scattered, 4, &answer), 2);
    ck_assert_int_eq(answer, SLAB_ALREADY_FREE);
    void *run[20];
    for (size_t i = 0; i < 20; i++)
        run[i] = blocks[128 + i];
    run[3] = blocks[129]; /* the others look like a run of twenty */
    ck_assert_uint_eq(neb_slab_give(&slab, run, 20, &answer), 3);
    ck_assert_int_eq(answer, SLAB_ALREADY_FREE);
    run[3] = (unsigned char *)blocks[131] + 1;
    ck_assert_uint_eq(neb_slab_give(&slab, run + 3, 17, &answer), 0);
    ck_assert_int_eq(answer, SLAB_NOT_A_BLOCK);
    ck_assert_uint_eq(slab.free_count, 5);
}
END_TEST

START_TEST(a_block_is_out_until_it_is_given)
{
    slab_begin(12);
    const struct size_class *class = &neb_size_class[12];
    ck_assert(slab_is_out(&slab, class, blocks[70]));
    ck_assert(!slab_is_out(&slab, class, (unsigned char *)blocks[70] + 16));
    ck_assert(!slab_is_out(&slab, class, memory + slab.capacity * block_size()));
    ck_assert(slab_give_at(&slab, class, 70 * block_size()));
    ck_assert(!slab_is_out(&slab, class, blocks[70]));
    slab.bump = 100;
    ck_assert(!slab_is_out(&slab, class, blocks[100]));
}
END_TEST

START_TEST(a_block_by_its_offset_is_given_once)
{
    slab_begin(12);
    const struct size_class *class = &neb_size_class[12];
    ck_assert(slab_give_at(&slab, class, 70 * block_size()));
    ck_assert(!slab_give_at(&slab, class, 70 * block_size()));
    ck_assert(!slab_give_at(&slab, class, 70 * block_size() + 16));
    ck_assert(!slab_give_at(&slab, class, slab.capacity * block_size()));
    ck_assert(slab_give_at(&slab, class, 3 * block_size()));
    ck_assert_uint_eq(slab.free_count, 2);
    void *taken[3];
    ck_assert_uint_eq(neb_slab_take_bits(&slab, taken, 3), 2);
    ck_assert_ptr_eq(taken[1], blocks[3]);
    ck_assert_ptr_eq(taken[0], blocks[70]);
}
END_TEST

START_TEST(a_used_descriptor_begins_anew)
{
    slab_begin(0);
    for (size_t i = 0; i < slab.capacity; i++)
        give(i);
    slab.purged = ~UINT64_C(0);
    neb_slab_init(&slab, memory, 0, false);
    ck_assert_uint_eq(slab.free_count, 0);
    ck_assert_uint_eq(slab.bump, 0);
    ck_assert_uint_eq(slab.purged, 0);
    ck_assert(!slab.is_clean);
    for (size_t i = 0; i < slab.capacity; i++)
        ck_assert_int_eq(neb_slab_look(&slab, blocks[i]), SLAB_NEVER_HANDED);
}
END_TEST

/* ---- purge
 * -----------------------------------------------------------------------------------------------------------
 */

static unsigned char mark(size_t index)
{
    return (unsigned char)(1 + index % 255);
}

/* Bytes of pages on which no block is in use, as far as blocks were handed out. */
static size_t purgeable(const bool *is_free, size_t part)
{
    size_t size = block_size(), bytes = (size_t)slab.granules << GRANULE_SHIFT, found = 0;
    for (size_t begin = 0; begin < bytes && begin < slab.bump * size; begin += part) {
        bool is_used = false;
        for (size_t i = begin / size; i < slab.bump && i * size < begin + part; i++)
            is_used |= !is_free[i];
        found += is_used ? 0 : part;
    }
    return found;
}

static size_t part_size(void)
{
    size_t part = ((size_t)slab.granules << GRANULE_SHIFT) / 64;
    return part > neb_vm_page_size() ? part : neb_vm_page_size();
}

static void check_purge(unsigned class_index, unsigned kept_of_hundred, uint64_t seed)
{
    static bool is_free[BLOCKS_MAX];
    slab_begin(class_index);
    for (size_t i = 0; i < slab.capacity; i++)
        memset(blocks[i], mark(i), block_size());
    /* Neighbouring blocks share a fate, so that whole pages become free. */
    size_t together = 1 + part_size() / block_size();
    for (size_t i = 0; i < slab.capacity; i++) {
        is_free[i] = i % together == 0 ? unit_random(&seed) % 100 >= kept_of_hundred : is_free[i - 1];
        if (is_free[i])
            give(i);
    }
    size_t expected = purgeable(is_free, part_size());
    ck_assert_uint_eq(neb_slab_purge(&slab), expected);
    ck_assert_uint_eq(neb_slab_purge(&slab), 0); /* they are gone already */
    for (size_t i = 0; i < slab.capacity; i++)
        if (!is_free[i])
            ck_assert_msg(all_bytes_are(blocks[i], block_size(), mark(i)), "class %u, block %zu of %u",
                          class_index, i, slab.capacity);
    for (size_t i = 0; i < slab.capacity; i++)
        if (!is_free[i])
            give(i);
    (void)neb_slab_purge(&slab);
    ck_assert(all_bytes_are(memory, slab.capacity * block_size() / part_size() * part_size(), 0));
}

START_TEST(pages_without_a_used_block_go_back_and_all_others_keep_their_contents)
{
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++)
        for (unsigned kept = 0; kept <= 100; kept += 20)
            check_purge(class_index, kept, class_index * 1000 + kept);
}
END_TEST

START_TEST(a_page_is_given_back_again_after_its_blocks_were_used_again)
{
    slab_begin(15); /* 256 bytes */
    size_t on_a_page = neb_vm_page_size() / 256;
    for (size_t i = 0; i < on_a_page; i++)
        give(i);
    ck_assert_uint_eq(neb_slab_purge(&slab), part_size());
    void *again[1];
    ck_assert_uint_eq(neb_slab_take_bits(&slab, again, 1), 1);
    memset(again[0], 1, 256);
    ck_assert_uint_eq(neb_slab_purge(&slab), 0);
    ck_assert_int_eq(give_one(again[0]), SLAB_OK);
    ck_assert_uint_eq(neb_slab_purge(&slab), part_size());
    ck_assert(all_bytes_are(memory, part_size(), 0));
}
END_TEST

START_TEST(what_was_never_handed_out_is_not_purged_and_stays_zero)
{
    neb_slab_init(&slab, memory = neb_vm_map_aligned(GRANULE_BYTES, GRANULE_BYTES), 15, true);
    ck_assert_uint_eq(neb_slab_purge(&slab), 0);
    ck_assert_uint_eq(neb_slab_take_fresh(&slab, blocks, 1), 1);
    memset(blocks[0], 0xFF, 256);
    give(0);
    ck_assert_uint_eq(neb_slab_purge(&slab), part_size());
    ck_assert(all_bytes_are(memory, GRANULE_BYTES, 0));
}
END_TEST

UNIT_MAIN("slab", HOLDS(fresh_blocks_come_in_ascending_order_and_end_at_the_capacity),
          HOLDS(blocks_taken_apart_leave_the_others_free),
          HOLDS(given_blocks_come_back_each_once_in_ascending_order),
          HOLDS(a_slab_knows_when_all_its_blocks_are_free), HOLDS(only_the_beginning_of_a_block_is_one),
          HOLDS(what_is_wrong_with_a_pointer_is_told), HOLDS(a_run_ends_at_the_first_block_elsewhere_or_wrong),
          HOLDS(blocks_given_in_any_order_are_marked_each_once), HOLDS(neighbours_are_given_up_to_the_first_that_is_wrong),
          HOLDS(among_blocks_given_at_once_one_that_comes_twice_is_found), HOLDS(a_block_is_out_until_it_is_given),
          HOLDS(a_block_by_its_offset_is_given_once), HOLDS(a_used_descriptor_begins_anew),
          HOLDS(pages_without_a_used_block_go_back_and_all_others_keep_their_contents),
          HOLDS(a_page_is_given_back_again_after_its_blocks_were_used_again),
          HOLDS(what_was_never_handed_out_is_not_purged_and_stays_zero))
