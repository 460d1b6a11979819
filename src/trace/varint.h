/* varint.h - LEB128 numbers, as README.md has them. The caller has room: at most ten bytes each. */
#ifndef NEB_TRACE_VARINT_H
#define NEB_TRACE_VARINT_H

#include "base/attr.h"
#include <stdint.h>
#include <string.h>

enum { VARINT_BYTES_MAX = 10 };

NEB_INLINE unsigned char *varint_put(unsigned char *at, uint64_t value)
{
    while (value >= 128) {
        *at++ = (unsigned char)(value | 128);
        value >>= 7;
    }
    *at++ = (unsigned char)value;
    return at;
}

NEB_INLINE unsigned char *bytes_put(unsigned char *at, const void *bytes, uint64_t count)
{
    at = varint_put(at, count);
    memcpy(at, bytes, (size_t)count);
    return at + count;
}

NEB_INLINE uint64_t zigzag(uint64_t difference)
{
    return (difference << 1) ^ (0 - (difference >> 63));
}

#endif
