/* region.c - see region.h. */
#include "front/region.h"

#include "front/api.h"
#include "front/scope.h"
#include "heap/chunk.h"
#include "heap/fault.h"
#include "heap/meta.h"
#include "os/env.h"
#include "os/lock.h"
#include "os/vm.h"
#include "policy/policy.h"

enum { REGIONS_IN_SEGMENT = 1024, SEGMENTS = 4096 };
enum { REGION_UNUSED, REGION_LIVE, REGION_ENDED };

struct region {
    unsigned char *base;
    size_t bytes;
    struct chunk *chunk; /* NULL: a mapping of its own */
    uint32_t number;
    uint8_t kind;
    _Atomic uint8_t state;
    struct region *next; /* among unused ones, or in quarantine: the next younger */
};

NEB_SPARSE static _Atomic(struct region *) segments[SEGMENTS];
static uint32_t numbers_made;
static struct region *unused;
static struct region *oldest_ended, *newest_ended;
static struct region_counts counts;

static struct region *region_at(uint32_t entry)
{
    uint32_t number = entry & ~ENTRY_IS_REGION;
    struct region *segment = atomic_load_explicit(&segments[number / REGIONS_IN_SEGMENT], memory_order_acquire); /* R1 */
    return &segment[number % REGIONS_IN_SEGMENT];
}

static struct region *region_make_locked(void)
{
    uint32_t number = numbers_made;
    if (number == REGIONS_IN_SEGMENT * SEGMENTS)
        return NULL;
    if (number % REGIONS_IN_SEGMENT == 0) {
        struct region *segment = neb_meta_take(REGIONS_IN_SEGMENT * sizeof *segment, 64);
        if (segment == NULL)
            return NULL;
        atomic_store_explicit(&segments[number / REGIONS_IN_SEGMENT], segment, memory_order_release); /* R1 */
    }
    numbers_made++;
    struct region *region = region_at(number);
    region->number = number;
    return region;
}

static struct region *descriptor_take(void)
{
    neb_lock_take(&neb_locks[LOCK_REGION]);
    struct region *region = unused;
    if (region != NULL)
        unused = region->next;
    else
        region = region_make_locked();
    neb_lock_give(&neb_locks[LOCK_REGION]);
    return region;
}

static void descriptor_give(struct region *region)
{
    neb_lock_take(&neb_locks[LOCK_REGION]);
    region->next = unused;
    unused = region;
    neb_lock_give(&neb_locks[LOCK_REGION]);
}

static bool region_map(struct region *region, size_t granules)
{
    region->chunk = NULL;
    region->bytes = granules << GRANULE_SHIFT;
    region->base = neb_vm_map_aligned(region->bytes, GRANULE_BYTES);
    if (region->base == NULL)
        return false;
    if (neb_page_map_cover(region->base, region->bytes))
        return true;
    (void)neb_vm_unmap(region->base, region->bytes);
    return false;
}

static bool region_carve(struct region *region, unsigned count)
{
    struct granules taken = neb_granules_take(count, GRANULES_SPARSE);
    if (taken.chunk == NULL)
        return false;
    region->chunk = taken.chunk;
    region->base = granules_base(&taken);
    region->bytes = (size_t)count << GRANULE_SHIFT;
    return true;
}

void *neb_region_take(size_t bytes, size_t *got, unsigned kind)
{
    if (bytes > PTRDIFF_MAX - GRANULE_BYTES)
        return NULL;
    size_t granules = (bytes + GRANULE_BYTES - 1) >> GRANULE_SHIFT;
    struct region *region = descriptor_take();
    if (region == NULL)
        return NULL;
    bool is_mapping = POLICY_FREE_EXACT || bytes > LARGE_MAX;
    if (!(is_mapping ? region_map(region, granules) : region_carve(region, (unsigned)granules))) {
        descriptor_give(region);
        return NULL;
    }
    region->kind = (uint8_t)kind;
    atomic_store_explicit(&region->state, REGION_LIVE, memory_order_relaxed); /* P1 orders it */
    neb_lock_take(&neb_locks[LOCK_REGION]);
    counts.regions++;
    counts.bytes += region->bytes;
    neb_lock_give(&neb_locks[LOCK_REGION]);
    neb_page_map_fill(region->base, granules, ENTRY_IS_REGION | region->number);
    *got = region->bytes;
    return region->base;
}

static void region_release(struct region *region)
{
    neb_page_map_fill(region->base, region->bytes >> GRANULE_SHIFT, ENTRY_NONE);
    atomic_store_explicit(&region->state, REGION_UNUSED, memory_order_relaxed);
    if (region->chunk != NULL)
        neb_granules_give(region->chunk, chunk_granule_of(region->base), (unsigned)(region->bytes >> GRANULE_SHIFT));
    else if (!neb_vm_unmap(region->base, region->bytes))
        (void)neb_vm_purge(region->base, region->bytes);
    descriptor_give(region);
}

/* Out of reach; the pages go back at once. What was there longest makes room. */
static void quarantine_add(struct region *region)
{
    (void)neb_vm_purge(region->base, region->bytes);
    (void)neb_vm_guard(region->base, region->bytes);
    neb_lock_take(&neb_locks[LOCK_REGION]);
    region->next = NULL;
    if (newest_ended != NULL)
        newest_ended->next = region;
    else
        oldest_ended = region;
    newest_ended = region;
    counts.quarantined_regions++;
    counts.quarantined_bytes += region->bytes;
    struct region *expired = NULL;
    if (counts.quarantined_regions > SCOPE_QUARANTINE_REGIONS || counts.quarantined_bytes > SCOPE_QUARANTINE_BYTES) {
        expired = oldest_ended;
        oldest_ended = expired->next;
        if (oldest_ended == NULL)
            newest_ended = NULL;
        counts.quarantined_regions--;
        counts.quarantined_bytes -= expired->bytes;
    }
    neb_lock_give(&neb_locks[LOCK_REGION]);
    if (expired != NULL)
        region_release(expired);
}

void neb_region_give(void *base)
{
    struct region *region = region_at(page_map_load(base));
    neb_lock_take(&neb_locks[LOCK_REGION]);
    counts.regions--;
    counts.bytes -= region->bytes;
    neb_lock_give(&neb_locks[LOCK_REGION]);
    atomic_store_explicit(&region->state, REGION_ENDED, memory_order_relaxed); /* for messages */
    if (POLICY_FREE_EXACT)
        quarantine_add(region);
    else
        region_release(region);
}

/* ---- under the names of malloc ------------------------------------------------------------------------------------------ */

static _Noreturn NEB_COLD void region_fault(const char *kind, const char *call, const void *p, const char *what)
{
    neb_fault_say(kind, call, p, what);
    neb_os_abort();
}

static const char *ended_text(const struct region *region)
{
    return region->kind == NEB_KIND_SCOPE_ ? "the scope of this block has ended" : "the arena, pool or stack of this block has ended";
}

static bool region_has_ended(const struct region *region)
{
    return atomic_load_explicit(&region->state, memory_order_relaxed) == REGION_ENDED;
}

const char *neb_region_ended(const void *p)
{
    uint32_t entry = page_map_load(p);
    return entry_is_region(entry) && region_has_ended(region_at(entry)) ? ended_text(region_at(entry)) : NULL;
}

bool neb_region_may_run(const void *p)
{
    uint32_t entry = POLICY_FREE_EXACT ? ENTRY_NONE : page_map_load(p);
    if (!entry_is_region(entry))
        return false;
    const struct region *region = region_at(entry);
    return region->kind == NEB_KIND_SCOPE_ && !region_has_ended(region);
}

static enum engine_run run_look(void *p)
{
    return POLICY_FREE_EXACT ? RUN_NONE : neb_engine_run_look(p);
}

/* The object of a live scope at p, as a pointer into its region. */
static unsigned char *object_at(const void *p, uint32_t entry, const char *call)
{
    const struct region *region = region_at(entry);
    if (region_has_ended(region))
        region_fault("heap-use-after-free", call, p, ended_text(region));
    switch (region->kind) {
    case NEB_KIND_BUMP_:
        region_fault("invalid-free", call, p, "memory of a bump arena, which goes by neb_bump_reset, restore or destroy");
    case NEB_KIND_POOL_:
        region_fault("invalid-free", call, p, "a pool's memory, which goes by neb_pool_free or destroy");
    case NEB_KIND_STACK_:
        region_fault("invalid-free", call, p, "memory of a stack, which goes by neb_stack_pop, release or destroy");
    default:
        break;
    }
    size_t offset = ptr_offset(p, region->base);
    unsigned char *object = ptr_add(region->base, offset);
    bool is_aligned = offset >= sizeof(neb_segment) + 16 && offset % 16 == 0;
    switch (is_aligned ? run_look(object) : RUN_INSIDE) {
    case RUN_INSIDE:
        region_fault("invalid-free", call, p, "invalid pointer: scope memory, but no object begins here");
    case RUN_FREED:
        region_fault("double-free", call, p, "double free: this object of a scope was freed before");
    case RUN_OBJECT:
        return object;
    default:
        break;
    }
    if (((*neb_word_at_(object) ^ neb_word_of_(object, 0)) >> 44) != 0 ||
        (*neb_word_at_(object) & NEB_WORD_SIZE_) > region->bytes - offset)
        region_fault("invalid-free", call, p, "invalid pointer: scope memory, but no object begins here");
    if ((*neb_word_at_(object) & NEB_WORD_FREED_) != 0)
        region_fault("double-free", call, p, "double free: this object of a scope was freed before");
    return object;
}

/* Harmless, but remembered: the object's memory goes with its scope. */
void neb_region_free(void *p, uint32_t entry, const char *call)
{
    unsigned char *object = object_at(p, entry, call);
    if (run_look(object) != RUN_NONE)
        neb_engine_run_free(object);
    else
        *neb_word_at_(object) |= NEB_WORD_FREED_;
}

size_t neb_region_size(void *p)
{
    if (run_look(p) != RUN_NONE)
        return neb_engine_run_size(p, false);
    return (size_t)(*neb_word_at_(p) & NEB_WORD_SIZE_);
}

void neb_region_shrink(void *p, size_t size)
{
    if (run_look(p) != RUN_NONE)
        neb_engine_run_shrink(p, size);
    else
        *neb_word_at_(p) = neb_word_of_(p, size);
}

size_t neb_region_usable(const void *p, uint32_t entry, const char *call)
{
    unsigned char *object = object_at(p, entry, call);
    if (run_look(object) != RUN_NONE)
        return neb_engine_run_size(object, true);
    size_t size = neb_region_size(object);
    return size_align_up((size == 0 ? 1 : size) + 8, 16) - 8;
}

void *neb_region_resize(void *p, uint32_t entry, size_t size)
{
    unsigned char *object = object_at(p, entry, "realloc");
    return neb_scope_resize_in_place(object, neb_region_size(object), size) ? object : NULL;
}

struct region_counts neb_region_counts(void)
{
    neb_lock_take(&neb_locks[LOCK_REGION]);
    struct region_counts now = counts;
    neb_lock_give(&neb_locks[LOCK_REGION]);
    return now;
}
