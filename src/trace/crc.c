/* crc.c - see crc.h. Where the processor has an instruction for it, that is used. The tables are made at the first
 * use: two threads at once write the same values. */
#include "trace/crc.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

static _Atomic uint32_t table[8][256];
static _Atomic bool is_made;

static uint32_t entry(unsigned slice, uint32_t index)
{
    return atomic_load_explicit(&table[slice][index & 255], memory_order_relaxed); /* is_made acquired them */
}

static void table_make(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82F63B78u & (0 - (crc & 1)));
        atomic_store_explicit(&table[0][i], crc, memory_order_relaxed);
    }
    for (unsigned slice = 1; slice < 8; slice++)
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t before = entry(slice - 1, i);
            atomic_store_explicit(&table[slice][i], before >> 8 ^ entry(0, before), memory_order_relaxed);
        }
    atomic_store_explicit(&is_made, true, memory_order_release);
}

static uint32_t crc_word(uint32_t crc, uint64_t word)
{
    uint32_t low = crc ^ (uint32_t)word, high = (uint32_t)(word >> 32);
    return entry(7, low) ^ entry(6, low >> 8) ^ entry(5, low >> 16) ^ entry(4, low >> 24) ^ entry(3, high) ^
           entry(2, high >> 8) ^ entry(1, high >> 16) ^ entry(0, high >> 24);
}

static uint32_t crc_by_table(uint32_t crc, const unsigned char *at, size_t count)
{
    if (!atomic_load_explicit(&is_made, memory_order_acquire))
        table_make();
    for (; count >= 8; count -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        crc = crc_word(crc, word);
    }
    for (; count > 0; count--, at++)
        crc = crc >> 8 ^ entry(0, crc ^ *at);
    return crc;
}

#if defined(__x86_64__)
static bool has_instruction(void)
{
    return __builtin_cpu_supports("sse4.2");
}

__attribute__((target("sse4.2"))) static uint32_t crc_by_instruction(uint32_t crc, const unsigned char *at, size_t count)
{
    uint64_t sum = crc;
    for (; count >= 8; count -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        sum = __builtin_ia32_crc32di(sum, word);
    }
    for (; count > 0; count--, at++)
        sum = __builtin_ia32_crc32qi((uint32_t)sum, *at);
    return (uint32_t)sum;
}
#else
static bool has_instruction(void)
{
    return false;
}

static uint32_t crc_by_instruction(uint32_t crc, const unsigned char *at, size_t count)
{
    return crc_by_table(crc, at, count);
}
#endif

uint32_t neb_crc32c(const void *bytes, size_t count)
{
    return ~(has_instruction() ? crc_by_instruction(~0u, bytes, count) : crc_by_table(~0u, bytes, count));
}
