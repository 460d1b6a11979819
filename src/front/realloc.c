/* realloc.c - realloc; see alloc.h.
 *
 *   neb_realloc --> in my slab, and it fits: stays
 *          `------> realloc_own: in my slab, and it does not --> allocated, copied, freed
 *          `------> realloc_slow: all others; some grow where they are, or by moving pages
 *
 * Law        the contents are kept, up to the smaller size; where the answer is NULL p is as it was, but for size 0, which frees it
 *            what is no block in use is reported, as far as that can be known, before it is copied */
#include "front/alloc_inner.h"
#include "front/hardened.h"
#include "front/region.h"
#include "heap/large.h"
#include "heap/magazine.h"
#include "heap/slab.h"
#include <errno.h>
#include <string.h>

/* Of a block that is guarded or dressed, in use; else it is reported. */
static bool known_size(const void *p, const char *call, size_t *size)
{
    return POLICY_GUARD && neb_guard_knows(p) ? neb_guard_size(p, call, size) : neb_check_size(p, call, size);
}

/* Stays where it is while at least half of the block is used, or there is nothing smaller. */
static bool fits_in_place(size_t old_size, size_t size)
{
    return size <= old_size && (size >= old_size / 2 || old_size == neb_size_class[0].size);
}

/* What grows by little will grow again: a quarter more than it was, so that n bytes appended cost O(n) of copying. */
static size_t roomy(size_t old_size, size_t size)
{
    size_t more = old_size + old_size / 4;
    return size > old_size && size < more ? more : size;
}

/* Beyond the pools' sizes a block grows where it is, or by moving pages. */
static size_t with_room(size_t old_size, size_t size)
{
    size_t more = roomy(old_size, size);
    return more <= SMALL_MAX ? more : size;
}

/* A block to which one of old_size moves. With canaries it stays where it is from now on, while it has room. */
static void *checked_target(size_t old_size, size_t size, const struct place *place)
{
    if (!check_has(CHECK_CANARY))
        return neb_malloc(with_room(old_size, size));
    if (NEB_UNLIKELY(neb_tls.state > THREAD_ENDED)) /* in a scope, or a handler */
        return neb_malloc(size);
    void *block = neb_checked_from_heap(size, roomy(old_size, size) - size, 16, FAMILY_MALLOC, false, place);
    if (block == NULL)
        return neb_malloc(size);
    neb_check_let_resize(block);
    return block;
}

/* A guarded block of many bytes that grows by little: it moves this time, and then stays where it is. Little ones always move, so that
 * they end at an inaccessible page, and that whoever kept the old address is found out. NULL: none of that. */
static void *growing_target(uint32_t entry, size_t old_size, size_t size)
{
    if (!POLICY_GUARD || !neb_guard_is_wanted || entry != ENTRY_NONE || size < GUARD_GROWING_MIN || roomy(old_size, size) == size)
        return NULL;
    int saved = errno;
    void *block = neb_guard_alloc_growing(size, FAMILY_MALLOC);
    errno = saved;
    return block;
}

static bool guarded_grow(void *p, uint32_t entry, size_t size)
{
    int saved = errno;
    bool grown = POLICY_GUARD && neb_guard_is_wanted && entry == ENTRY_NONE && neb_guard_grow(p, size);
    errno = saved;
    return grown;
}

/* Without canaries the block has all of its cell, and stays where it would without checks. */
static void *checked_resize(void *p, uint32_t entry, size_t old_size, size_t size, const struct place *place)
{
    size_t room = check_room(size, 16);
    if (guarded_grow(p, entry, size))
        return p;
    if (check_has(CHECK_CANARY))
        return neb_check_resize(p, size, place) ? p : NULL;
    if (entry == ENTRY_NONE || room <= old_size)
        return entry != ENTRY_NONE && fits_in_place(old_size, room) ? p : NULL;
    int saved = errno;
    void *resized = entry_is_pooled(entry) ? NULL : neb_large_resize(p, entry, room);
    errno = saved;
    return resized;
}

static void *checked_realloc(void *p, size_t size, uint32_t entry, const struct place *place)
{
    size_t old_size;
    if (!known_size(p, "realloc", &old_size))
        return NULL; /* reported; the program goes on without it */
    void *block = checked_resize(p, entry, old_size, size, place);
    if (block != NULL)
        return block;
    block = growing_target(entry, old_size, size);
    if (block == NULL && (block = checked_target(old_size, size, place)) == NULL)
        return NULL;
    memcpy(block, p, old_size < size ? old_size : size);
    if (!neb_hardened_free(p))
        neb_free_any(p, &(struct check_call){.name = "realloc", .place = place});
    return block;
}

static void *copy_to_new(const void *p, size_t old_size, size_t size)
{
    void *block = neb_malloc(size);
    return block == NULL ? NULL : memcpy(block, p, old_size < size ? old_size : size);
}

static void *realloc_by_copy(void *p, size_t old_size, size_t size)
{
    void *block = copy_to_new(p, old_size, size);
    if (NEB_LIKELY(block != NULL)) /* else p stays as it was */
        neb_free(p);
    return block;
}

/* Grows or shrinks where it is, or moves: to the heap, or within an ambient scope. */
static NEB_COLD void *realloc_region(void *p, size_t size, uint32_t entry)
{
    int saved = errno;
    void *resized = neb_region_resize(p, entry, size);
    errno = saved;
    return resized != NULL ? resized : realloc_by_copy(p, neb_region_size(p), size);
}

static NEB_NOINLINE void *realloc_slow(void *p, size_t size)
{
    if (p == NULL)
        return neb_malloc(size);
    struct place place = PLACE_OF_PROGRAM();
    if (size == 0) { /* as in glibc: frees, and nothing is allocated */
        neb_free_any(p, &(struct check_call){.name = "realloc", .place = &place});
        return NULL;
    }
    if (NEB_UNLIKELY(size > PTRDIFF_MAX))
        return neb_out_of_memory();
    uint32_t entry = page_map_load(p);
    if (NEB_UNLIKELY(entry_is_region(entry)))
        return realloc_region(p, size, entry);
    if (is_guarded(p, entry) || (check_is_on() && neb_check_knows(p)))
        return checked_realloc(p, size, entry, &place);
    size_t old_size = neb_size_live(p, entry, "realloc");
    if (is_mine(heap_current(), entry))
        heap_current()->window = window_copy(); /* the fast path did not know it */
    if (entry_is_pooled(entry) && fits_in_place(old_size, size))
        return p;
    if (NEB_UNLIKELY(entry == ENTRY_EMERGENCY || heap_is_in_emergency()))
        return realloc_by_copy(p, old_size, size);
    if (entry == ENTRY_NONE)
        return copy_to_new(p, old_size, size); /* the loader's blocks are left alone */
    if (!entry_is_pooled(entry) && size > SMALL_MAX) {
        int saved = errno;
        void *resized = neb_large_resize(p, entry, size_with_spare(size));
        errno = saved;
        if (resized != NULL)
            return resized;
    }
    return realloc_by_copy(p, old_size, with_room(old_size, size));
}

/* Of a slab of this heap, and not the newest entry of its magazine; offset: its bin's. */
static NEB_NOINLINE void *realloc_own(void *p, size_t size, size_t offset)
{
    unsigned class_index = size_class_of_offset(offset);
    const struct size_class *class = &neb_size_class[class_index];
    if (NEB_UNLIKELY(size == 0 || size > PTRDIFF_MAX || !slab_is_out(slab_of(p), class, p) || neb_magazine_knows(heap_current(), class_index, p, FREED_LOOKS)))
        return realloc_slow(p, size);
    return fits_in_place(class->size, size) ? p : realloc_by_copy(p, class->size, with_room(class->size, size));
}

/* Most blocks are in a slab of the caller's, and stay where they are. What is wrong with one is for the slow path to say. */
void *neb_realloc(void *p, size_t size)
{
    struct heap *heap = heap_current();
    size_t offset = window_load(&heap->window, p) ^ heap->tag;
    if (NEB_UNLIKELY(POLICY_EVERY_CALL_SLOW || offset > ENTRY_OFFSET_MASK || bin_newest(heap_bin_at(heap, offset)) == p))
        return realloc_slow(p, size);
    const struct size_class *class = &neb_size_class[size_class_of_offset(offset)];
    const struct bin *bin = heap_bin_at(heap, offset);
    bool is_full = bin->top >= bin->limit; /* or wary: it may know p */
    if (NEB_UNLIKELY(size == 0 || !fits_in_place(class->size, size) || is_full || !slab_is_out(slab_of(p), class, p)))
        return realloc_own(p, size, offset);
    return p;
}

void *neb_reallocarray(void *p, size_t count, size_t size)
{
    size_t bytes;
    if (NEB_UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        return neb_out_of_memory();
    return neb_realloc(p, bytes);
}
