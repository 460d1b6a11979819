/* slab.h - blocks of one size class, described out of line.
 *
 *   base                      bump                      capacity      (block numbers)
 *   | used or free: free_bits | never handed out: zero  |
 *
 * Invariant  a block at or above bump has no bit; free_count counts the bits; every block is free when
 *            free_count == bump
 * Ownership  base, class, capacity, granules: constant while the slab exists; listed: see pool.c; all else: the
 *            heap that the page map names, and nobody while it names none: who wants it claims it first
 * Locks      takes none
 * Failure    none; neb_slab_give tells what is wrong with a pointer */
#ifndef NEB_HEAP_SLAB_H
#define NEB_HEAP_SLAB_H

#include "base/bits.h"
#include "base/list.h"
#include "base/ptr.h"
#include "heap/record.h"
#include "heap/size_class.h"
#include <stdatomic.h>

enum { SLAB_BITS_WORDS = GRANULE_BYTES / 16 / 64 };

struct slab {
    unsigned char *base;
    struct list_node node; /* in one list of its owner's pool, or in the list of ownerless slabs */
    uint16_t class_index;
    uint16_t capacity;   /* blocks */
    uint16_t bump;       /* first block that was never handed out */
    uint16_t free_count; /* bits that are set */
    _Atomic uint8_t listed; /* in the list of ownerless partial slabs */
    uint8_t granules;
    uint8_t word_hint;   /* no word below it has a bit set */
    uint8_t is_clean;    /* what lies above bump reads as zero */
    uint64_t purged;     /* sixty-fourths of the slab whose pages were given back since blocks were last taken */
    void *records;       /* where blocks are checked: one for each, or only their states (record.h); else NULL */
    uint64_t free_bits[SLAB_BITS_WORDS];
};

NEB_INLINE bool slab_has_free(const struct slab *slab)
{
    return slab->free_count != 0 || slab->bump != slab->capacity;
}

NEB_INLINE bool slab_is_unused(const struct slab *slab)
{
    return slab->free_count == slab->bump;
}

/* Number of the block that begins at p; SIZE_MAX when none does. p lies in the slab. Any thread. */
NEB_INLINE size_t slab_block_index(const struct slab *slab, const void *p)
{
    const struct size_class *class = &neb_size_class[slab->class_index];
    size_t offset = ptr_offset(p, slab->base);
    return NEB_LIKELY(size_class_is_begin(class, offset)) ? size_class_index(class, offset) : SIZE_MAX;
}

NEB_INLINE void *slab_block(const struct slab *slab, size_t index)
{
    return ptr_add(slab->base, index * neb_size_class[slab->class_index].size);
}

/* Whether a block begins at p that is out of the slab: in use, or waiting in a magazine or batch. Owner only. */
NEB_INLINE bool slab_is_out(const struct slab *slab, const struct size_class *class, const void *p)
{
    size_t offset = ptr_offset(p, slab->base), index = size_class_index(class, offset);
    return index < slab->bump && index * class->size == offset && (slab->free_bits[index / 64] >> (index % 64) & 1) == 0;
}

/* Sets the bit of the block at an offset in the slab. False: no block in use begins there, nothing changed. Owner only. */
NEB_INLINE bool slab_give_at(struct slab *slab, const struct size_class *class, size_t offset)
{
    size_t index = size_class_index(class, offset), word = index / 64;
    uint64_t bit = UINT64_C(1) << (index % 64);
    if (NEB_UNLIKELY(index >= slab->bump || index * class->size != offset || (slab->free_bits[word] & bit) != 0))
        return false;
    slab->free_bits[word] |= bit;
    slab->free_count++;
    if (word < slab->word_hint)
        slab->word_hint = (uint8_t)word;
    return true;
}

enum slab_answer {
    SLAB_OK,
    SLAB_NOT_A_BLOCK,   /* p is inside a block or behind the last one */
    SLAB_ALREADY_FREE,  /* its bit is set */
    SLAB_NEVER_HANDED   /* at or above the bump arena's start */
};

/* Prepares a descriptor in zeroed or reused memory. */
void neb_slab_init(struct slab *slab, void *base, unsigned class_index, bool is_clean);
/* Sets the bits of the leading blocks that lie in the slab, up to count; how many. *answer: SLAB_OK, or what is wrong
 * with the next one. Owner only. */
size_t neb_slab_give(struct slab *slab, void *const *blocks, size_t count, enum slab_answer *answer);
/* Whether the block at p is free as far as the bitmap knows (magazines are not asked). Owner only. */
enum slab_answer neb_slab_look(const struct slab *slab, const void *p);
/* Takes up to count blocks with bits, ascending from the lowest; puts the last one taken into into[0]. Owner only. */
size_t neb_slab_take_bits(struct slab *slab, void **into, size_t count);
/* Takes up to count blocks from the bump arena, in the same order. Owner only. */
size_t neb_slab_take_fresh(struct slab *slab, void **into, size_t count);
/* The same with stride - 1 blocks between two that are taken, whose bits are set. */
size_t neb_slab_take_apart(struct slab *slab, void **into, size_t count, size_t stride);
/* Gives back the pages on which no block is in use; bytes given. Owner only. */
size_t neb_slab_purge(struct slab *slab);

#endif
