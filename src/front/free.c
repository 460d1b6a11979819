/* free.c - free where the block is not simply pushed: another heap's, large, wrong, guarded, checked; see alloc.h.
 *
 *   neb_free_slow --> a batch for another heap
 *            `------> the short way (hardened.h), or neb_free_any --> an emergency's, a region's, a guarded one's slot
 *                                                             `----> undressed: the quarantine, or neb_free_raw
 *
 * Law        errno is kept
 *            what is no block in use is reported: at once, or when the owner of its slab looks at it
 *            in a handler's emergency only the emergency's blocks are freed, others are lost */
#include "front/alloc_inner.h"
#include "front/hardened.h"
#include "front/loader.h"
#include "front/recorder.h"
#include "front/region.h"
#include "heap/emergency.h"
#include "heap/fault.h"
#include "heap/large.h"
#include "heap/pool.h"
#include "heap/upkeep.h"
#include <errno.h>
#include <string.h>

enum { FILL_FREED = 0x5A };

static NEB_COLD void free_unknown(void *p, uint32_t entry, const char *call)
{
    if (entry == ENTRY_NONE && neb_loader_owns(p))
        return; /* the loader's own little heap is never reused */
    neb_fault_invalid(call, p);
}

/* After blocks came back to the heap. */
static void given_leave(struct heap *heap)
{
    heap_tick(heap);
    heap_watch_some(heap);
    neb_heap_leave(heap);
    if (POLICY_TRACE)
        neb_recorder_look();
}

static void pool_free(void *p, uint32_t entry, const char *call)
{
    struct heap *heap = neb_heap_enter();
    heap->window = window_copy();
    neb_pool_take_back(heap, p, entry, call);
    if (check_is_on())
        neb_hardened_wait(heap, entry_class(entry), p);
    given_leave(heap);
}

static NEB_COLD void emergency_free(void *p, uint32_t entry, const char *call)
{
    if (entry == ENTRY_EMERGENCY && !neb_emergency_free(p))
        neb_fault_invalid(call, p);
}

void neb_free_raw(void *p, const char *call)
{
    uint32_t entry = page_map_load(p);
    if (entry_is_pooled(entry)) {
        pool_free(p, entry, call);
    } else {
        neb_large_tick();
        if (!neb_large_free(p, entry))
            free_unknown(p, entry, call);
        heap_watch();
    }
}

void neb_free_raws(void *const *cells, size_t count)
{
    for (size_t given = 0; given < count;) {
        struct heap *heap = neb_heap_enter();
        given += neb_pool_take_back_all(heap, cells + given, count - given, "free");
        given_leave(heap);
        if (given < count)
            neb_free_raw(cells[given++], "free");
    }
}

/* What left the quarantine goes back to the heap. */
static void quarantine_tidy(void)
{
    void *raw[QUARANTINE_BATCH];
    for (size_t count; (count = neb_check_expired(raw, false)) > 0;)
        neb_free_raws(raw, count);
}

/* False: nothing was done. */
static bool checked_end(enum check_answer answer, void *raw, const char *call)
{
    if (answer == CHECK_GIVE)
        neb_free_raw(raw, call);
    else if (answer == CHECK_TIDY)
        quarantine_tidy();
    return answer != CHECK_UNDRESSED;
}

/* False: the block is older than the checks. */
static bool checked_free(void *p, const struct check_call *call)
{
    void *raw = NULL;
    enum check_answer answer = neb_check_release(p, call, &raw);
    return checked_end(answer, raw, call->name);
}

/* Of a thread with a heap of its own, and a pool's block. False: it is not as simple. */
NEB_INLINE bool checked_free_small(void *p, const struct place *place)
{
    if (!check_is_on() || heap_own() == NULL)
        return false;
    int saved = errno;
    void *raw = NULL;
    enum check_answer answer = neb_check_release_small(p, place, &raw);
    bool done = checked_end(answer, raw, "free");
    errno = saved;
    return done;
}

void neb_free_any(void *p, const struct check_call *call)
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
            memset(p, FILL_FREED, neb_size_any(p, entry, call->name));
        neb_free_raw(p, call->name);
    }
    errno = saved;
}

static NEB_NOINLINE void long_free(void *p)
{
    struct place place = PLACE_OF_PROGRAM();
    if (!checked_free_small(p, &place))
        neb_free_any(p, &(struct check_call){.name = "free", .place = &place});
}

static NEB_SELDOM NEB_NOINLINE void hardened_free_rest(struct heap *heap, void *p)
{
    if (!neb_hardened_free_rest(heap, p))
        long_free(p);
}

static NEB_SELDOM NEB_NOINLINE void checked_free_call(void *p)
{
    struct heap *heap;
    if (hardened_free(p, &heap))
        return;
    if (heap == NULL)
        long_free(p);
    else
        hardened_free_rest(heap, p);
}

/* Most calls that are slow free another thread's block. */
NEB_NOINLINE void neb_free_slow(void *p)
{
    if (POLICY_EVERY_CALL_SLOW || check_is_on())
        checked_free_call(p);
    else if (!neb_pool_give_short(heap_current(), p))
        long_free(p);
}

NEB_SELDOM void neb_free_checked(void *p, const char *call, unsigned family, size_t size, size_t alignment)
{
    struct place place = PLACE_OF_PROGRAM();
    neb_free_any(p, &(struct check_call){call, family, size != SIZE_UNSTATED, alignment != 0, size, alignment, &place});
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
        size_t usable = neb_size_any(p, page_map_load(p), call);
        if (size > usable || (size <= SMALL_MAX && neb_size_class[size_class_of(size)].size < usable / 2))
            neb_fault_wrong_size(call, p, size, usable);
    }
    neb_free(p);
}
