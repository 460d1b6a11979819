/* alloc.c - see alloc.h. */
#include "front/alloc.h"

#include "check/check.h"
#include "check/guard.h"
#include "front/hardened.h"
#include "front/loader.h"
#include "front/recorder.h"
#include "front/region.h"
#include "front/scope.h"
#include "heap/emergency.h"
#include "heap/fault.h"
#include "heap/large.h"
#include "heap/mix.h"
#include "heap/pool.h"
#include "heap/upkeep.h"
#include "os/env.h"
#include "os/vm.h"
#include <errno.h>
#include <string.h>

enum { FILL_FRESH = 0xA5, FILL_FREED = 0x5A };

/* ---- allocation ------------------------------------------------------------------------------------------------------ */

static void raw_free(void *p, const char *call);

static bool pool_fill(struct heap *heap, unsigned class_index)
{
    if (!neb_pool_refill(heap, class_index))
        return false;
    if (NEB_UNLIKELY(neb_heap_is_hardened()))
        neb_magazine_mix(heap, class_index);
    return true;
}

static void *pool_pop(struct heap *heap, unsigned class_index)
{
    struct bin *bin = &heap->bin[class_index];
    void *block = bin_pop(bin);
    if (block == NULL && pool_fill(heap, class_index))
        block = bin_pop(bin);
    if (POLICY_COUNT && block != NULL)
        counter_add(&heap->pool[class_index].counts.allocs, 1);
    return block;
}

static void *small_alloc(unsigned class_index)
{
    struct heap *heap = neb_heap_enter();
    bool is_late = heap_is_watched() && neb_heap_wake(heap);
    void *block = pool_pop(heap, class_index);
    heap_tick(heap);
    neb_heap_leave(heap);
    if (is_late)
        neb_huge_decay(neb_clock_ms(), neb_heap_decay());
    if (POLICY_TRACE)
        neb_recorder_look();
    return block;
}

/* Large blocks have no heap, but what decays is looked after by whoever calls. */
static void large_tick(void)
{
    static _Atomic uint32_t calls;
    if (atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) % TICK_CALLS == 0) { /* a count, nothing more */
        uint32_t now = neb_clock_ms(), decay = neb_heap_decay();
        neb_huge_decay(now, decay);
        (void)neb_chunk_decay(now, decay);
    }
    if (POLICY_TRACE)
        neb_recorder_look();
}

static void *large_alloc(size_t size, size_t alignment, bool *zeroed)
{
    large_tick();
    return neb_large_alloc(size == 0 ? 1 : size, alignment, zeroed);
}

static void *heap_alloc_once(size_t size, size_t alignment, bool *zeroed)
{
    unsigned class_index = alignment <= 16 ? (size <= SMALL_MAX ? size_class_of(size) : CLASS_COUNT)
                                           : size_class_aligned(size, alignment);
    return class_index < CLASS_COUNT ? small_alloc(class_index) : large_alloc(size, alignment, zeroed);
}

/* When the system has no more, what is kept for reuse may be what is missing. */
static void *heap_alloc(size_t size, size_t alignment, bool *zeroed)
{
    int saved = errno;
    void *block = heap_alloc_once(size, alignment, zeroed);
    if (NEB_UNLIKELY(block == NULL)) {
        (void)neb_trim();
        block = heap_alloc_once(size, alignment, zeroed);
    }
    errno = saved;
    return block;
}

/* NULL: not guarded. */
static void *guarded_alloc(size_t size, size_t alignment, enum family family, bool clear)
{
    if (!POLICY_GUARD || !neb_guard_is_wanted)
        return NULL;
    int saved = errno;
    void *block = neb_guard_alloc(size, alignment, family, clear ? CONTENT_IS_ZERO : CONTENT_FILL);
    errno = saved;
    return block;
}

/* A cell that is dressed for the program (check/check.h), with spare bytes for it to grow. */
static NEB_SELDOM void *checked_from_heap(size_t size, size_t spare, size_t alignment, enum family family, bool clear, const struct place *place)
{
    void *guarded = guarded_alloc(size, alignment, family, clear);
    if (guarded != NULL)
        return guarded;
    size_t room = neb_check_room(size + spare, alignment);
    bool zeroed = false;
    if (room > PTRDIFF_MAX)
        return NULL;
    void *raw = heap_alloc(room, alignment, &zeroed);
    if (raw == NULL)
        return NULL;
    enum content content = !clear ? CONTENT_FILL : zeroed ? CONTENT_IS_ZERO : CONTENT_CLEAR;
    void *block = neb_check_dress(raw, size, alignment, family, content, place);
    if (block == NULL)
        raw_free(raw, "free");
    return block;
}

/* In a handler's emergency all comes from there, and inside an ambient scope from the scope, but what a signal handler asks
 * for that interrupted it. False: it is the heap's to serve. *block: NULL without memory. */
static NEB_COLD bool special_alloc(size_t size, size_t alignment, void **block)
{
    neb_heap_end_left_handler();
    if (heap_is_in_emergency()) {
        *block = neb_emergency_alloc(size, alignment);
        return true;
    }
    if (neb_tls.state != THREAD_AMBIENT)
        return false;
    bool is_ordinary;
    int saved = errno;
    *block = neb_ambient_alloc(size, alignment, &is_ordinary);
    errno = saved;
    return !is_ordinary;
}

static bool is_special(size_t size, size_t alignment, void **block)
{
    return NEB_UNLIKELY(neb_tls.state > THREAD_ENDED) && special_alloc(size, alignment, block);
}

static void *checked_alloc(size_t size, size_t alignment, enum family family, bool clear, const struct place *place)
{
    void *block;
    if (!is_special(size, alignment, &block))
        return checked_from_heap(size, 0, alignment, family, clear, place);
    if (block != NULL && (clear || POLICY_FILL))
        memset(block, clear ? 0 : FILL_FRESH, size);
    return block;
}

static void *checked_calloc(size_t size, const struct place *place)
{
    void *block = neb_hardened_alloc(size);
    return block != NULL ? memset(block, 0, size) : checked_alloc(size, 16, FAMILY_MALLOC, true, place);
}

static void *allocate(size_t size, size_t alignment, bool *zeroed)
{
    void *block;
    return is_special(size, alignment, &block) ? block : heap_alloc(size, alignment, zeroed);
}

void *neb_allocate_as(size_t size, size_t alignment, unsigned family, const struct place *place)
{
    if (NEB_UNLIKELY(size > PTRDIFF_MAX))
        return NULL;
    void *block;
    if (check_is_on())
        return alignment <= 16 && (block = neb_hardened_alloc(size)) != NULL ? block : checked_alloc(size, alignment, family, false, place);
    block = allocate(size, alignment, NULL);
    if (POLICY_FILL && block != NULL)
        memset(block, FILL_FRESH, size);
    return block;
}

static NEB_COLD void *out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

static NEB_NOINLINE void *long_malloc(size_t size)
{
    struct place place = PLACE_OF_PROGRAM();
    void *block = size <= PTRDIFF_MAX ? checked_alloc(size, 16, FAMILY_MALLOC, false, &place) : NULL;
    return NEB_LIKELY(block != NULL) ? block : out_of_memory();
}

static NEB_SELDOM NEB_NOINLINE void *checked_malloc(size_t size)
{
    void *block = neb_hardened_alloc(size);
    return NEB_LIKELY(block != NULL) ? block : long_malloc(size);
}

static NEB_NOINLINE void *plain_malloc(size_t size)
{
    void *block = neb_allocate_as(size, 16, FAMILY_MALLOC, NULL);
    return NEB_LIKELY(block != NULL) ? block : out_of_memory();
}

NEB_NOINLINE void *neb_malloc_slow(size_t size)
{
    return check_is_on() ? checked_malloc(size) : plain_malloc(size);
}

NEB_NOINLINE void *neb_malloc_medium(size_t size)
{
    if (NEB_UNLIKELY(size > SMALL_MAX))
        return neb_malloc_slow(size);
    struct bin *bin = heap_bin_at(heap_source(), size_medium_offset(size));
    void *block = bin_newest(bin);
    return NEB_LIKELY(block != NULL) ? bin_take(bin, block) : neb_malloc_slow(size);
}

void *neb_memalign(size_t alignment, size_t size)
{
    void *block = aligned_pop(size, alignment);
    if (NEB_UNLIKELY(block == NULL)) {
        struct place place = PLACE_OF_PROGRAM();
        block = neb_allocate_as(size, alignment, FAMILY_MALLOC, &place);
    }
    return NEB_LIKELY(block != NULL) ? block : out_of_memory();
}

/* A block that is known to be zero, if one is at hand without clearing. Magazines come first: their memory is warm,
 * and clearing a small block costs less than a page fault. */
static void *zero_alloc(size_t size)
{
    if (size <= CALLOC_FRESH_MIN || size > SMALL_MAX || POLICY_FREE_EXACT || check_is_on() || neb_tls.state > THREAD_ENDED)
        return NULL;
    int saved = errno;
    unsigned class_index = size_class_of(size);
    struct heap *heap = neb_heap_enter();
    void *block = *heap->bin[class_index].top == NULL ? neb_pool_take_zero(heap, class_index) : NULL;
    if (POLICY_COUNT && block != NULL)
        counter_add(&heap->pool[class_index].counts.allocs, 1);
    neb_heap_leave(heap);
    errno = saved;
    return block;
}

void *neb_calloc(size_t count, size_t size)
{
    size_t bytes;
    if (NEB_UNLIKELY(__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX))
        return out_of_memory();
    struct place place = PLACE_OF_PROGRAM();
    bool zeroed = false;
    void *block = NULL;
    if (bytes <= CALLOC_FRESH_MIN && !POLICY_EVERY_CALL_SLOW)
        block = fast_pop(bytes);
    else if ((block = zero_alloc(bytes)) != NULL)
        return block;
    if (block == NULL && check_is_on())
        return (block = checked_calloc(bytes, &place)) != NULL ? block : out_of_memory();
    if (block == NULL)
        block = allocate(bytes, 16, &zeroed);
    if (NEB_UNLIKELY(block == NULL))
        return out_of_memory();
    return zeroed ? block : memset(block, 0, bytes);
}

/* ---- sizes ------------------------------------------------------------------------------------------------------------- */

/* From p to the end of its block; 0: p is not the beginning of a block. */
static size_t block_size(const void *p, uint32_t entry)
{
    if (entry == ENTRY_EMERGENCY)
        return neb_emergency_usable(p);
    if (!entry_is_pooled(entry))
        return neb_large_usable(p, entry);
    const struct slab *slab = slab_of(p);
    return slab_block_index(slab, p) == SIZE_MAX ? 0 : neb_size_class[slab->class_index].size;
}

static NEB_SELDOM size_t checked_size(const void *p, uint32_t entry, const char *call)
{
    if (NEB_UNLIKELY(entry_is_region(entry)))
        return neb_region_usable(p, entry, call);
    size_t size = block_size(p, entry);
    if (NEB_UNLIKELY(size == 0) && !(entry == ENTRY_NONE && (size = neb_loader_size(p)) != 0))
        neb_fault_invalid(call, p);
    return size;
}

static bool is_in_magazine(const struct heap *heap, unsigned class_index, const void *p)
{
    const struct pool *pool = &heap->pool[class_index];
    void *const *top = heap->bin[class_index].top;
    for (int looks = 0; pool->magazine != NULL && top > pool->magazine && looks < FREED_LOOKS; looks++, top--)
        if (*top == p)
            return true;
    return false;
}

static bool is_mine(const struct heap *heap, uint32_t entry)
{
    return (entry ^ heap->tag) <= ENTRY_OFFSET_MASK;
}

/* The size of a block that the program goes on using. It is free in spite of that when its slab is mine and its bit is
 * set, or it is one of the newest entries of the magazine. Whoever owns another slab may be changing it at this moment,
 * so of those only the beginnings of blocks are looked at. */
static size_t live_size(const void *p, uint32_t entry, const char *call)
{
    if (!entry_is_pooled(entry))
        return checked_size(p, entry, call);
    const struct slab *slab = slab_of(p);
    const struct heap *heap = heap_current();
    enum slab_answer answer = is_mine(heap, entry)                     ? neb_slab_look(slab, p)
                              : slab_block_index(slab, p) == SIZE_MAX ? SLAB_NOT_A_BLOCK
                                                                      : SLAB_OK;
    if (answer == SLAB_ALREADY_FREE || (answer == SLAB_OK && is_mine(heap, entry) && is_in_magazine(heap, slab->class_index, p)))
        neb_fault_freed(call, p);
    if (answer != SLAB_OK)
        neb_fault_invalid(call, p);
    return neb_size_class[slab->class_index].size;
}

/* The size of a block whose caller only asks, as many do before each free: the page map and the address must do, since
 * the slab's descriptor is a line that nothing else here would read. Of free blocks it knows the newest. */
static size_t asked_size(const void *p, uint32_t entry, const char *call)
{
    if (!entry_is_pooled(entry))
        return checked_size(p, entry, call);
    unsigned class_index = entry_class(entry);
    const struct size_class *class = &neb_size_class[class_index];
    if (size_class_is_wide(class))
        return live_size(p, entry, call);
    if (NEB_UNLIKELY(!size_class_is_begin(class, ptr_address(p) % GRANULE_BYTES)))
        neb_fault_invalid(call, p);
    if (NEB_UNLIKELY(*heap_current()->bin[class_index].top == p))
        neb_fault_freed(call, p);
    return class->size;
}

/* ---- free ------------------------------------------------------------------------------------------------------------- */

static NEB_COLD void free_unknown(void *p, uint32_t entry, const char *call)
{
    if (entry == ENTRY_NONE && neb_loader_owns(p))
        return; /* the loader's own little heap is never reused */
    neb_fault_invalid(call, p);
}

static void pool_free(void *p, uint32_t entry, const char *call)
{
    struct heap *heap = neb_heap_enter();
    heap->window = window_copy();
    if (POLICY_COUNT)
        counter_add(&heap->pool[entry_class(entry)].counts.frees, 1);
    neb_pool_give(heap, p, call);
    if (check_is_on())
        neb_hardened_wait(heap, entry_class(entry), p);
    heap_tick(heap);
    heap_watch_some(heap);
    neb_heap_leave(heap);
    if (POLICY_TRACE)
        neb_recorder_look();
}

static NEB_COLD void emergency_free(void *p, uint32_t entry, const char *call)
{
    if (entry == ENTRY_EMERGENCY && !neb_emergency_free(p))
        neb_fault_invalid(call, p);
}

static void raw_free(void *p, const char *call)
{
    uint32_t entry = page_map_load(p);
    if (entry_is_pooled(entry)) {
        pool_free(p, entry, call);
    } else {
        large_tick();
        if (!neb_large_free(p, entry))
            free_unknown(p, entry, call);
        heap_watch();
    }
}

/* What left the quarantine goes back to the heap. */
static void quarantine_tidy(void)
{
    for (void *raw; (raw = neb_check_expired()) != NULL;)
        raw_free(raw, "free");
}

/* Each block that waits now is tried once: the system may refuse to let go of some. */
static void quarantine_drain(void)
{
    for (size_t left = neb_check_waiting(); left > 0; left--) {
        void *raw = neb_check_drain();
        if (raw != NULL)
            raw_free(raw, "free");
    }
}

/* False: the block is older than the checks. */
static bool checked_free(void *p, const struct check_call *call)
{
    void *raw;
    switch (neb_check_release(p, call, &raw)) {
    case CHECK_UNDRESSED:
        return false;
    case CHECK_GIVE:
        raw_free(raw, call->name);
        break;
    case CHECK_DONE:
        return true;
    }
    quarantine_tidy();
    return true;
}

static bool is_guarded(const void *p, uint32_t entry)
{
    return POLICY_GUARD && entry == ENTRY_NONE && neb_guard_knows(p);
}

static void free_as(void *p, const struct check_call *call)
{
    if (p == NULL)
        return;
    int saved = errno;
    uint32_t entry = page_map_load(p);
    if (NEB_UNLIKELY(entry == ENTRY_EMERGENCY || heap_is_in_emergency())) {
        emergency_free(p, entry, call->name); /* in an emergency other blocks are lost */
        return;
    }
    if (NEB_UNLIKELY(entry_is_region(entry))) {
        neb_region_free(p, entry, call->name);
        return;
    }
    if (is_guarded(p, entry) && neb_guard_free(p, call)) {
        errno = saved;
        return;
    }
    if (!check_is_on() || !checked_free(p, call)) {
        if (POLICY_FILL && entry != ENTRY_NONE)
            memset(p, FILL_FREED, checked_size(p, entry, call->name));
        raw_free(p, call->name);
    }
    errno = saved;
}

static NEB_NOINLINE void long_free(void *p)
{
    struct place place = PLACE_OF_PROGRAM();
    free_as(p, &(struct check_call){.name = "free", .place = &place});
}

static NEB_NOINLINE void free_rest(void *p)
{
    if (!check_is_on() || !neb_hardened_free(p))
        long_free(p);
}

/* Most calls that are slow free another thread's block. */
NEB_NOINLINE void neb_free_slow(void *p)
{
    if (POLICY_EVERY_CALL_SLOW || check_is_on() || !neb_pool_give_foreign(heap_current(), p))
        free_rest(p);
}

NEB_SELDOM void neb_free_checked(void *p, const char *call, unsigned family, size_t size, size_t alignment)
{
    struct place place = PLACE_OF_PROGRAM();
    free_as(p, &(struct check_call){call, family, size != SIZE_UNSTATED, alignment != 0, size, alignment, &place});
}

/* Of the loader's blocks no byte more than the program knows of. */
NEB_SELDOM size_t neb_usable_size(const void *p)
{
    uint32_t entry = page_map_load(p);
    if (p == NULL || (entry == ENTRY_NONE && neb_loader_owns(p)))
        return 0;
    size_t size;
    if (is_guarded(p, entry))
        return neb_guard_size(p, "malloc_usable_size", &size) ? size : 0;
    if (check_is_on() && neb_check_knows(p))
        return neb_check_size(p, "malloc_usable_size", &size) ? size : 0;
    return asked_size(p, entry, "malloc_usable_size");
}

/* The compiler may round up, and C++ libraries may pass what they asked for rounded to their own steps: only a size
 * of another class is surely wrong. */
NEB_SELDOM void neb_free_sized(void *p, size_t size, const char *call)
{
    if (check_is_on() && POLICY_ORIGIN) {
        neb_free_checked(p, call, FAMILY_MALLOC, size, 0);
        return;
    }
    if (POLICY_FREE_EXACT && p != NULL) {
        size_t usable = checked_size(p, page_map_load(p), call);
        if (size > usable || (size <= SMALL_MAX && neb_size_class[size_class_of(size)].size < usable / 2))
            neb_fault_wrong_size(call, p, size, usable);
    }
    neb_free(p);
}

/* ---- realloc ----------------------------------------------------------------------------------------------------------- */

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
    void *block = checked_from_heap(size, roomy(old_size, size) - size, 16, FAMILY_MALLOC, false, place);
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
    size_t room = neb_check_room(size, 16);
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
        free_as(p, &(struct check_call){.name = "realloc", .place = place});
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
        free_as(p, &(struct check_call){.name = "realloc", .place = &place});
        return NULL;
    }
    if (NEB_UNLIKELY(size > PTRDIFF_MAX))
        return out_of_memory();
    uint32_t entry = page_map_load(p);
    if (NEB_UNLIKELY(entry_is_region(entry)))
        return realloc_region(p, size, entry);
    if (is_guarded(p, entry) || (check_is_on() && neb_check_knows(p)))
        return checked_realloc(p, size, entry, &place);
    size_t old_size = live_size(p, entry, "realloc");
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
        void *resized = neb_large_resize(p, entry, size);
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
    if (NEB_UNLIKELY(size == 0 || size > PTRDIFF_MAX || !slab_is_out(slab_of(p), class, p) || is_in_magazine(heap_current(), class_index, p)))
        return realloc_slow(p, size);
    return realloc_by_copy(p, class->size, with_room(class->size, size));
}

/* Most blocks are in a slab of the caller's, and stay where they are. What is wrong with one is for the slow path to say. */
void *neb_realloc(void *p, size_t size)
{
    struct heap *heap = heap_current();
    size_t offset = window_load(&heap->window, p) ^ heap->tag;
    if (NEB_UNLIKELY(POLICY_EVERY_CALL_SLOW || offset > ENTRY_OFFSET_MASK || bin_newest(heap_bin_at(heap, offset)) == p))
        return realloc_slow(p, size);
    const struct size_class *class = &neb_size_class[size_class_of_offset(offset)];
    if (NEB_UNLIKELY(size == 0 || !fits_in_place(class->size, size) || !slab_is_out(slab_of(p), class, p)))
        return realloc_own(p, size, offset);
    return p;
}

void *neb_reallocarray(void *p, size_t count, size_t size)
{
    size_t bytes;
    if (NEB_UNLIKELY(__builtin_mul_overflow(count, size, &bytes)))
        return out_of_memory();
    return neb_realloc(p, bytes);
}

void neb_verify(void)
{
    if (POLICY_GUARD)
        neb_guard_verify();
    if (!check_has(CHECK_CANARY))
        return; /* nothing of a block could have changed */
    quarantine_drain();
    neb_check_finish();
}

void neb_verify_freed(void)
{
    if (POLICY_FREE_EXACT || check_is_on() || neb_tls.state != THREAD_HAS_HEAP)
        return;
    struct heap *heap = neb_heap_enter();
    neb_heap_flush(heap);
    neb_heap_leave(heap);
}

NEB_SELDOM size_t neb_trim(void)
{
    int saved = errno;
    if (heap_is_in_emergency())
        return 0;
    if (check_is_on())
        quarantine_drain();
    struct heap *heap = neb_heap_enter();
    size_t given = neb_heap_trim(heap);
    neb_heap_leave(heap);
    given += neb_chunk_trim();
    given += neb_huge_trim();
    errno = saved;
    return given;
}
