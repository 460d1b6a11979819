/* random.h - numbers that are hard to foresee once the state is: xorshift64 (Marsaglia, "Xorshift RNGs", 2003). */
#ifndef NEB_BASE_RANDOM_H
#define NEB_BASE_RANDOM_H

#include "base/attr.h"
#include <stddef.h>
#include <stdint.h>

/* Below bound, which is not 0 and at most 2^32. *state is not 0, and whoever owns it calls. */
NEB_INLINE size_t random_below(uint64_t *state, size_t bound)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (size_t)(((*state >> 32) * bound) >> 32);
}

#endif
