/* heap/chunk.h: who has which granule, where the next ones come from, and what goes back. */
#include "base/bits.h"
#include "heap/chunk.h"
#include "os/env.h"
#include "unit/unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct granules take(unsigned count)
{
    struct granules taken = neb_granules_take(count, GRANULES_SPARSE);
    ck_assert_ptr_nonnull(taken.chunk);
    ck_assert_uint_eq(taken.count, count);
    ck_assert_uint_le(taken.first + count, CHUNK_GRANULES);
    return taken;
}

static void give(const struct granules *taken)
{
    neb_granules_give(taken->chunk, taken->first, taken->count);
}

static void dirty(const struct granules *taken)
{
    memset(granules_base(taken), 0xFF, (size_t)taken->count << GRANULE_SHIFT);
}

static bool is_zero(const struct granules *taken)
{
    return all_bytes_are(granules_base(taken), (size_t)taken->count << GRANULE_SHIFT, 0);
}

/* Whole chunks, all committed, taken completely. */
static void take_chunks(struct granules *chunks, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        chunks[i] = take(CHUNK_GRANULES);
}

START_TEST(fresh_granules_are_clean_zero_and_lie_in_an_aligned_chunk)
{
    for (unsigned count = 1; count <= CHUNK_GRANULES; count++) {
        struct granules taken = take(count);
        ck_assert(taken.is_clean);
        ck_assert(is_zero(&taken));
        ck_assert_uint_eq(ptr_address(taken.chunk->base) % CHUNK_BYTES, 0);
        ck_assert_ptr_eq(page_map_chunk(granules_base(&taken)), taken.chunk);
        dirty(&taken); /* a granule that were handed out twice would not be zero */
    }
}
END_TEST

START_TEST(granules_in_use_never_overlap)
{
    enum { HELD = 200, STEPS = 20000 };
    static struct granules held[HELD];
    uint64_t state = 3;
    size_t used = 0;
    for (unsigned step = 0; step < STEPS; step++) {
        struct granules *slot = &held[unit_random(&state) % HELD];
        if (slot->chunk == NULL) {
            *slot = take(1 + (unsigned)(unit_random(&state) % (step % 3 == 0 ? CHUNK_GRANULES : 8)));
            used += slot->count;
            for (const struct granules *other = held; other < held + HELD; other++)
                if (other != slot && other->chunk == slot->chunk)
                    ck_assert(
                        (bits_range(other->first, other->count) & bits_range(slot->first, slot->count)) == 0);
            for (unsigned i = 0; i < slot->count; i++)
                ck_assert_uint_eq(slot->chunk->head[slot->first + i], slot->first);
        } else {
            used -= slot->count;
            give(slot);
            slot->chunk = NULL;
        }
        struct chunk_counts counts = neb_chunk_counts();
        ck_assert_uint_eq(counts.granules_used, used);
        ck_assert_uint_eq(counts.granules_used + counts.granules_free + counts.granules_uncommitted,
                          counts.chunks * CHUNK_GRANULES);
    }
}
END_TEST

START_TEST(the_first_chunk_is_committed_in_parts)
{
    struct granules taken = take(1);
    ck_assert_uint_eq(neb_chunk_counts().granules_uncommitted, CHUNK_GRANULES - CHUNK_PART_GRANULES);
    ck_assert_uint_eq(neb_chunk_counts().granules_free, CHUNK_PART_GRANULES - 1);
    for (unsigned i = 1; i < CHUNK_GRANULES; i++)
        ck_assert_ptr_eq(take(1).chunk, taken.chunk);
    ck_assert_uint_eq(neb_chunk_counts().granules_uncommitted, 0);
    ck_assert_ptr_ne(take(1).chunk, taken.chunk);
    ck_assert_uint_eq(neb_chunk_counts().granules_uncommitted, 0);
}
END_TEST

START_TEST(the_smallest_run_that_fits_is_broken)
{
    struct granules chunks[3];
    take_chunks(chunks, 3);
    neb_granules_give(chunks[0].chunk, 5, 20);
    neb_granules_give(chunks[1].chunk, 30, 10);
    neb_granules_give(chunks[2].chunk, 0, 40);
    struct granules a = take(8), b = take(15), c = take(2), d = take(21);
    ck_assert_ptr_eq(a.chunk, chunks[1].chunk);
    ck_assert_ptr_eq(b.chunk, chunks[0].chunk);
    ck_assert_ptr_eq(c.chunk, chunks[1].chunk); /* what is left of the ten */
    ck_assert_uint_eq(c.first, 38);
    ck_assert_ptr_eq(d.chunk, chunks[2].chunk);
}
END_TEST

START_TEST(resident_granules_are_taken_before_clean_ones)
{
    struct granules whole = take(CHUNK_GRANULES);
    dirty(&whole);
    neb_granules_give(whole.chunk, 0, 4);
    ck_assert_uint_eq(neb_chunk_trim(), 4 * GRANULE_BYTES);
    neb_granules_give(whole.chunk, 10, 4);
    struct granules warm = take(3), clean = take(3);
    ck_assert_uint_eq(warm.first, 10);
    ck_assert(!warm.is_clean);
    ck_assert_uint_eq(clean.first, 0);
    ck_assert(clean.is_clean);
    ck_assert(is_zero(&clean));
}
END_TEST

START_TEST(a_run_with_one_resident_granule_is_not_clean)
{
    struct granules whole = take(CHUNK_GRANULES);
    dirty(&whole);
    neb_granules_give(whole.chunk, 0, 8);
    ck_assert_uint_gt(neb_chunk_trim(), 0);
    struct granules one = take(1);
    dirty(&one);
    give(&one);
    ck_assert(!take(8).is_clean);
}
END_TEST

START_TEST(a_run_grows_into_free_neighbours_only)
{
    struct granules whole = take(CHUNK_GRANULES);
    neb_granules_give(whole.chunk, 4, 6);
    ck_assert(!neb_granules_extend(whole.chunk, 0, 4, 11));
    ck_assert_uint_eq(neb_chunk_counts().granules_free, 6);
    ck_assert(neb_granules_extend(whole.chunk, 0, 4, 9));
    ck_assert_uint_eq(neb_chunk_counts().granules_free, 1);
    for (unsigned i = 4; i < 9; i++)
        ck_assert_uint_eq(whole.chunk->head[i], 0);
    struct granules last = take(1);
    ck_assert_uint_eq(last.first, 9);
    ck_assert(!neb_granules_extend(whole.chunk, 0, 9, 10));
    ck_assert(!neb_granules_extend(whole.chunk, 60, 4, 5)); /* the chunk ends there */
}
END_TEST

START_TEST(free_granules_stay_resident_until_they_decay)
{
    struct granules taken = take(8);
    dirty(&taken);
    give(&taken);
    uint32_t now = neb_clock_ms();
    ck_assert(!neb_chunk_decay(now, 100000));
    ck_assert_uint_eq(granules_base(&taken)[0], 0xFF);
    ck_assert(neb_chunk_decay(now + 100001, 100000));
    ck_assert(!neb_chunk_decay(now + 200000, 100000)); /* nothing is left */
    struct granules again = take(8);
    ck_assert_uint_eq(again.first, taken.first);
    ck_assert(again.is_clean);
    ck_assert(is_zero(&again));
}
END_TEST

START_TEST(decay_survives_the_wrap_of_the_clock)
{
    struct granules taken = take(1);
    give(&taken);
    uint32_t since = taken.chunk->dirty_since_ms;
    ck_assert(!neb_chunk_decay(since + 99, 100));
    taken.chunk->dirty_since_ms = UINT32_MAX - 10;
    ck_assert(!neb_chunk_decay(50, 100));
    ck_assert(neb_chunk_decay(89, 100));
}
END_TEST

START_TEST(neighbours_in_use_keep_their_contents_when_free_granules_go_back)
{
    struct granules taken[20];
    for (unsigned i = 0; i < 20; i++) {
        taken[i] = take(1 + i % 3);
        memset(granules_base(&taken[i]), (int)(i + 1), (size_t)taken[i].count << GRANULE_SHIFT);
    }
    for (unsigned i = 0; i < 20; i += 2)
        give(&taken[i]);
    ck_assert_uint_gt(neb_chunk_trim(), 0);
    for (unsigned i = 0; i < 20; i++)
        ck_assert(all_bytes_are(granules_base(&taken[i]), (size_t)taken[i].count << GRANULE_SHIFT,
                                i % 2 == 0 ? 0 : i + 1));
}
END_TEST

START_TEST(superfluous_chunks_are_unmapped_and_their_descriptors_serve_again)
{
    struct granules chunks[8];
    take_chunks(chunks, 8);
    for (unsigned i = 0; i < 8; i++) {
        dirty(&chunks[i]);
        give(&chunks[i]);
    }
    ck_assert_uint_eq(neb_chunk_trim(), 8 * CHUNK_BYTES);
    struct chunk_counts counts = neb_chunk_counts();
    ck_assert_uint_le(counts.chunks, 3);
    ck_assert_uint_eq(counts.chunks_mapped - counts.chunks_unmapped, counts.chunks);
    ck_assert_uint_eq(counts.granules_free, counts.chunks * CHUNK_GRANULES);
    ck_assert_uint_eq(counts.granules_clean, counts.granules_free);
    struct granules again[8];
    take_chunks(again, 8);
    for (unsigned i = 0; i < 8; i++) {
        bool is_known = false;
        for (unsigned j = 0; j < 8; j++)
            is_known |= again[i].chunk == chunks[j].chunk;
        ck_assert(is_known);
        ck_assert(again[i].is_clean);
        ck_assert(is_zero(&again[i]));
        ck_assert_ptr_eq(page_map_chunk(granules_base(&again[i])), again[i].chunk);
    }
}
END_TEST

START_TEST(the_peak_of_use_stays)
{
    struct granules a = take(40), b = take(40);
    give(&a);
    give(&b);
    (void)take(10);
    ck_assert_uint_eq(neb_chunk_counts().granules_used_peak, 80);
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 10);
}
END_TEST

/* Whether huge pages were asked for at p, by the kernel's word: "hg" among the flags of its mapping. */
static bool is_advised(const void *p)
{
    FILE *maps = fopen("/proc/self/smaps", "re");
    ck_assert_ptr_nonnull(maps);
    char line[512];
    bool is_here = false, is_huge = false;
    while (fgets(line, sizeof line, maps) != NULL) {
        uintptr_t first, end;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &first, &end) == 2)
            is_here = ptr_address(p) >= first && ptr_address(p) < end;
        if (is_here && strncmp(line, "VmFlags:", 8) == 0)
            is_huge = strstr(line, " hg") != NULL;
    }
    (void)fclose(maps);
    return is_huge;
}

/* The first slab of a huge page, when everything before it is in use. */
static struct granules open_huge_page(unsigned count)
{
    neb_chunk_set_huge_pages(true);
    struct granules small = neb_granules_take(1, GRANULES_DENSE);
    ck_assert(!small.is_huge && !small.opens_huge); /* little is in use */
    static struct granules chunks[HUGE_PAGES_FROM_GRANULES / CHUNK_GRANULES];
    take_chunks(chunks, HUGE_PAGES_FROM_GRANULES / CHUNK_GRANULES);
    for (unsigned left = CHUNK_GRANULES - 1; left > 0; left--)
        (void)take(1); /* what the first chunk has left */
    return neb_granules_take(count, GRANULES_DENSE);
}

static bool kernel_has_huge_pages(void)
{
    return access("/sys/kernel/mm/transparent_hugepage/enabled", F_OK) == 0;
}

START_TEST(a_dense_slab_opens_a_huge_page_when_enough_is_in_use)
{
    struct granules first = open_huge_page(2), second = neb_granules_take(2, GRANULES_DENSE);
    ck_assert(first.opens_huge && first.is_huge);
    ck_assert(second.is_huge && !second.opens_huge); /* the same page */
    ck_assert_ptr_eq(second.chunk, first.chunk);
    unsigned char *page = granules_base(&first), *next = page + HUGE_PAGE_BYTES;
    ck_assert_uint_eq(ptr_address(page) % HUGE_PAGE_BYTES, 0);
    if (kernel_has_huge_pages()) {
        ck_assert(is_advised(page) && is_advised(next - 1));
        ck_assert(!is_advised(next));
    }
    (void)take(HUGE_PAGE_GRANULES - 4); /* the page's rest */
    struct granules sparse = take(1), dense = neb_granules_take(1, GRANULES_DENSE);
    ck_assert_ptr_eq(granules_base(&sparse), next);
    ck_assert(!sparse.is_huge && !dense.is_huge); /* touched before the dense slab came */
}
END_TEST

START_TEST(a_huge_page_of_which_granules_went_back_is_no_longer_asked_for)
{
    struct granules first = open_huge_page(2), second = neb_granules_take(2, GRANULES_DENSE);
    dirty(&second);
    give(&second);
    (void)neb_chunk_trim();
    ck_assert(!is_advised(granules_base(&first)));
    struct granules again = neb_granules_take(2, GRANULES_DENSE);
    ck_assert_ptr_eq(granules_base(&again), granules_base(&second));
    ck_assert(!again.is_huge); /* part of the page is in use */
    give(&again);
    give(&first);
    (void)neb_chunk_trim();
    struct granules whole = neb_granules_take(2, GRANULES_DENSE);
    ck_assert(whole.opens_huge); /* untouched again */
    ck_assert(is_advised(granules_base(&whole)) == kernel_has_huge_pages());
}
END_TEST

START_TEST(a_slab_forgoes_the_huge_pages_it_touches_and_no_others)
{
    struct granules first = open_huge_page(HUGE_PAGE_GRANULES), second = neb_granules_take(4, GRANULES_DENSE);
    ck_assert(first.opens_huge && second.opens_huge);
    neb_granules_forgo_huge_pages(granules_base(&second), 4);
    ck_assert(is_advised(granules_base(&first)) == kernel_has_huge_pages());
    ck_assert(!is_advised(granules_base(&second)));
    ck_assert(!neb_granules_take(1, GRANULES_DENSE).is_huge);
}
END_TEST

START_TEST(no_huge_page_is_opened_when_they_are_not_wanted)
{
    struct granules chunks[HUGE_PAGES_FROM_GRANULES / CHUNK_GRANULES];
    take_chunks(chunks, HUGE_PAGES_FROM_GRANULES / CHUNK_GRANULES);
    for (unsigned i = 0; i < 2 * CHUNK_GRANULES; i++)
        ck_assert(!neb_granules_take(1, GRANULES_DENSE).is_huge);
}
END_TEST

START_TEST(giving_a_granule_twice_aborts)
{
    struct granules taken = take(4);
    give(&taken);
    neb_granules_give(taken.chunk, taken.first + 3, 1);
}
END_TEST

UNIT_MAIN("chunk", HOLDS(fresh_granules_are_clean_zero_and_lie_in_an_aligned_chunk),
          HOLDS(granules_in_use_never_overlap), HOLDS(the_first_chunk_is_committed_in_parts),
          HOLDS(the_smallest_run_that_fits_is_broken), HOLDS(resident_granules_are_taken_before_clean_ones),
          HOLDS(a_run_with_one_resident_granule_is_not_clean), HOLDS(a_run_grows_into_free_neighbours_only),
          HOLDS(free_granules_stay_resident_until_they_decay), HOLDS(decay_survives_the_wrap_of_the_clock),
          HOLDS(neighbours_in_use_keep_their_contents_when_free_granules_go_back),
          HOLDS(superfluous_chunks_are_unmapped_and_their_descriptors_serve_again),
          HOLDS(the_peak_of_use_stays), HOLDS(a_dense_slab_opens_a_huge_page_when_enough_is_in_use),
          HOLDS(a_huge_page_of_which_granules_went_back_is_no_longer_asked_for),
          HOLDS(a_slab_forgoes_the_huge_pages_it_touches_and_no_others),
          HOLDS(no_huge_page_is_opened_when_they_are_not_wanted), ABORTS(giving_a_granule_twice_aborts))
