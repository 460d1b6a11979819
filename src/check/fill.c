/* fill.c - see fill.h. */
#include "check/fill.h"

#include "os/inspect.h"

enum { LONG = 256 };

unsigned char neb_canary_key[2 * CANARY_PERIOD] = {0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xCB,
                                                   0xCC, 0xCD, 0xCE, 0xCF, 0xD0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6,
                                                   0xC7, 0xC8, 0xC9, 0xCA, 0xCB, 0xCC, 0xCD, 0xCE, 0xCF, 0xD0};

void neb_canary_init(bool random)
{
    if (!random)
        return;
    neb_os_random(neb_canary_key, CANARY_PERIOD);
    for (size_t i = 0; i < CANARY_PERIOD; i++)
        if (neb_canary_key[i] == 0)
            neb_canary_key[i] = 0xC0;
    memcpy(neb_canary_key + CANARY_PERIOD, neb_canary_key, CANARY_PERIOD);
}

size_t neb_canary_verify(const unsigned char *begin, size_t bytes)
{
    size_t i = 0;
    if (NEB_LIKELY(canary_is_whole(begin, bytes)))
        return bytes;
    while (i < bytes && begin[i] == *canary_for(begin + i))
        i++;
    return i;
}

size_t neb_canary_verify_back(const unsigned char *begin, size_t bytes)
{
    while (bytes > 0 && begin[bytes - 1] == *canary_for(begin + bytes - 1))
        bytes--;
    return bytes;
}

NEB_INLINE uint64_t difference(const unsigned char *at, uint64_t expected)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word ^ expected;
}

/* Four words in a turn, and a last one that overlaps those before it. */
static bool words_are_whole(const unsigned char *begin, size_t bytes, uint64_t expected)
{
    const unsigned char *last = begin + bytes - 8;
    for (; begin + 32 <= last; begin += 32)
        if ((difference(begin, expected) | difference(begin + 8, expected) | difference(begin + 16, expected) |
             difference(begin + 24, expected)) != 0)
            return false;
    for (; begin < last; begin += 8)
        if (difference(begin, expected) != 0)
            return false;
    return difference(last, expected) == 0;
}

size_t neb_fill_verify(const unsigned char *begin, size_t bytes, unsigned value)
{
    uint64_t expected = UINT64_C(0x0101010101010101) * (value & 0xFF);
    size_t i = 0;
    /* Each word is like the one before it: libc's memcmp looks at four at a time. */
    if (bytes >= LONG && difference(begin, expected) == 0 && memcmp(begin, begin + 8, bytes - 8) == 0)
        return bytes;
    if (bytes >= 8 && bytes < LONG && words_are_whole(begin, bytes, expected))
        return bytes;
    while (i < bytes && begin[i] == (unsigned char)value)
        i++;
    return i;
}
