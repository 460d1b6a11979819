/* size_class.h - which block sizes there are, and where each request goes.
 *
 *   16 32 48 ... 128 | 144 160 ... 256 | 288 ... 512 | ... | 36864 40960 ... 65536      (bytes; waste <= 12.5 %)
 *
 * Constant tables: the first malloc needs no initialisation. */
#ifndef NEB_HEAP_SIZE_CLASS_H
#define NEB_HEAP_SIZE_CLASS_H

#include "base/attr.h"
#include "base/ptr.h"
#include "policy/tuning.h"
#include <stdbool.h>

/* A pool's hot part, laid out in heap.h: the tables hold byte offsets of bins, so that no fast path multiplies. */
enum {
    BIN_BYTES = 16,
    BIN_FIRST_OFFSET = 32,
    CLASS_BIG_FIRST = 56, /* the first one of big blocks */
    BIG_FIRST_OFFSET = BIN_FIRST_OFFSET + BIN_BYTES * CLASS_BIG_FIRST
};
_Static_assert(BIN_FIRST_OFFSET + CLASS_COUNT * BIN_BYTES < 4096, "a bin's offset is 12 bits of a page-map entry");

struct size_class {
    uint64_t inverse; /* ceil(2^40 / size): (offset * inverse) >> 40 is offset / size for every offset in a slab */
    uint32_t size;    /* bytes */
    uint16_t capacity; /* blocks in a slab */
    uint16_t granules; /* of a slab */
};

extern NEB_HIDDEN const struct size_class neb_size_class[CLASS_COUNT];
/* Offset of the bin in struct heap: by the size up to FAST_MAX, then by (size + 127) / 128, of which all larger classes are multiples.
 * Little, so that few of its pages are mapped. */
enum { MEDIUM_SHIFT = 7, MEDIUM_STEP_FIRST = (FAST_MAX >> MEDIUM_SHIFT) + 1 };
extern NEB_HIDDEN const uint16_t neb_bin_offset[FAST_MAX + 1 + (SMALL_MAX >> MEDIUM_SHIFT) + 1 - MEDIUM_STEP_FIRST];

NEB_INLINE bool size_class_is_big(const struct size_class *class)
{
    return class->size > BIG_MIN;
}

/* Its slabs are several granules, so that an address alone does not tell where its slab begins. Such a class is big. */
NEB_INLINE bool size_class_is_wide(const struct size_class *class)
{
    return class->granules > 1;
}

NEB_INLINE unsigned size_class_of_offset(size_t bin_offset)
{
    return (unsigned)((bin_offset - BIN_FIRST_OFFSET) / BIN_BYTES);
}

_Static_assert(sizeof(struct size_class) == BIN_BYTES, "a class lies as far behind the first as its bin does");
NEB_INLINE const struct size_class *size_class_at(size_t bin_offset)
{
    return (const struct size_class *)(const void *)((const unsigned char *)neb_size_class + (bin_offset - BIN_FIRST_OFFSET));
}

/* What to look for when so many bytes are asked for: medium and large blocks have a byte to spare, so that who writes one too many hits nothing of
 * another's. A block of 64 KiB has none, since it fills a granule and would take two. bench: git has 6 % more memory with one.
 * size <= PTRDIFF_MAX */
NEB_INLINE size_t size_with_spare(size_t size)
{
    return size + (size > FAST_MAX && size != SMALL_MAX);
}

/* FAST_MAX < size <= SMALL_MAX */
NEB_INLINE size_t size_medium_offset(size_t size)
{
    return neb_bin_offset[((size + (1u << MEDIUM_SHIFT) - 1) >> MEDIUM_SHIFT) + FAST_MAX + 1 - MEDIUM_STEP_FIRST];
}

/* size <= SMALL_MAX */
NEB_INLINE size_t size_bin_offset(size_t size)
{
    return NEB_LIKELY(size <= FAST_MAX) ? neb_bin_offset[size] : size_medium_offset(size);
}

/* size <= SMALL_MAX */
NEB_INLINE unsigned size_class_of(size_t size)
{
    return size_class_of_offset(size_bin_offset(size));
}

NEB_INLINE size_t size_class_index(const struct size_class *class, size_t offset)
{
    return (size_t)((offset * class->inverse) >> 40);
}

/* Whether a block begins at this offset in a slab. */
NEB_INLINE bool size_class_is_begin(const struct size_class *class, size_t offset)
{
    size_t index = size_class_index(class, offset);
    return NEB_LIKELY(index * class->size == offset && index < class->capacity);
}

/* The multiple of an alignment (a power of two) that holds size bytes. Its class is the smallest whose blocks are all aligned: slabs begin
 * at a granule, and classes are a power of two apart. Where that is less than the alignment, a class has just this size; else the sizes of
 * all classes are multiples. */
NEB_INLINE size_t size_class_room(size_t size, size_t alignment)
{
    return size_align_up(size + (size == 0), alignment);
}

NEB_INLINE bool size_class_is_alignable(size_t size, size_t alignment)
{
    return size <= SMALL_MAX && alignment <= SMALL_MAX;
}

/* CLASS_COUNT when there is none. */
NEB_INLINE unsigned size_class_aligned(size_t size, size_t alignment)
{
    return size_class_is_alignable(size, alignment) ? size_class_of(size_class_room(size, alignment)) : CLASS_COUNT;
}

#endif
