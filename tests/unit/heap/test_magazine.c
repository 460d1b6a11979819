/* heap/magazine.h: how many entries, that growing keeps them, and what a wary one looks at. */
#define _GNU_SOURCE
#include "heap/magazine.h"
#include "heap/meta.h"
#include "unit/heap/heaps.h"
#include "unit/stepped.h"

static size_t limit_of(const struct heap *heap, unsigned class_index)
{
    return (size_t)(magazine_limit(heap, class_index) - heap->pool[class_index].magazine);
}

/* Any pointers will do: a magazine never looks at what they point at. */
static void fill(struct heap *heap, unsigned class_index, char *base)
{
    struct bin *bin = &heap->bin[class_index];
    for (size_t i = bin_count(heap, class_index); bin->top < magazine_limit(heap, class_index); i++)
        *++bin->top = base + i;
}

START_TEST(a_new_magazine_is_empty_and_has_room)
{
    struct heap *heap = heap_make();
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        ck_assert(neb_magazine_create(heap, class_index));
        ck_assert_ptr_null(*heap->bin[class_index].top);
        ck_assert_uint_eq(bin_count(heap, class_index), 0);
        ck_assert_uint_ge(limit_of(heap, class_index), MAGAZINE_MIN);
        size_t bytes = limit_of(heap, class_index) * neb_size_class[class_index].size;
        ck_assert(bytes <= MAGAZINE_START_BYTES || limit_of(heap, class_index) == MAGAZINE_MIN);
    }
}
END_TEST

START_TEST(growing_keeps_the_entries_and_ends_at_the_largest)
{
    static char base[1 << MAGAZINE_ORDER_MAX];
    struct heap *heap = heap_make();
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        struct bin *bin = &heap->bin[class_index];
        ck_assert(neb_magazine_create(heap, class_index));
        unsigned rounds = 0;
        do {
            size_t before = limit_of(heap, class_index);
            fill(heap, class_index, base);
            if (!neb_magazine_grow(heap, class_index))
                break;
            ck_assert_uint_gt(limit_of(heap, class_index), before);
            ck_assert_uint_le(limit_of(heap, class_index), 4 * before + 4);
            ck_assert_uint_eq(bin_count(heap, class_index), before);
            ck_assert_uint_lt((limit_of(heap, class_index) + 1) * sizeof(void *),
                              ((size_t)1 << heap->pool[class_index].order) + 1);
        } while (++rounds < 100);
        ck_assert_uint_lt(rounds, 100);
        size_t bytes = limit_of(heap, class_index) * neb_size_class[class_index].size;
        size_t allowed = neb_size_class[class_index].size > MAGAZINE_LITTLE ? MAGAZINE_MAX_BYTES : MAGAZINE_LITTLE_BYTES;
        ck_assert(bytes <= allowed || limit_of(heap, class_index) == MAGAZINE_MIN);
        for (size_t i = bin_count(heap, class_index); i-- > 0;)
            ck_assert_ptr_eq(*bin->top--, base + i);
        ck_assert_ptr_null(*bin->top);
        neb_magazine_destroy(heap, class_index);
    }
}
END_TEST

START_TEST(a_destroyed_magazine_is_empty_and_full_at_once)
{
    struct heap *heap = heap_make();
    ck_assert(neb_magazine_create(heap, 3));
    neb_magazine_destroy(heap, 3);
    ck_assert_ptr_null(*heap->bin[3].top);
    ck_assert_ptr_eq(heap->bin[3].top, heap->bin[3].limit);
    ck_assert_uint_eq(bin_count(heap, 3), 0);
    size_t before = neb_meta_bytes();
    ck_assert(neb_magazine_create(heap, 3)); /* with the array it gave back */
    ck_assert_uint_eq(neb_meta_bytes(), before);
}
END_TEST

/* Takes count blocks, gives them all back. */
static void swing(struct heap *heap, unsigned class_index, void **blocks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ck_assert_ptr_nonnull(blocks[i] = heap_take(heap, class_index));
    for (size_t i = 0; i < count; i++)
        heap_give(heap, blocks[i]);
}

START_TEST(a_magazine_that_swings_grows_until_it_holds_the_swing)
{
    enum { SWING = 2000 };
    static void *blocks[SWING];
    struct heap *heap = heap_make();
    if (POLICY_FREE_EXACT)
        return; /* has no use for magazines */
    for (int i = 0; i < 30; i++)
        swing(heap, 0, blocks, SWING);
    ck_assert_uint_ge(limit_of(heap, 0), SWING);
    uint64_t refills = count_of(&heap->pool[0].counts.refills),
             flushes = count_of(&heap->pool[0].counts.flushes);
    for (int i = 0; i < 10; i++)
        swing(heap, 0, blocks, SWING);
    ck_assert_uint_le(count_of(&heap->pool[0].counts.refills), refills + 1);
    ck_assert_uint_le(count_of(&heap->pool[0].counts.flushes), flushes + 1);
}
END_TEST

START_TEST(an_idle_magazine_gives_its_array_back)
{
    static void *blocks[100];
    struct heap *heap = heap_make();
    swing(heap, 0, blocks, 100);
    heap_flush(heap);
    ck_assert_ptr_null(heap->pool[0].magazine);
    ck_assert_uint_eq(count_of(&heap->pool[0].counts.held), 0);
    ck_assert_ptr_nonnull(heap_take(heap, 0)); /* and begins again */
}
END_TEST

static bool is_ever_wary(unsigned class_index)
{
    return !POLICY_EVERY_CALL_SLOW && !size_class_is_big(&neb_size_class[class_index]);
}

START_TEST(a_new_magazine_is_closed_to_the_fast_path_until_it_has_looked_at_its_first_frees)
{
    struct heap *heap = heap_make();
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        const struct bin *bin = &heap->bin[class_index];
        void *p = heap_take(heap, class_index);
        bool closed = bin->top >= bin->limit;
        ck_assert(closed == is_ever_wary(class_index) || POLICY_FREE_EXACT);
        for (unsigned i = 0; i < WARY_FREES; i++) {
            ck_assert(heap->pool[class_index].wary == (is_ever_wary(class_index) ? WARY_FREES - i : 0));
            heap_free(heap, p);
            p = heap_take(heap, class_index);
        }
        ck_assert_uint_eq(heap->pool[class_index].wary, 0);
        ck_assert(bin->top < bin->limit || POLICY_FREE_EXACT);
        ck_assert_ptr_eq(bin->limit, magazine_limit(heap, class_index));
    }
}
END_TEST

START_TEST(what_is_freed_into_a_wary_magazine_waits_below_the_newest_entries)
{
    struct heap *heap = heap_make();
    if (!is_ever_wary(CLASS_96))
        return;
    void *p = heap_take(heap, CLASS_96);
    ck_assert_uint_gt(bin_count(heap, CLASS_96), WARY_DEPTH);
    heap_free(heap, p);
    for (unsigned i = 0; i < WARY_DEPTH; i++)
        ck_assert_ptr_ne(heap_take(heap, CLASS_96), p);
    ck_assert_ptr_eq(heap_take(heap, CLASS_96), p);
    while (bin_count(heap, CLASS_96) > 0) /* and where there are fewer, below them all */
        (void)heap_take(heap, CLASS_96);
    heap_free(heap, p);
    ck_assert_ptr_eq(heap_take(heap, CLASS_96), p);
}
END_TEST

START_TEST(a_wary_magazine_knows_all_its_entries_and_later_the_newest)
{
    struct heap *heap = heap_make();
    if (!is_ever_wary(CLASS_96))
        return;
    void *p[4];
    for (unsigned i = 0; i < 4; i++)
        p[i] = heap_take(heap, CLASS_96);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert(!neb_magazine_knows(heap, CLASS_96, p[i], 1));
        heap_free(heap, p[i]);
        for (unsigned j = 0; j <= i; j++)
            ck_assert(neb_magazine_knows(heap, CLASS_96, p[j], 1));
    }
    ck_assert(!neb_pool_give_short(heap, p[0])); /* to be reported by the long way */
    ck_assert(neb_magazine_grow(heap, CLASS_96));
    ck_assert_uint_eq(heap->pool[CLASS_96].wary, 0);
    void *newest = *heap->bin[CLASS_96].top;
    ck_assert(neb_magazine_knows(heap, CLASS_96, newest, 1));
    ck_assert(!neb_magazine_knows(heap, CLASS_96, heap->bin[CLASS_96].top[-1], 1));
}
END_TEST

START_TEST(the_short_way_into_a_wary_magazine_leaves_all_that_is_not_simple_to_the_long_one)
{
    struct heap *heap = heap_make(), *other = heap_make();
    if (!is_ever_wary(CLASS_96))
        return;
    unsigned char *p = heap_take(heap, CLASS_96), *sent = heap_take(heap, CLASS_96), *q = heap_take(heap, CLASS_96);
    heap_use(heap);
    heap->window = window_copy();
    ck_assert(!neb_pool_give_short(heap, p + 16));
    heap_give(other, sent);
    heap_flush(other);
    heap_use(heap);
    ck_assert(!neb_pool_give_short(heap, p)); /* the inbox comes first: p may be in it */
    neb_pool_give(heap, p, "free");
    ck_assert(!neb_inbox_has_batches(&heap->inbox));
    ck_assert(neb_pool_give_short(heap, q));
    while (bin_count(heap, CLASS_96) < (size_t)(magazine_limit(heap, CLASS_96) - heap->pool[CLASS_96].magazine))
        *++heap->bin[CLASS_96].top = NULL; /* full */
    ck_assert(!neb_pool_give_short(heap, p + 96));
}
END_TEST

struct frees {
    struct heap *heap;
    void *blocks[WARY_FREES];
};

static int free_all(void *argument)
{
    const struct frees *frees = argument;
    for (unsigned i = 0; i < WARY_FREES; i++)
        heap_free(frees->heap, frees->blocks[i]);
    return frees->heap->pool[CLASS_96].wary != 0;
}

static void look_for_twins(pid_t child, void *argument)
{
    static struct heap seen;
    static void *array[(1u << MAGAZINE_ORDER_START) / sizeof(void *)];
    const struct frees *frees = argument;
    child_copy(child, &seen, frees->heap, sizeof seen);
    child_copy(child, array, seen.pool[CLASS_96].magazine, sizeof array);
    ck_assert(seen.bin[CLASS_96].top <= magazine_limit(&seen, CLASS_96));
    size_t count = bin_count(&seen, CLASS_96);
    ck_assert_ptr_null(array[0]);
    for (size_t i = 1; i <= count; i++)
        for (size_t j = 0; j < i; j++)
            if (array[i] == array[j])
                ck_abort_msg("entries %zu and %zu of %zu are the same", j, i, count);
}

/* A handler may come at any instruction of the short way, and leave by a jump: then the heap is used as it is at that moment. */
START_TEST(at_no_instruction_of_a_free_into_a_wary_magazine_is_an_entry_there_twice)
{
    struct frees frees = {.heap = heap_make()};
    if (!is_ever_wary(CLASS_96))
        return;
    for (unsigned i = 0; i < WARY_FREES; i++)
        frees.blocks[i] = heap_take(frees.heap, CLASS_96);
    (void)child_is_stepped(free_all, look_for_twins, &frees);
}
END_TEST

UNIT_MAIN("magazine", HOLDS(at_no_instruction_of_a_free_into_a_wary_magazine_is_an_entry_there_twice),
          HOLDS(a_new_magazine_is_closed_to_the_fast_path_until_it_has_looked_at_its_first_frees),
          HOLDS(what_is_freed_into_a_wary_magazine_waits_below_the_newest_entries),
          HOLDS(a_wary_magazine_knows_all_its_entries_and_later_the_newest),
          HOLDS(the_short_way_into_a_wary_magazine_leaves_all_that_is_not_simple_to_the_long_one), HOLDS(a_new_magazine_is_empty_and_has_room),
          HOLDS(growing_keeps_the_entries_and_ends_at_the_largest),
          HOLDS(a_destroyed_magazine_is_empty_and_full_at_once),
          HOLDS(a_magazine_that_swings_grows_until_it_holds_the_swing),
          HOLDS(an_idle_magazine_gives_its_array_back))
