/* trace/crc.h: CRC-32C, whichever way it is computed. */
#include "trace/crc.h"

#include "unit/unit.h"

/* Bit by bit, as the polynomial says. */
static uint32_t crc_slowly(const unsigned char *at, size_t count)
{
    uint32_t crc = ~0u;
    for (; count > 0; count--) {
        crc ^= *at++;
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82F63B78u & (0 - (crc & 1)));
    }
    return ~crc;
}

START_TEST(checksum_is_crc32c_at_any_length)
{
    unsigned char bytes[67];
    ck_assert_uint_eq(neb_crc32c("123456789", 9), 0xE3069283u);
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 37 + 11);
    for (unsigned count = 0; count <= sizeof bytes; count++)
        ck_assert_uint_eq(neb_crc32c(bytes, count), crc_slowly(bytes, count));
}
END_TEST

int main(void)
{
    const struct unit_claim claims[] = {HOLDS(checksum_is_crc32c_at_any_length)};
    return unit_run("crc", claims, 1);
}
