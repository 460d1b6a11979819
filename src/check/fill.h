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

/* Before a block stand whole periods, which begin where the key does. */
NEB_INLINE bool canary_front_is_whole(const unsigned char *block, size_t bytes)
{
    for (const unsigned char *p = block - bytes; p < block; p += CANARY_PERIOD)
        if (memcmp(p, neb_canary_key, CANARY_PERIOD) != 0)
            return false;
    return true;
}

/* Canaries never contain zero, so that a string's end one byte too far always shows. */
void neb_canary_init(bool random);
/* The first byte that differs, or bytes when none does. */
size_t neb_canary_verify(const unsigned char *begin, size_t bytes);
/* The same from the end: one more than the offset of the last byte that differs, or 0. */
size_t neb_canary_verify_back(const unsigned char *begin, size_t bytes);

/* Many blocks are of so few bytes that a call costs more than the work: pieces of 16 from both ends, which overlap. */
enum { FILL_PIECE = 16 };
typedef uint64_t fill_piece __attribute__((vector_size(FILL_PIECE)));

/* One piece to four. */
NEB_INLINE bool fill_is_short(size_t bytes)
{
    return bytes - FILL_PIECE <= 3 * FILL_PIECE;
}

NEB_INLINE fill_piece fill_piece_of(unsigned value)
{
    uint64_t word = UINT64_C(0x0101010101010101) * (value & 0xFF);
    return (fill_piece){word, word};
}

NEB_INLINE void fill_write(unsigned char *begin, size_t bytes, unsigned value)
{
    unsigned char *end = begin + bytes;
    fill_piece piece = fill_piece_of(value);
    if (!fill_is_short(bytes)) {
        memset(begin, (int)value, bytes);
        return;
    }
    memcpy(begin, &piece, FILL_PIECE);
    memcpy(end - FILL_PIECE, &piece, FILL_PIECE);
    if (bytes > 2 * FILL_PIECE) {
        memcpy(begin + FILL_PIECE, &piece, FILL_PIECE);
        memcpy(end - 2 * FILL_PIECE, &piece, FILL_PIECE);
    }
}

/* Where it differs from a piece, all bits that do. */
NEB_INLINE fill_piece fill_difference(const unsigned char *at, fill_piece piece)
{
    fill_piece found;
    memcpy(&found, at, sizeof found);
    return found ^ piece;
}

/* The first byte that is not value, or bytes. O(bytes), a word at a time. */
size_t neb_fill_verify(const unsigned char *begin, size_t bytes, unsigned value);

NEB_INLINE bool fill_is_whole(const unsigned char *begin, size_t bytes, unsigned value)
{
    const unsigned char *end = begin + bytes;
    fill_piece piece = fill_piece_of(value);
    if (!fill_is_short(bytes))
        return neb_fill_verify(begin, bytes, value) == bytes;
    fill_piece differ = fill_difference(begin, piece) | fill_difference(end - FILL_PIECE, piece);
    if (bytes > 2 * FILL_PIECE)
        differ |= fill_difference(begin + FILL_PIECE, piece) | fill_difference(end - 2 * FILL_PIECE, piece);
    return (differ[0] | differ[1]) == 0;
}

#endif
