/* realloc.c - blocks that grow.
 *
 *   variant  starts at   grows by    up to     grown side by side
 *   vector   16 B        half        256 KiB   32    the dynamic array
 *   append   16 B        16..64 B    4 KiB     64    the string builder
 *   large    1 MiB       a quarter   64 MiB     1    the buffer that is read into
 *
 * Stresses  growth in place, copying, moving pages instead of bytes
 * Count     blocks grown to the end, per lane. After each step the oldest and the newest word are verified.
 */
#include "bench.h"

struct growth {
    const char *variant;
    uint32_t start, end, live;
};

static const struct growth growths[] = {
    {"vector", 16, 256 << 10, 32}, {"append", 16, 4 << 10, 64}, {"large", 1 << 20, 64 << 20, 1}};

static const struct growth *growth_find(const struct bench *bench)
{
    const struct growth *growth = growths;
    while (!bench_is(bench, growth->variant))
        growth++;
    return growth;
}

static uint32_t size_next(struct lane *lane, uint32_t size)
{
    if (bench_is(lane->bench, "append"))
        return size + 16 + random_below(lane, 49);
    return bench_is(lane->bench, "vector") ? size + size / 2 : size + size / 4;
}

static void *mem_grow(struct lane *lane, void *old, size_t size)
{
    uint64_t start = LATENCY ? cycles_begin() : 0;
    void *at = realloc(old, size);
    if (LATENCY)
        latency_add(lane->made, cycles_end() - start);
    if (at == NULL)
        bench_fail("realloc returned NULL");
    lane->operations++;
    return at;
}

static void block_grow(struct lane *lane, struct block *block, uint32_t size)
{
    struct block moved = *block;
    moved.at = mem_grow(lane, block->at, size);
    block_verify(lane, moved);
    *block = block_stamp(lane, moved.at, size);
}

/* One step for one slot; a block at its end is dropped and the next one started. */
static int slot_step(struct lane *lane, const struct growth *growth, struct block *slot)
{
    if (slot->at == NULL)
        *slot = block_make(lane, growth->start);
    uint32_t size = size_next(lane, slot->size);
    if (size <= growth->end) {
        block_grow(lane, slot, size);
        return 0;
    }
    slot_clear(lane, slot);
    return 1;
}

static void realloc_work(struct lane *lane)
{
    const struct growth *growth = growth_find(lane->bench);
    struct block *slots = bench_map(growth->live * sizeof *slots);
    uint64_t ended = 0;
    while (ended < lane->bench->count)
        ended += (uint64_t)slot_step(lane, growth, &slots[random_below(lane, growth->live)]);
    slots_clear(lane, slots, growth->live);
}

static const char *const variants[] = {"vector", "append", "large", NULL};
const struct pattern pattern = {
    .name = "realloc", .variants = variants, .threads_min = 1, .work = realloc_work};
