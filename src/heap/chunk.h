/* chunk.h - 4 MiB of address space cut into granules, and who has them.
 *
 *   granule   0 1 2 3 4 5 ...            63
 *   free      0 0 0 1 1 1                 1     nobody has it
 *   clean             1                   1     ... and its pages read as zero: never touched, or given back
 *
 * Free granules that are not clean stay resident for a while, since they are the warmest memory there is; after
 * decay_ms their pages go back, and a whole free chunk is unmapped.
 *
 * Ownership  free, clean, huge, node: LOCK_CHUNK; head, slab of a taken granule: who took it; base: constant
 * Locks      LOCK_CHUNK, never held across a system call
 * Failure    NULL when the system has no memory; nothing changed
 * Sync       C1: descriptors are published through the page map (P3) and never unmapped */
#ifndef NEB_HEAP_CHUNK_H
#define NEB_HEAP_CHUNK_H

#include "heap/page_map.h"
#include "heap/slab.h"

struct chunk {
    unsigned char *base;
    struct list_node node;       /* among chunks with the same longest run of free granules */
    struct list_node dirty_node; /* among chunks with resident free granules, the longest-waiting last */
    uint64_t free, clean;        /* bit i: granule i */
    uint64_t guard;              /* neither free nor taken: inaccessible for good (the option harden) */
    uint64_t uncommitted;        /* neither free nor taken: address space only */
    uint64_t huge;               /* huge pages were asked for */
    uint32_t dirty_since_ms;
    uint8_t head[CHUNK_GRANULES];     /* first granule of the slab or block that has granule i */
    uint8_t granules[CHUNK_GRANULES]; /* of the large block that begins at granule i */
    struct slab slab[CHUNK_GRANULES]; /* the slab that begins at granule i */
    struct cell_record_of_origin record[CHUNK_GRANULES]; /* of the large block that begins at granule i */
    _Atomic size_t slack[CHUNK_GRANULES]; /* where blocks are checked: bytes of it behind the program's block */
};

struct granules {
    struct chunk *chunk; /* NULL: no memory */
    unsigned first, count;
    bool is_clean;
    bool is_huge;    /* huge pages were asked for: never populate */
    bool opens_huge; /* ... just now */
};

NEB_INLINE unsigned chunk_granule_of(const void *p)
{
    return (unsigned)(ptr_address(p) >> GRANULE_SHIFT) % CHUNK_GRANULES;
}

NEB_INLINE unsigned char *granules_base(const struct granules *granules)
{
    return granules->chunk->base + ((size_t)granules->first << GRANULE_SHIFT);
}

/* The slab around p, which lies in one. */
NEB_INLINE struct slab *slab_of(const void *p)
{
    struct chunk *chunk = page_map_chunk(p);
    return &chunk->slab[chunk->head[chunk_granule_of(p)]];
}

enum granule_use {
    GRANULES_DENSE, /* a slab of little blocks in a pool that only grows: all of it will be used, a reason for huge pages */
    GRANULES_SPARSE /* any other slab, or one block, of which the program may touch little */
};

/* 1 <= count <= 64. */
struct granules neb_granules_take(unsigned count, enum granule_use use);
void neb_granules_give(struct chunk *chunk, unsigned first, unsigned count);
/* Takes the granules behind a run too, if they are free. */
bool neb_granules_extend(struct chunk *chunk, unsigned first, unsigned count, unsigned new_count);
/* Pages of these granules, which are the caller's, went back: no huge page is asked for around them any more. */
void neb_granules_forgo_huge_pages(const void *base, unsigned count);

/* Gives back pages that have been free since before now - decay, of DECAY_CHUNKS_MAX chunks at the most. False: nothing was
 * due. */
bool neb_chunk_decay(uint32_t now_ms, uint32_t decay_ms);
/* Gives back every free page, and the address space of whole free chunks; bytes given. */
size_t neb_chunk_trim(void);

struct chunk_counts {
    size_t chunks, granules_free, granules_clean, granules_uncommitted;
    size_t granules_used, granules_used_peak;
    size_t chunks_mapped, chunks_unmapped; /* since the start */
};
struct chunk_counts neb_chunk_counts(void);
/* Every chunk, in the order of addresses, also those that come or go meanwhile; of one that is unmapped no granule has an entry. A false
 * answer ends it, and is the answer. Takes no lock. */
bool neb_chunks_walk(bool (*visit)(void *argument, struct chunk *chunk), void *argument);
/* Whether huge pages may be asked for. */
void neb_chunk_set_huge_pages(bool wanted);
/* Once, before there are threads: granules are taken at random, and each new chunk ends with an inaccessible one. */
void neb_chunk_harden(void);

#endif
