/* size_class.c - the tables of size_class.h, written out by the preprocessor. */
#include "heap/size_class.h"

/* Sizes: classes 0 to 15 are the multiples of 16, then eight for each doubling. */
#define DOUBLINGS(c) ((c) < 16 ? 0 : ((c)-16) / 8)
#define SIZE(c) ((c) < 16 ? 16u * ((c) + 1u) : (256u << DOUBLINGS(c)) + (32u << DOUBLINGS(c)) * ((c) % 8 + 1u))
/* The fewest granules that hold two blocks and lose less than a fifth at their end: a heap's first slab of each class is memory that
 * it may not need. */
#define HOLDS(c, granules) ((granules) * GRANULE_BYTES >= 2 * SIZE(c) && (granules) * GRANULE_BYTES % SIZE(c) <= (granules) * GRANULE_BYTES / 5)
#define GRANULES(c) (HOLDS(c, 1u) ? 1u : HOLDS(c, 2u) ? 2u : 3u)
#define CLASS(c)                                                                                                       \
    {                                                                                                                  \
        ((UINT64_C(1) << 40) + SIZE(c) - 1) / SIZE(c), SIZE(c), (uint16_t)(GRANULES(c) * GRANULE_BYTES / SIZE(c)),     \
            (uint16_t)GRANULES(c)                                                                                      \
    }
#define CLASSES8(c) \
    CLASS(c), CLASS((c) + 1), CLASS((c) + 2), CLASS((c) + 3), CLASS((c) + 4), CLASS((c) + 5), CLASS((c) + 6), CLASS((c) + 7)

_Static_assert(SIZE(CLASS_BIG_FIRST - 1) == BIG_MIN && GRANULES(CLASS_BIG_FIRST - 1) == 1, "a small address tells where its slab begins");

const struct size_class neb_size_class[CLASS_COUNT] = {
    CLASSES8(0),  CLASSES8(8),  CLASSES8(16), CLASSES8(24), CLASSES8(32),
    CLASSES8(40), CLASSES8(48), CLASSES8(56), CLASSES8(64), CLASSES8(72),
};

#define BIN(c) BIN_FIRST_OFFSET + BIN_BYTES * (c)
#define TIMES1(c) BIN(c)
#define TIMES2(c) TIMES1(c), TIMES1(c)
#define TIMES4(c) TIMES2(c), TIMES2(c)
#define TIMES8(c) TIMES4(c), TIMES4(c)
#define TIMES16(c) TIMES8(c), TIMES8(c)
#define TIMES32(c) TIMES16(c), TIMES16(c)
#define TIMES64(c) TIMES32(c), TIMES32(c)
#define DOUBLING(times, c) \
    times(c), times((c) + 1), times((c) + 2), times((c) + 3), times((c) + 4), times((c) + 5), times((c) + 6), times((c) + 7)

const uint16_t neb_bin_offset[] = {
    BIN(0), /* malloc(0) */
    DOUBLING(TIMES16, 0), DOUBLING(TIMES16, 8), DOUBLING(TIMES32, 16), DOUBLING(TIMES64, 24),
    DOUBLING(TIMES1, 32), DOUBLING(TIMES2, 40), DOUBLING(TIMES4, 48), DOUBLING(TIMES8, 56), DOUBLING(TIMES16, 64), DOUBLING(TIMES32, 72),
};

_Static_assert(SIZE(31) == FAST_MAX && SIZE(32) - SIZE(31) == 1u << MEDIUM_SHIFT, "where the steps become wider");
_Static_assert(HOLDS(75, SLAB_GRANULES_MAX), "49,152 bytes: the one class but 45,056 that needs so many");
_Static_assert(SIZE(CLASS_COUNT - 1) == SMALL_MAX, "the last class is the largest small size");
