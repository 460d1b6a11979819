/* heap/pool.h within one heap: the order of refills, flushes, and what is wrong with a pointer. */
#include "os/vm.h"
#include "unit/heap/heaps.h"

static void *blocks[100000];

START_TEST(blocks_are_aligned_distinct_and_inside_slabs_of_their_class)
{
    struct heap *heap = heap_make();
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++)
        for (unsigned i = 0; i < 200; i++) {
            unsigned char *p = heap_take(heap, class_index);
            ck_assert_ptr_nonnull(p);
            ck_assert_uint_eq(ptr_address(p) % 16, 0);
            const struct slab *slab = slab_of(p);
            ck_assert_uint_eq(slab->class_index, class_index);
            ck_assert_uint_ne(slab_block_index(slab, p), SIZE_MAX);
            ck_assert(all_bytes_are(p, neb_size_class[class_index].size,
                                    0)); /* handed out twice, it would not be */
            memset(p, 0xFF, neb_size_class[class_index].size);
        }
}
END_TEST

static size_t distance(const void *a, const void *b)
{
    return ptr_address(a) > ptr_address(b) ? ptr_address(a) - ptr_address(b) : ptr_address(b) - ptr_address(a);
}

/* From a new pool so many blocks; the least distance of two of them, in blocks. */
static size_t least_distance(struct heap *heap, unsigned class_index, unsigned count)
{
    size_t least = SIZE_MAX;
    for (unsigned i = 0; i < count; i++) {
        blocks[i] = heap_take(heap, class_index);
        for (unsigned j = 0; j < i; j++)
            least = distance(blocks[i], blocks[j]) < least ? distance(blocks[i], blocks[j]) : least;
    }
    return least / neb_size_class[class_index].size;
}

START_TEST(the_first_blocks_of_a_little_class_lie_apart_and_then_those_between_come)
{
    struct heap *heap = heap_make();
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        const struct size_class *class = &neb_size_class[class_index];
        bool apart = class->size <= APART_MAX && !POLICY_EVERY_CALL_SLOW;
        size_t stride = !apart ? 1 : class->size <= APART_LITTLE ? APART_LITTLE_STRIDE : APART_STRIDE;
        ck_assert_uint_eq(least_distance(heap, class_index, APART_BLOCKS), stride);
        for (unsigned i = APART_BLOCKS; i < 2 * stride * APART_BLOCKS; i++) /* a refill may take some more of them than it must */
            ck_assert_ptr_nonnull(heap_take(heap, class_index));
        ck_assert_uint_eq(least_distance(heap, class_index, APART_BLOCKS), 1);
        ck_assert(!apart || distance(blocks[0], slab_of(blocks[0])->base) < 3 * stride * APART_BLOCKS * class->size);
    }
}
END_TEST

START_TEST(where_there_are_several_heaps_blocks_do_not_lie_apart)
{
    struct heap *heap = heap_make();
    (void)heap_make();
    ck_assert_uint_eq(least_distance(heap, CLASS_96, APART_BLOCKS), 1);
}
END_TEST

START_TEST(a_refill_takes_own_free_bits_before_the_bump_arena)
{
    struct heap *heap = heap_make();
    for (unsigned i = 0; i < 8; i++)
        blocks[i] = heap_take(heap, CLASS_4096);
    heap_give(heap, blocks[5]);
    heap_give(heap, blocks[1]);
    heap_flush(heap);
    ck_assert_ptr_eq(heap_take(heap, CLASS_4096), blocks[1]);
    ck_assert_ptr_eq(heap_take(heap, CLASS_4096), blocks[5]);
    for (unsigned i = 0; i < 8; i++)
        ck_assert_ptr_ne(heap_take(heap, CLASS_4096), blocks[i]);
}
END_TEST

START_TEST(a_refill_applies_the_inbox_before_it_takes_fresh_memory)
{
    struct heap *owner = heap_make(), *other = heap_make();
    for (unsigned i = 0; i < 4; i++)
        blocks[i] = heap_take(owner, CLASS_4096);
    heap_give(other, blocks[2]);
    heap_flush(other);
    ck_assert(neb_inbox_has_batches(&owner->inbox));
    ck_assert_ptr_eq(heap_take(owner, CLASS_4096), blocks[2]);
    ck_assert(!neb_inbox_has_batches(&owner->inbox));
    ck_assert_uint_eq(count_of(&owner->counts.batches_applied), 1);
}
END_TEST

START_TEST(a_refill_adopts_an_ownerless_slab_before_it_makes_one)
{
    struct heap *first = heap_make(), *second = heap_make();
    for (unsigned i = 0; i < 4; i++)
        blocks[i] = heap_take(first, CLASS_4096);
    heap_give(first, blocks[3]);
    heap_end(first);
    ck_assert_uint_eq(owner_of(blocks[0]), 0);
    ck_assert_ptr_eq(heap_take(second, CLASS_4096), blocks[3]);
    ck_assert_uint_eq(owner_of(blocks[0]), second->id);
    ck_assert_uint_eq(count_of(&second->pool[CLASS_4096].counts.adopted), 1);
    ck_assert_uint_eq(count_of(&second->pool[CLASS_4096].counts.slabs_made), 0);
}
END_TEST

START_TEST(emptied_slabs_go_back_and_the_last_one_is_kept)
{
    enum { SLABS = 10 };
    struct heap *heap = heap_make();
    size_t count = 0;
    for (unsigned i = 0; i < SLABS; i++)
        count += slab_drain(heap, CLASS_4096, blocks + count);
    ck_assert_uint_eq(neb_chunk_counts().granules_used, SLABS);
    for (size_t i = 0; i < count; i++)
        heap_give(heap, blocks[i]);
    if (POLICY_FREE_EXACT)
        ck_assert_uint_eq(neb_chunk_counts().granules_used, 1);
    heap_flush(heap);
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
    ck_assert_uint_eq(count_of(&heap->pool[CLASS_4096].counts.slabs_made),
                      count_of(&heap->pool[CLASS_4096].counts.slabs_released));
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(page_map_load(blocks[i]), ENTRY_NONE);
}
END_TEST

START_TEST(every_block_taken_comes_back_whatever_the_order)
{
    enum { LIVE = 3000, STEPS = 60000 };
    struct heap *heap = heap_make();
    static unsigned classes[LIVE];
    uint64_t state = 5;
    for (unsigned step = 0; step < STEPS; step++) {
        size_t i = (size_t)(unit_random(&state) % LIVE);
        if (blocks[i] != NULL) {
            ck_assert(all_bytes_are(blocks[i], neb_size_class[classes[i]].size, (unsigned)(i % 256)));
            heap_give(heap, blocks[i]);
            blocks[i] = NULL;
        } else {
            classes[i] = (unsigned)(unit_random(&state) % (step % 10 == 0 ? CLASS_COUNT : 30));
            ck_assert_ptr_nonnull(blocks[i] = heap_take(heap, classes[i]));
            memset(blocks[i], (int)(i % 256), neb_size_class[classes[i]].size);
        }
        if (step % 5000 == 0)
            heap_flush(heap);
    }
    for (size_t i = 0; i < LIVE; i++)
        if (blocks[i] != NULL)
            heap_give(heap, blocks[i]);
    heap_flush(heap);
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++)
        ck_assert_uint_eq(count_of(&heap->pool[class_index].counts.taken),
                          count_of(&heap->pool[class_index].counts.returned));
}
END_TEST

START_TEST(a_zero_block_is_zero_and_used_once)
{
    struct heap *heap = heap_make();
    unsigned found = 0;
    for (unsigned i = 0; i < 100; i++) {
        unsigned char *p = heap_use(heap) == NULL ? NULL : neb_pool_take_zero(heap, CLASS_4096);
        if (p == NULL)
            continue;
        found++;
        ck_assert(all_bytes_are(p, 4096, 0));
        memset(p, 0xFF, 4096);
    }
    ck_assert_uint_eq(found, 100);
    /* A slab on used granules has none. */
    struct heap *second = heap_make();
    size_t count = slab_drain(second, CLASS_4096 + 1, blocks);
    for (size_t i = 0; i < count; i++)
        memset(blocks[i], 0xFF, neb_size_class[CLASS_4096 + 1].size);
    for (size_t i = 0; i < count; i++)
        heap_give(second, blocks[i]);
    heap_flush(second);
    heap_use(second);
    ck_assert_ptr_null(neb_pool_take_zero(second, CLASS_4096 + 1));
}
END_TEST

START_TEST(free_pages_of_a_half_used_slab_go_back_at_a_trim)
{
    struct heap *heap = heap_make();
    size_t page = neb_vm_page_size(), on_a_page = page / 1024;
    unsigned class_index = size_class_of(1024);
    size_t count = slab_drain(heap, class_index, blocks);
    for (size_t i = 0; i < count; i++)
        memset(blocks[i], 0xEE, 1024);
    for (size_t i = 0; i < count / 2; i++)
        heap_give(heap, blocks[i]);
    heap_use(heap);
    size_t whole = count / 2 / on_a_page * on_a_page; /* none where a page is as long as the slab */
    ck_assert_uint_eq(neb_heap_trim(heap), whole / on_a_page * page);
    for (size_t i = count / 2; i < count; i++)
        ck_assert(all_bytes_are(blocks[i], 1024, 0xEE));
    ck_assert(all_bytes_are(blocks[0], whole * 1024, 0));
}
END_TEST

static bool lies_in_huge_page(const void *p)
{
    const struct slab *slab = slab_of(p);
    return page_map_chunk(slab->base)->huge >> chunk_granule_of(slab->base) & 1;
}

START_TEST(a_slab_whose_pages_went_back_asks_for_no_huge_page)
{
    enum { MORE = 4096 };
    neb_chunk_set_huge_pages(true);
    struct heap *heap = heap_make();
    unsigned class_index = size_class_of(512);
    size_t page = neb_vm_page_size();
    if (page > 4096)
        return; /* a page is longer than what is freed here, or than a slab */
    void *block;
    do /* a pool that grows and grows */
        block = heap_take(heap, class_index);
    while (!lies_in_huge_page(block));
    blocks[0] = block;
    for (size_t i = 1; i < MORE; i++)
        blocks[i] = heap_take(heap, class_index);
    ck_assert(lies_in_huge_page(blocks[MORE / 2]));
    heap_flush(heap);
    ck_assert(lies_in_huge_page(blocks[0])); /* nothing is free there */
    for (size_t i = 0; i < MORE; i++)
        if (i % 128 != 0)
            heap_give(heap, blocks[i]);
    heap_flush(heap);
    for (size_t i = 0; i < MORE; i += 128)
        ck_assert(!lies_in_huge_page(blocks[i]));
}
END_TEST

/* With a decay time of 0 each tick sweeps; a pool is idle from the second one on. */
static void sweep(struct heap *heap)
{
    heap_use(heap);
    for (unsigned i = 0; i < 2 * TICK_CALLS; i++)
        heap_tick(heap);
}

START_TEST(an_idle_pool_is_emptied_and_again_after_others_gave_it_a_block)
{
    if (neb_vm_page_size() != 4096)
        return; /* each block is a page */
    struct heap *heap = heap_make(), *other = heap_make();
    neb_heap_set_decay(0);
    for (unsigned i = 0; i < 8; i++)
        blocks[i] = heap_take(heap, CLASS_4096);
    const struct slab *slab = slab_of(blocks[0]);
    heap_give(heap, blocks[5]);
    sweep(heap);
    ck_assert_ptr_null(heap->pool[CLASS_4096].magazine);
    ck_assert_uint_eq(slab->purged, 1u << slab_block_index(slab, blocks[5]));
    heap_give(other, blocks[2]);
    heap_flush(other);
    sweep(heap);
    ck_assert_uint_eq(slab->purged, 1u << slab_block_index(slab, blocks[5]) | 1u << slab_block_index(slab, blocks[2]));
    heap_give(heap, blocks[3]);
    sweep(heap);
    ck_assert_ptr_null(heap->pool[CLASS_4096].magazine);
    ck_assert((slab->purged >> slab_block_index(slab, blocks[3]) & 1) != 0);
}
END_TEST

START_TEST(a_block_given_twice_aborts_at_the_flush)
{
    struct heap *heap = heap_make();
    blocks[0] = heap_take(heap, 0);
    blocks[1] = heap_take(heap, 0);
    *++heap->bin[0].top = blocks[0]; /* as the fast path of free does it, without a look */
    *++heap->bin[0].top = blocks[0];
    heap_flush(heap);
}
END_TEST

START_TEST(a_block_given_after_its_flush_aborts_at_once)
{
    struct heap *heap = heap_make();
    blocks[0] = heap_take(heap, 0);
    blocks[1] = heap_take(heap, 0);
    heap_give(heap, blocks[0]);
    heap_flush(heap);
    heap_give(heap, blocks[0]);
}
END_TEST

START_TEST(a_pointer_into_a_block_aborts_at_once)
{
    struct heap *heap = heap_make();
    blocks[0] = heap_take(heap, 4);
    heap_give(heap, ptr_add(blocks[0], 16));
}
END_TEST

START_TEST(a_block_that_was_never_handed_out_aborts_at_once)
{
    struct heap *heap = heap_make();
    unsigned char *p = heap_take(heap, CLASS_4096);
    heap_give(heap, p + 10 * 4096);
}
END_TEST

UNIT_MAIN("pool", HOLDS(the_first_blocks_of_a_little_class_lie_apart_and_then_those_between_come),
          HOLDS(where_there_are_several_heaps_blocks_do_not_lie_apart),
          HOLDS(blocks_are_aligned_distinct_and_inside_slabs_of_their_class),
          HOLDS(a_refill_takes_own_free_bits_before_the_bump_arena),
          HOLDS(a_refill_applies_the_inbox_before_it_takes_fresh_memory),
          HOLDS(a_refill_adopts_an_ownerless_slab_before_it_makes_one),
          HOLDS(emptied_slabs_go_back_and_the_last_one_is_kept),
          HOLDS(every_block_taken_comes_back_whatever_the_order), HOLDS(a_zero_block_is_zero_and_used_once),
          HOLDS(free_pages_of_a_half_used_slab_go_back_at_a_trim), HOLDS(a_slab_whose_pages_went_back_asks_for_no_huge_page),
          HOLDS(an_idle_pool_is_emptied_and_again_after_others_gave_it_a_block),
          ABORTS(a_block_given_twice_aborts_at_the_flush),
          ABORTS(a_block_given_after_its_flush_aborts_at_once), ABORTS(a_pointer_into_a_block_aborts_at_once),
          ABORTS(a_block_that_was_never_handed_out_aborts_at_once))
