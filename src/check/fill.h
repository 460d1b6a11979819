/* fill.h - bytes that are known: canaries around blocks, contents of fresh and freed ones. */
#ifndef NEB_CHECK_FILL_H
#define NEB_CHECK_FILL_H

#include "base/attr.h"
#include "base/ptr.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { CANARY_PERIOD = 16 };

/* By address modulo the period, so that a copy of a canary to another place mostly shows too. Twice: what belongs to any address
 * stands in one piece. */
extern NEB_HIDDEN unsigned char neb_canary_key[2 * CANARY_PERIOD];

NEB_INLINE const unsigned char *canary_for(const unsigned char *p)
{
    return neb_canary_key + ptr_address(p) % CANARY_PERIOD;
}

/* Less than a period, in two pieces that overlap: no loop. */
NEB_INLINE bool canary_short_is_whole(const unsigned char *begin, size_t bytes)
{
    const unsigned char *canary = canary_for(begin);
    if (bytes >= 8)
        return memcmp(begin, canary, 8) == 0 && memcmp(begin + bytes - 8, canary + bytes - 8, 8) == 0;
    if (bytes >= 4)
        return memcmp(begin, canary, 4) == 0 && memcmp(begin + bytes - 4, canary + bytes - 4, 4) == 0;
    return bytes == 0 || (begin[0] == canary[0] && begin[bytes / 2] == canary[bytes / 2] && begin[bytes - 1] == canary[bytes - 1]);
}

NEB_INLINE bool canary_is_whole(const unsigned char *begin, size_t bytes)
{
    if (bytes < CANARY_PERIOD)
        return canary_short_is_whole(begin, bytes);
    const unsigned char *canary = canary_for(begin), *last = begin + bytes - CANARY_PERIOD;
    for (; begin < last; begin += CANARY_PERIOD)
        if (memcmp(begin, canary, CANARY_PERIOD) != 0)
            return false;
    return memcmp(last, canary_for(last), CANARY_PERIOD) == 0;
}

NEB_INLINE void canary_short_write(unsigned char *begin, size_t bytes)
{
    const unsigned char *canary = canary_for(begin);
    if (bytes >= 8) {
        memcpy(begin, canary, 8);
        memcpy(begin + bytes - 8, canary + bytes - 8, 8);
    } else if (bytes >= 4) {
        memcpy(begin, canary, 4);
        memcpy(begin + bytes - 4, canary + bytes - 4, 4);
    } else if (bytes != 0) {
        begin[0] = canary[0];
        begin[bytes / 2] = canary[bytes / 2];
        begin[bytes - 1] = canary[bytes - 1];
    }
}

NEB_INLINE void canary_write(unsigned char *begin, size_t bytes)
{
    if (bytes < CANARY_PERIOD) {
        canary_short_write(begin, bytes);
        return;
    }
    const unsigned char *canary = canary_for(begin);
    unsigned char *last = begin + bytes - CANARY_PERIOD;
    for (; begin < last; begin += CANARY_PERIOD)
        memcpy(begin, canary, CANARY_PERIOD);
    memcpy(last, canary_for(last), CANARY_PERIOD);
}

/* Canaries never contain zero, so that a string's end one byte too far always shows. */
void neb_canary_init(bool random);
/* The first byte that differs, or bytes when none does. */
size_t neb_canary_verify(const unsigned char *begin, size_t bytes);
/* The same from the end: one more than the offset of the last byte that differs, or 0. */
size_t neb_canary_verify_back(const unsigned char *begin, size_t bytes);

/* The first byte that is not value, or bytes. O(bytes), a word at a time. */
size_t neb_fill_verify(const unsigned char *begin, size_t bytes, unsigned value);

#endif
