/* emergency.c - see emergency.h. */
#include "heap/emergency.h"

#include "base/bits.h"
#include "heap/chunk.h"

enum {
    CELLS = (EMERGENCY_GRANULES << GRANULE_SHIFT) >> EMERGENCY_CELL_SHIFT,
    CELL_BYTES = 1 << EMERGENCY_CELL_SHIFT,
    WORDS = CELLS / 64
};

static _Atomic(unsigned char *) region; /* NULL: not prepared */
static _Atomic uint64_t used[WORDS];
NEB_SPARSE static uint16_t cells_of[CELLS]; /* of the block that begins here */

/* Two threads at once: one's granules stay unused. */
void neb_emergency_prepare(void)
{
    unsigned char *none = NULL;
    if (atomic_load_explicit(&region, memory_order_relaxed) != NULL) /* nothing is read through it */
        return;
    struct granules granules = neb_granules_take(EMERGENCY_GRANULES, GRANULES_SPARSE);
    if (granules.chunk == NULL)
        return;
    unsigned char *base = granules_base(&granules);
    neb_page_map_fill(base, granules.count, ENTRY_EMERGENCY);
    if (!atomic_compare_exchange_strong_explicit(&region, &none, base, memory_order_release, memory_order_relaxed)) { /* E3 */
        neb_page_map_fill(base, granules.count, ENTRY_NONE);
        neb_granules_give(granules.chunk, granules.first, granules.count);
    }
}

/* A free run of cells in this word is taken; its first bit, or 64. */
static unsigned word_take(_Atomic uint64_t *word, unsigned count)
{
    uint64_t bits = atomic_load_explicit(word, memory_order_relaxed); /* the exchange acquires */
    for (;;) {
        uint64_t starts = bits_run_starts(~bits, count);
        if (starts == 0)
            return 64;
        unsigned first = bits_lowest(starts);
        if (atomic_compare_exchange_weak_explicit(word, &bits, bits | bits_range(first, count), memory_order_acquire, /* E2 */
                                                  memory_order_relaxed))
            return first;
    }
}

void *neb_emergency_alloc(size_t size, size_t alignment)
{
    unsigned char *base = atomic_load_explicit(&region, memory_order_acquire); /* E3 */
    if (base == NULL || alignment > CELL_BYTES || size > 64 * CELL_BYTES)
        return NULL;
    unsigned count = size == 0 ? 1 : (unsigned)((size + CELL_BYTES - 1) / CELL_BYTES);
    for (unsigned word = 0; word < WORDS; word++) {
        unsigned first = word_take(&used[word], count);
        if (first < 64) {
            cells_of[word * 64 + first] = (uint16_t)count;
            return ptr_add(base, (size_t)(word * 64 + first) * CELL_BYTES);
        }
    }
    return NULL;
}

/* Cells of the block that begins at p, and which the first is; 0: none does. */
static unsigned block_cells(const void *p, size_t *first)
{
    size_t offset = ptr_offset(p, atomic_load_explicit(&region, memory_order_relaxed)); /* P1 published it before */
    *first = offset / CELL_BYTES;
    if (offset % CELL_BYTES != 0 || *first >= CELLS)
        return 0;
    bool is_used = atomic_load_explicit(&used[*first / 64], memory_order_relaxed) >> (*first % 64) & 1;
    return is_used ? cells_of[*first] : 0;
}

bool neb_emergency_free(const void *p)
{
    size_t first;
    unsigned count = block_cells(p, &first);
    if (count == 0)
        return false;
    cells_of[first] = 0;
    atomic_fetch_and_explicit(&used[first / 64], ~bits_range((unsigned)(first % 64), count), memory_order_release); /* E2 */
    return true;
}

size_t neb_emergency_usable(const void *p)
{
    size_t first;
    return (size_t)block_cells(p, &first) * CELL_BYTES;
}
