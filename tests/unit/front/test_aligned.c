/* front/alloc.h: every power of two as an alignment, with every kind of size. */
#include "front/alloc.h"
#include "heap/large.h"
#include "unit/unit.h"
#include <errno.h>

static const size_t sizes[] = {0,    1,    8,     16,    17,    48,    100,    128,     1000,    1024,
                               4096, 5000, 20000, 32768, 32769, 65536, 100000, 2097152, 2097153, 5000000};
enum { SIZES = sizeof sizes / sizeof sizes[0], ALIGNMENTS = 27 };

START_TEST(blocks_are_aligned_as_asked_and_do_not_overlap)
{
    for (unsigned shift = 0; shift < ALIGNMENTS; shift++) {
        unsigned char *p[SIZES][3];
        size_t alignment = (size_t)1 << shift;
        for (unsigned i = 0; i < SIZES; i++)
            for (unsigned j = 0; j < 3; j++) {
                ck_assert_ptr_nonnull(p[i][j] = neb_memalign(alignment, sizes[i]));
                ck_assert_uint_eq(ptr_address(p[i][j]) % alignment, 0);
                ck_assert_uint_eq(ptr_address(p[i][j]) % 16, 0);
                ck_assert_uint_ge(neb_usable_size(p[i][j]), sizes[i]);
                memset(p[i][j], (int)(3 * i + j + shift), sizes[i]);
            }
        for (unsigned i = 0; i < SIZES; i++)
            for (unsigned j = 0; j < 3; j++) {
                ck_assert(all_bytes_are(p[i][j], sizes[i], (unsigned char)(3 * i + j + shift)));
                neb_free(p[i][j]);
            }
    }
    (void)neb_trim();
    ck_assert_uint_eq(neb_chunk_counts().granules_used, 0);
    ck_assert_uint_eq(neb_large_counts().huge_blocks, 0);
}
END_TEST

START_TEST(aligned_blocks_can_be_resized)
{
    for (unsigned shift = 0; shift < ALIGNMENTS; shift += 2)
        for (unsigned i = 0; i < SIZES; i++) {
            unsigned char *p = neb_memalign((size_t)1 << shift, sizes[i]);
            memset(p, 0xA7, sizes[i]);
            ck_assert_ptr_nonnull(p = neb_realloc(p, sizes[i] * 2 + 1));
            ck_assert(all_bytes_are(p, sizes[i], 0xA7));
            neb_free(p);
        }
}
END_TEST

START_TEST(little_blocks_with_a_moderate_alignment_stay_small)
{
    for (size_t alignment = 32; alignment <= 4096; alignment *= 2) {
        void *p = neb_memalign(alignment, 1);
        ck_assert_uint_le(neb_usable_size(p), alignment);
        neb_free(p);
    }
}
END_TEST

START_TEST(an_impossible_alignment_is_enomem)
{
    errno = 0;
    ck_assert_ptr_null(neb_memalign((size_t)1 << 62, 1));
    ck_assert_int_eq(errno, ENOMEM);
    errno = 0;
    ck_assert_ptr_null(neb_memalign((size_t)1 << 63, 1));
    ck_assert_int_eq(errno, ENOMEM);
    errno = 0;
    ck_assert_ptr_null(neb_memalign((size_t)1 << 46, PTRDIFF_MAX));
    ck_assert_int_eq(errno, ENOMEM);
}
END_TEST

UNIT_MAIN("aligned", HOLDS(blocks_are_aligned_as_asked_and_do_not_overlap),
          HOLDS(aligned_blocks_can_be_resized), HOLDS(little_blocks_with_a_moderate_alignment_stay_small),
          HOLDS(an_impossible_alignment_is_enomem))
