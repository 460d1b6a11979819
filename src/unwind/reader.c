/* reader.c - see reader.h. */
#include "unwind/reader.h"

#include "base/ptr.h"
#include <string.h>

const unsigned char *neb_take(struct reader *reader, size_t bytes)
{
    static const unsigned char nothing[8];
    if (reader->failed || bytes > (size_t)(reader->end - reader->at)) {
        reader->failed = true;
        return nothing;
    }
    const unsigned char *at = reader->at;
    reader->at += bytes;
    return at;
}

uint8_t neb_take_u8(struct reader *reader)
{
    return *neb_take(reader, 1);
}

uint16_t neb_take_u16(struct reader *reader)
{
    uint16_t value;
    memcpy(&value, neb_take(reader, 2), 2);
    return value;
}

uint32_t neb_take_u32(struct reader *reader)
{
    uint32_t value;
    memcpy(&value, neb_take(reader, 4), 4);
    return value;
}

uint64_t neb_take_u64(struct reader *reader)
{
    uint64_t value;
    memcpy(&value, neb_take(reader, 8), 8);
    return value;
}

uint64_t neb_take_uleb(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = neb_take_u8(reader);
        value |= (uint64_t)(byte & 127) << shift;
        if ((byte & 128) == 0)
            return value;
    }
    reader->failed = true;
    return 0;
}

int64_t neb_take_sleb(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64;) {
        uint8_t byte = neb_take_u8(reader);
        value |= (uint64_t)(byte & 127) << shift;
        shift += 7;
        if ((byte & 128) == 0) {
            if ((byte & 64) != 0 && shift < 64)
                value |= ~UINT64_C(0) << shift;
            return (int64_t)value;
        }
    }
    reader->failed = true;
    return 0;
}

uintptr_t neb_take_encoded(struct reader *reader, uint8_t encoding)
{
    uintptr_t here = ptr_address(reader->at), value = 0;
    switch (encoding & 15) {
    case PE_ABSOLUTE:
    case PE_UDATA8:
    case PE_SDATA8:
        value = neb_take_u64(reader);
        break;
    case PE_UDATA4:
        value = neb_take_u32(reader);
        break;
    case PE_SDATA4:
        value = (uintptr_t)(int64_t)(int32_t)neb_take_u32(reader);
        break;
    case PE_UDATA2:
        value = neb_take_u16(reader);
        break;
    case PE_SDATA2:
        value = (uintptr_t)(int64_t)(int16_t)neb_take_u16(reader);
        break;
    default:
        reader->failed = true;
    }
    return (encoding & 0x70) == PE_PCREL ? value + here : value;
}
