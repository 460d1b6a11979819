/* fill.c - see fill.h. */
#include "check/fill.h"

#include "base/attr.h"
#include "base/ptr.h"
#include "os/inspect.h"
#include <stdint.h>
#include <string.h>

enum { PERIOD = 16, LONG = 256 };

/* By address modulo PERIOD, so that a copy of a canary to another place mostly shows too. Twice: what belongs to any address
 * stands in one piece. */
static unsigned char key[2 * PERIOD] = {0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xCB, 0xCC, 0xCD, 0xCE, 0xCF, 0xD0,
                                        0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8, 0xC9, 0xCA, 0xCB, 0xCC, 0xCD, 0xCE, 0xCF, 0xD0};

void neb_canary_init(bool random)
{
    if (!random)
        return;
    neb_os_random(key, PERIOD);
    for (size_t i = 0; i < PERIOD; i++)
        if (key[i] == 0)
            key[i] = 0xC0;
    memcpy(key + PERIOD, key, PERIOD);
}

/* Whether the bytes are alike, of which there are less than PERIOD: in pieces of 8, 4, 2 and 1, which need no loop. */
static bool rest_is_equal(const unsigned char *a, const unsigned char *b, size_t bytes)
{
    if ((bytes & 8) != 0 && memcmp(a, b, 8) != 0)
        return false;
    if ((bytes & 4) != 0 && memcmp(a + (bytes & 8), b + (bytes & 8), 4) != 0)
        return false;
    if ((bytes & 2) != 0 && memcmp(a + (bytes & 12), b + (bytes & 12), 2) != 0)
        return false;
    return (bytes & 1) == 0 || a[bytes - 1] == b[bytes - 1];
}

static const unsigned char *canary_for(const unsigned char *p)
{
    return key + ptr_address(p) % PERIOD;
}

void neb_canary_write(unsigned char *begin, size_t bytes)
{
    const unsigned char *canary = canary_for(begin);
    size_t i = 0;
    for (; i + PERIOD <= bytes; i += PERIOD)
        memcpy(begin + i, canary, PERIOD);
    for (; i < bytes; i++)
        begin[i] = canary[i % PERIOD];
}

size_t neb_canary_verify(const unsigned char *begin, size_t bytes)
{
    const unsigned char *canary = canary_for(begin);
    size_t i = 0;
    while (i + PERIOD <= bytes && memcmp(begin + i, canary, PERIOD) == 0)
        i += PERIOD;
    if (NEB_LIKELY(bytes - i < PERIOD && rest_is_equal(begin + i, canary, bytes - i)))
        return bytes;
    while (i < bytes && begin[i] == canary[i % PERIOD])
        i++;
    return i;
}

size_t neb_canary_verify_back(const unsigned char *begin, size_t bytes)
{
    while (bytes > 0 && begin[bytes - 1] == *canary_for(begin + bytes - 1))
        bytes--;
    return bytes;
}

size_t neb_fill_verify(const unsigned char *begin, size_t bytes, unsigned value)
{
    uint64_t word, expected = UINT64_C(0x0101010101010101) * (value & 0xFF);
    size_t i = 0;
    /* Each word is like the one before it: libc's memcmp looks at four at a time. */
    if (bytes >= LONG && memcmp(begin, &expected, sizeof word) == 0 && memcmp(begin, begin + sizeof word, bytes - sizeof word) == 0)
        return bytes;
    for (; i + sizeof word <= bytes; i += sizeof word) {
        memcpy(&word, begin + i, sizeof word);
        if (word != expected)
            break;
    }
    while (i < bytes && begin[i] == (unsigned char)value)
        i++;
    return i;
}
