/* alloc.h - malloc and its relatives with C's semantics, not yet under their names.
 *
 *   neb_malloc(n):  offset = neb_bin_offset[n]                 of the bin; above 1,024 bytes the table goes in steps
 *                   magazine not empty -> pop                  otherwise refill, out of line
 *   neb_free(p):    entry = window[(top - p) / 64 KiB]         one look-up gives both owner and size class
 *                   offset = entry XOR my heap's tag           a small number only if the slab is mine
 *                   magazine not full -> push                  otherwise: null, foreign, another's, large, full, freed last
 *
 * Files      the slow paths: alloc.c, free.c, realloc.c, size.c, tidy.c, which share alloc_inner.h
 * Units      bytes. Blocks are aligned to 16, or as asked for.
 * Threads    any
 * Errors     NULL and errno = ENOMEM (EINVAL for an alignment); free keeps errno
 * Complexity O(1) but for refills, which are amortised O(1) too */
#ifndef NEB_FRONT_ALLOC_H
#define NEB_FRONT_ALLOC_H

#include "heap/heap.h"
#include "unwind/step.h"

/* The slow paths; they also serve as the only paths in policies that look at every call. */
void *neb_malloc_slow(size_t size);
void *neb_malloc_medium(size_t size);
void neb_free_slow(void *p);

/* The newest entry; NULL: the magazine is empty. */
NEB_INLINE void *bin_newest(const struct bin *bin)
{
    return *bin->top;
}

NEB_INLINE void *bin_pop(struct bin *bin)
{
    void *block = bin_newest(bin);
    if (NEB_LIKELY(block != NULL))
        bin->top--;
    return block;
}

/* The same of the thread's source, for the fast paths; NULL: for the slow ones. The bin is addressed by base and offset, and the top is moved
 * where it is: gcc does not do that by itself, which costs malloc three instructions. */
NEB_INLINE void *source_pop(size_t offset)
{
    struct heap *heap = heap_source();
    void *block = bin_newest(heap_bin_at(heap, offset));
    NEB_OPAQUE(block);
    if (NEB_UNLIKELY(block == NULL))
        return NULL;
    NEB_OPAQUE(offset);
    heap_bin_at(heap, offset)->top--;
    return block;
}

/* size <= FAST_MAX */
NEB_INLINE void *fast_pop(size_t size)
{
    return source_pop(size_bin_offset(size));
}

/* A block that is aligned. */
NEB_INLINE void *aligned_pop(size_t size, size_t alignment)
{
    if (POLICY_EVERY_CALL_SLOW || NEB_UNLIKELY(!size_class_is_alignable(size, alignment)))
        return NULL;
    return source_pop(size_bin_offset(size_class_room(size, alignment)));
}

NEB_INLINE void *neb_malloc(size_t size)
{
    if (POLICY_EVERY_CALL_SLOW)
        return neb_malloc_slow(size);
    if (NEB_UNLIKELY(size > FAST_MAX))
        return neb_malloc_medium(size);
    void *block = fast_pop(size);
    return NEB_LIKELY(block != NULL) ? block : neb_malloc_slow(size);
}

/* What cannot be pushed is for the slow path: also a block that is the newest entry already, for it was freed twice. The bin is
 * addressed by base and offset each time, which costs nothing. The top is stored, not incremented where it is, which would be an instruction
 * less: bench trees takes 0.6 of the time by that on an Intel Xeon of 2024, bulk 0.9. */
NEB_INLINE void neb_free(void *p)
{
    struct heap *heap = heap_current();
    size_t offset = window_load(&heap->window, p) ^ heap->tag;
    if (NEB_UNLIKELY(POLICY_EVERY_CALL_SLOW || offset > ENTRY_OFFSET_MASK)) {
        neb_free_slow(p);
        return;
    }
    void **top = heap_bin_at(heap, offset)->top;
    NEB_OPAQUE(offset);
    if (NEB_UNLIKELY(top >= heap_bin_at(heap, offset)->limit || *top == p)) {
        neb_free_slow(p);
        return;
    }
    top[1] = p;
    NEB_OPAQUE(offset);
    heap_bin_at(heap, offset)->top = top + 1;
}

void *neb_calloc(size_t count, size_t size);
void *neb_realloc(void *p, size_t size);
void *neb_reallocarray(void *p, size_t count, size_t size);
/* alignment: a power of two; errno ENOMEM. */
void *neb_memalign(size_t alignment, size_t size);
/* 0 for NULL. */
size_t neb_usable_size(const void *p);
/* Says so when the size cannot be that of the block, then frees it. */
void neb_free_sized(void *p, size_t size, const char *call);

/* Where a call of the program's goes on, in a function that was jumped to: for the policy that remembers it. */
#define PLACE_OF_PROGRAM() (POLICY_ORIGIN ? PLACE_OF_CALLER() : place_unknown(0))

/* What the C++ operators call: no errno. family: enum family of check/check.h, and where the program called: only the checked policy
 * remembers them. */
void *neb_allocate_as(size_t size, size_t alignment, unsigned family, const struct place *place);

/* A free that says what it knows of the block; where nobody listens it is the plain one. alignment 0: not stated. */
void neb_free_checked(void *p, const char *call, unsigned family, size_t size, size_t alignment);
#define SIZE_UNSTATED SIZE_MAX

NEB_INLINE void neb_free_as(void *p, const char *call, unsigned family, size_t size, size_t alignment)
{
    if (POLICY_ORIGIN)
        neb_free_checked(p, call, family, size, alignment);
    else if (size != SIZE_UNSTATED)
        neb_free_sized(p, size, call);
    else
        neb_free(p);
}

/* Where blocks are checked: all that are in use and in quarantine are verified. */
void neb_verify(void);
/* What the thread, and threads that ended, freed and nobody looked at yet is looked at. */
void neb_verify_freed(void);

/* Gives back to the system what the calling thread's heap, ownerless slabs, free granules and kept mappings can
 * spare; bytes. */
size_t neb_trim(void);

#endif
