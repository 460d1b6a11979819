/* bits.h - words as sets of bits. */
#ifndef NEB_BASE_BITS_H
#define NEB_BASE_BITS_H

#include "base/attr.h"
#include <stdbool.h>
#include <stdint.h>

NEB_INLINE unsigned bits_lowest(uint64_t word) /* word != 0 */
{
    return (unsigned)__builtin_ctzll(word);
}

NEB_INLINE unsigned bits_count(uint64_t word)
{
    return (unsigned)__builtin_popcountll(word);
}

NEB_INLINE unsigned bits_log2_floor(uint64_t n) /* n != 0 */
{
    return 63u - (unsigned)__builtin_clzll(n);
}

NEB_INLINE unsigned bits_log2_ceil(uint64_t n) /* n != 0 */
{
    return n == 1 ? 0 : bits_log2_floor(n - 1) + 1;
}

NEB_INLINE bool bits_is_power_of_two(uint64_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* count bits from first on; first + count <= 64, count >= 1. */
NEB_INLINE uint64_t bits_range(unsigned first, unsigned count)
{
    return (count == 64 ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1) << first;
}

/* The set of positions at which a run of count set bits begins: O(log count). */
NEB_INLINE uint64_t bits_run_starts(uint64_t word, unsigned count)
{
    unsigned have = 1;
    while (have < count) {
        unsigned step = have < count - have ? have : count - have;
        word &= word >> step;
        have += step;
    }
    return word;
}

/* Length of the longest run of set bits: O(length). */
NEB_INLINE unsigned bits_longest_run(uint64_t word)
{
    unsigned length = 0;
    for (; word != 0; word &= word << 1)
        length++;
    return length;
}

#endif
