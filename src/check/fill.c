/* fill.c - see fill.h. */
#include "check/fill.h"

#include "base/ptr.h"
#include "os/inspect.h"
#include <stdint.h>
#include <string.h>

/* By address modulo 16, so that a copy of a canary to another place mostly shows too. */
static unsigned char key[16] = {0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xCB, 0xCC, 0xCD, 0xCE, 0xCF, 0xD0};

void neb_canary_init(bool random)
{
    if (!random)
        return;
    neb_os_random(key, sizeof key);
    for (size_t i = 0; i < sizeof key; i++)
        if (key[i] == 0)
            key[i] = 0xC0;
}

static unsigned char canary_at(const unsigned char *p)
{
    return key[ptr_address(p) % sizeof key];
}

void neb_canary_write(unsigned char *begin, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        begin[i] = canary_at(begin + i);
}

size_t neb_canary_verify(const unsigned char *begin, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (begin[i] != canary_at(begin + i))
            return i;
    return bytes;
}

size_t neb_canary_verify_back(const unsigned char *begin, size_t bytes)
{
    while (bytes > 0 && begin[bytes - 1] == canary_at(begin + bytes - 1))
        bytes--;
    return bytes;
}

size_t neb_fill_verify(const unsigned char *begin, size_t bytes, unsigned value)
{
    uint64_t word, expected = UINT64_C(0x0101010101010101) * (value & 0xFF);
    size_t i = 0;
    for (; i + sizeof word <= bytes; i += sizeof word) {
        memcpy(&word, begin + i, sizeof word);
        if (word != expected)
            break;
    }
    while (i < bytes && begin[i] == (unsigned char)value)
        i++;
    return i;
}
