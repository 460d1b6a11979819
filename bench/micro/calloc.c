/* calloc.c - zeroed blocks, read through to see that they are zero, then filled, in a table of live ones.
 *
 *   small  16 B .. 1 KiB, 1,024 live      large  64 KiB .. 1 MiB, 16 live
 *
 * Stresses  whether memory known to be zero is cleared once more, and how fast recycled memory is cleared
 * Count     replacements per lane
 */
#include "bench.h"

static void zero_verify(const unsigned char *at, size_t size)
{
    uint64_t word, all = 0;
    for (size_t i = 0; i + sizeof word <= size; i += sizeof word) {
        memcpy(&word, at + i, sizeof word);
        all |= word;
    }
    if (all != 0)
        bench_fail("calloc returned memory that is not zero");
}

static void *zeroed_alloc(struct lane *lane, size_t size)
{
    uint64_t start = LATENCY ? cycles_begin() : 0;
    void *at = calloc(1, size);
    if (LATENCY)
        latency_add(lane->made, cycles_end() - start);
    if (at == NULL)
        bench_fail("calloc returned NULL");
    lane->operations++;
    return at;
}

static struct block zeroed_make(struct lane *lane, size_t size)
{
    unsigned char *at = zeroed_alloc(lane, size);
    zero_verify(at, size);
    memset(at, 0xEB, size);
    return block_stamp(lane, at, size);
}

static void calloc_work(struct lane *lane)
{
    int small = bench_is(lane->bench, "small");
    uint32_t live = small ? 1024 : 16;
    struct block *slots = bench_map(live * sizeof *slots);
    for (uint64_t i = 0; i < lane->bench->count; i++) {
        struct block *slot = &slots[random_below(lane, live)];
        slot_clear(lane, slot);
        *slot = zeroed_make(lane, small ? random_size(lane, 4, 10) : random_size(lane, 16, 20));
    }
    slots_clear(lane, slots, live);
}

static const char *const variants[] = {"small", "large", NULL};
const struct pattern pattern = {
    .name = "calloc", .variants = variants, .threads_min = 1, .work = calloc_work};
