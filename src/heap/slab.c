/* slab.c - see slab.h. */
#include "heap/slab.h"

#include "base/panic.h"
#include "os/vm.h"

void neb_slab_init(struct slab *slab, void *base, unsigned class_index, bool is_clean)
{
    const struct size_class *class = &neb_size_class[class_index];
    slab->base = base;
    slab->class_index = (uint16_t)class_index;
    slab->capacity = class->capacity;
    slab->bump = 0;
    slab->free_count = 0;
    slab->granules = (uint8_t)class->granules;
    slab->word_hint = 0;
    slab->is_clean = is_clean;
    slab->purged = 0;
    for (unsigned word = 0; word * 64 < slab->capacity; word++)
        slab->free_bits[word] = 0;
    atomic_store_explicit(&slab->listed, 0, memory_order_relaxed); /* published with the page map's entry */
}

enum slab_answer neb_slab_look(const struct slab *slab, const void *p)
{
    size_t index = slab_block_index(slab, p);
    if (index == SIZE_MAX)
        return SLAB_NOT_A_BLOCK;
    if (index >= slab->bump)
        return SLAB_NEVER_HANDED;
    return slab->free_bits[index / 64] >> (index % 64) & 1 ? SLAB_ALREADY_FREE : SLAB_OK;
}

/* Blocks at the head of an array that follow each other in memory, in the order of the array or in the reverse: as many as there are
 * before the border of a word of bits. */
struct run {
    size_t first, count; /* numbers of blocks */
};

static struct run run_at(void *const *blocks, size_t left, size_t index, size_t size)
{
    size_t up = 64 - index % 64, down = index % 64 + 1, count = 1;
    if (left > 1 && ptr_address(blocks[1]) == ptr_address(blocks[0]) + size) {
        while (count < left && count < up && ptr_address(blocks[count]) == ptr_address(blocks[count - 1]) + size)
            count++;
        return (struct run){index, count};
    }
    while (count < left && count < down && ptr_address(blocks[count]) + size == ptr_address(blocks[count - 1]))
        count++;
    return (struct run){index + 1 - count, count};
}

/* Whether a run is worth the search for its end: it looks as if it had this many blocks. */
static bool is_long_run(void *const *blocks, size_t left, size_t size)
{
    enum { LONG = 8 };
    return left >= LONG && (ptr_offset(blocks[LONG - 1], blocks[0]) == (LONG - 1) * size || ptr_offset(blocks[0], blocks[LONG - 1]) == (LONG - 1) * size);
}

static void hint_lower(struct slab *slab, size_t word)
{
    if (word < slab->word_hint)
        slab->word_hint = (uint8_t)word;
}

/* Sets the bits of a run of blocks at once; how many. 0: one of them is wrong. */
static size_t run_give(struct slab *slab, const struct size_class *class, void *const *blocks, size_t left)
{
    size_t offset = ptr_offset(blocks[0], slab->base), index = size_class_index(class, offset);
    if (NEB_UNLIKELY(index >= slab->bump || index * class->size != offset))
        return 0;
    struct run run = run_at(blocks, left, index, class->size);
    uint64_t bits = bits_range((unsigned)(run.first % 64), (unsigned)run.count), *word = &slab->free_bits[index / 64];
    if (NEB_UNLIKELY(run.first + run.count > slab->bump || (*word & bits) != 0))
        return 0;
    *word |= bits;
    hint_lower(slab, index / 64);
    return run.count;
}

/* Sets the bits of the leading blocks that can be given, one after the other; how many. A word of bits stays in a register while blocks
 * lie in it. What lies outside of the slab has no index below bump whose multiple it is. Out of line for want of registers. */
static NEB_NOINLINE size_t each_give(struct slab *slab, const struct size_class *class, void *const *blocks, size_t count)
{
    const struct size_class local = *class;
    const unsigned char *base = slab->base;
    size_t bump = slab->bump, word = slab->word_hint, given = 0;
    uint64_t bits = slab->free_bits[word];
    for (; given < count; given++) {
        size_t offset = ptr_offset(blocks[given], base), index = size_class_index(&local, offset);
        if (NEB_UNLIKELY(index >= bump || index * local.size != offset))
            break;
        if (index / 64 != word) {
            slab->free_bits[word] = bits;
            word = index / 64;
            bits = slab->free_bits[word];
            hint_lower(slab, word);
        }
        if (NEB_UNLIKELY(bits >> (index % 64) & 1))
            break;
        bits |= UINT64_C(1) << (index % 64);
    }
    slab->free_bits[word] = bits;
    return given;
}

size_t neb_slab_give(struct slab *slab, void *const *blocks, size_t count, enum slab_answer *answer)
{
    enum { EACH = 32 }; /* blocks between two looks for a run */
    const struct size_class *class = &neb_size_class[slab->class_index];
    size_t given = 0;
    for (size_t now = 1; given < count && now != 0; given += now) {
        size_t left = count - given;
        now = is_long_run(blocks + given, left, class->size) ? run_give(slab, class, blocks + given, left) : 0;
        if (now == 0)
            now = each_give(slab, class, blocks + given, left < EACH ? left : EACH);
    }
    bool is_wrong = given < count && ptr_offset(blocks[given], slab->base) < (size_t)slab->granules << GRANULE_SHIFT;
    *answer = is_wrong ? neb_slab_look(slab, blocks[given]) : SLAB_OK;
    slab->free_count = (uint16_t)(slab->free_count + given);
    return given;
}

/* The array is filled from its end, so that whoever pops gets ascending addresses. */
size_t neb_slab_take_bits(struct slab *slab, void **into, size_t count)
{
    size_t size = neb_size_class[slab->class_index].size;
    if (count > slab->free_count)
        count = slab->free_count;
    void **end = into + count;
    unsigned word = slab->word_hint;
    while (end > into) {
        uint64_t bits = slab->free_bits[word];
        unsigned char *first = ptr_add(slab->base, word * 64 * size);
        for (; bits != 0 && end > into; bits &= bits - 1)
            *--end = ptr_add(first, bits_lowest(bits) * size);
        slab->free_bits[word] = bits;
        if (bits == 0)
            word++;
    }
    slab->word_hint = (uint8_t)(word < SLAB_BITS_WORDS ? word : SLAB_BITS_WORDS - 1);
    slab->free_count = (uint16_t)(slab->free_count - count);
    slab->purged = 0;
    return count;
}

size_t neb_slab_take_fresh(struct slab *slab, void **into, size_t count)
{
    size_t size = neb_size_class[slab->class_index].size;
    size_t left = (size_t)(slab->capacity - slab->bump);
    if (count > left)
        count = left;
    unsigned char *block = ptr_add(slab->base, slab->bump * size);
    for (void **end = into + count; end > into; block += size)
        *--end = block;
    slab->bump = (uint16_t)(slab->bump + count);
    return count;
}

/* Sets the bits from first up to behind, but each one of a stride, which divides 64. */
static void holes_free(struct slab *slab, size_t first, size_t behind, size_t stride)
{
    uint64_t taken = UINT64_MAX / ((UINT64_C(1) << stride) - 1) << first % stride;
    for (size_t next; first < behind; first = next) {
        next = (first | 63) + 1 < behind ? (first | 63) + 1 : behind;
        slab->free_bits[first / 64] |= bits_range((unsigned)(first % 64), (unsigned)(next - first)) & ~taken;
    }
}

size_t neb_slab_take_apart(struct slab *slab, void **into, size_t count, size_t stride)
{
    size_t size = neb_size_class[slab->class_index].size;
    size_t first = slab->bump, left = slab->capacity - first, fits = (left + stride - 1) / stride;
    if (count > fits)
        count = fits;
    size_t behind = count * stride < left ? first + count * stride : slab->capacity;
    unsigned char *block = ptr_add(slab->base, first * size);
    for (void **end = into + count; end > into; block += stride * size)
        *--end = block;
    holes_free(slab, first, behind, stride);
    hint_lower(slab, first / 64);
    slab->free_count = (uint16_t)(slab->free_count + behind - first - count);
    slab->bump = (uint16_t)behind;
    return count;
}

/* Whether every block that touches the bytes from begin up to end is free or was never handed out. */
static bool range_is_free(const struct slab *slab, size_t begin, size_t end)
{
    const struct size_class *class = &neb_size_class[slab->class_index];
    size_t first = size_class_index(class, begin), last = size_class_index(class, end - 1);
    for (size_t index = first; index <= last && index < slab->bump; index++)
        if ((slab->free_bits[index / 64] >> (index % 64) & 1) == 0)
            return false;
    return true;
}

/* A part is a page, or the smallest whole number of pages such that 64 parts cover the slab. Neighbouring parts go
 * back in one system call. */
NEB_SELDOM size_t neb_slab_purge(struct slab *slab)
{
    size_t bytes = (size_t)slab->granules << GRANULE_SHIFT, page = neb_vm_page_size();
    size_t part = bytes / 64 > page ? bytes / 64 : page;
    size_t touched = (size_t)slab->bump * neb_size_class[slab->class_index].size;
    size_t run = 0, given = 0;
    for (size_t begin = 0; begin < bytes + part; begin += part) {
        uint64_t bit = begin < bytes ? UINT64_C(1) << (begin / part) : 0;
        if (begin < touched && (slab->purged & bit) == 0 && range_is_free(slab, begin, begin + part)) {
            slab->purged |= bit;
            run += part;
        } else if (run > 0) {
            if (neb_vm_purge(slab->base + begin - run, run))
                given += run;
            run = 0;
        }
    }
    return given;
}
