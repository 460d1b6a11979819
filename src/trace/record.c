/* record.c - see record.h. */
#include "trace/record.h"

#include "heap/large.h"
#include "trace/depot.h"
#include "trace/lane.h"
#include "trace/sample.h"
#include "trace/site.h"
#include "trace/state.h"

static struct trace_state *state(void)
{
    return &neb_trace_page.state;
}

static uint64_t now_ns(void)
{
    return atomic_load_explicit(&state()->now_ns, memory_order_relaxed); /* a time */
}

static uint32_t tick_of(uint64_t ns)
{
    return (uint32_t)(ns >> BLOCK_TICK_SHIFT) & ((1u << BLOCK_TICK_BITS) - 1);
}

/* For how many blocks a sampled one stands, in 256ths. */
static uint64_t weight_of(size_t size)
{
    return neb_sample_weight(size, atomic_load_explicit(&state()->sample_bytes, memory_order_relaxed));
}

static NEB_NOINLINE void filter_count(const void *p, int change)
{
    _Atomic uint8_t *slot = trace_filter_slot(p);
    uint8_t now = atomic_load_explicit(slot, memory_order_relaxed);
    /* Relaxed: whoever frees the block learned of it from whoever allocated it. */
    while (now != FILTER_FULL && (change > 0 || now > 0) &&
           !atomic_compare_exchange_weak_explicit(slot, &now, (uint8_t)(now + change), memory_order_relaxed, memory_order_relaxed))
        continue;
}

static void filter_change(uint32_t mode, const void *p, int change)
{
    if (NEB_UNLIKELY(mode == NBT_MODE_SAMPLE))
        filter_count(p, change);
}

void neb_record_begin(void)
{
    neb_block_init();
    for (unsigned i = 0; i < 1u << FILTER_BITS; i++)
        if (atomic_load_explicit(&state()->filter[i], memory_order_relaxed) != 0) /* mostly it is zero, and stays untouched */
            atomic_store_explicit(&state()->filter[i], 0, memory_order_relaxed); /* the mode publishes it: T1 */
}

/* ---- the end of a block ------------------------------------------------------------------------------------------------- */

static uint64_t life_of(const struct block_birth *birth)
{
    return (uint64_t)((tick_of(now_ns()) - birth->tick) & ((1u << BLOCK_TICK_BITS) - 1)) << BLOCK_TICK_SHIFT;
}

/* What a birth says, in registers: so that the only lane's is nowhere in memory. */
static NEB_NOINLINE void free_in_shared_site(struct lane *lane, uint32_t site, uint32_t tick, uint32_t its_lane, uint64_t number,
                                             size_t size)
{
    struct block_birth copy = {site, lane->session, tick, its_lane, number, size}, *birth = &copy;
    struct lane_origin origin = lane_origin(lane, birth);
    if (origin.is_remote)
        counter_add(&lane->counts.frees_remote, 1);
    neb_site_free_shared(site_at(birth->stack), birth->size, origin.age, life_of(birth), origin.is_remote);
}

/* While there is one lane, all blocks are its own. */
NEB_INLINE void free_in_site(struct lane *lane, uint32_t mode, const struct block_birth *birth)
{
    if (sites_are_shared())
        free_in_shared_site(lane, birth->stack, birth->tick, birth->lane, birth->number, birth->size);
    else
        site_free_own(site_at(birth->stack), birth->size, lane_age(birth, lane_number(lane)), life_of(birth));
    if (NEB_UNLIKELY(mode == NBT_MODE_SAMPLE))
        neb_site_weigh(site_at(birth->stack), birth->size, weight_of(birth->size), true);
}

NEB_INLINE void end_count(struct lane *lane, const struct block_birth *birth)
{
    counter_add(&lane->counts.frees, 1);
    counter_add(&lane->counts.freed_bytes, birth->size);
}

NEB_INLINE void end_record(struct lane *lane, uint32_t mode, const struct block_birth *birth)
{
    if (mode == NBT_MODE_TRACE) {
        neb_lane_free(lane, birth);
    } else {
        free_in_site(lane, mode, birth);
    }
    end_count(lane, birth);
}

static NEB_NOINLINE void end_record_late(struct lane *lane, uint32_t mode, const struct block_birth *birth)
{
    end_record(lane, mode, birth);
}

/* ---- the beginning of one -------------------------------------------------------------------------------------------------- */

static uint64_t distance_draw(struct lane *lane)
{
    return (uint64_t)neb_sample_distance(&lane->random, atomic_load_explicit(&state()->sample_bytes, memory_order_relaxed));
}

/* In mode sample, whether the next sample lies in this block. */
static bool is_sample(struct lane *lane, size_t size)
{
    size_t bytes = size + (size == 0);
    if (lane->until_sample == 0)
        lane->until_sample = distance_draw(lane);
    bool is_wanted = lane->until_sample <= bytes;
    lane->until_sample = is_wanted ? distance_draw(lane) : lane->until_sample - bytes;
    return is_wanted;
}

static bool is_wanted(struct lane *lane, uint32_t mode, size_t size)
{
    return NEB_LIKELY(mode != NBT_MODE_SAMPLE) || is_sample(lane, size);
}

NEB_INLINE void alloc_in_site(uint32_t mode, const void *p, const struct block_slot *slot, struct nbt_site *site, size_t size)
{
    size_t usable = NEB_UNLIKELY(slot->is_large) ? neb_large_usable(p, page_map_load(p)) : slot->usable;
    site_alloc(site, size, usable, now_ns());
    if (NEB_UNLIKELY(mode == NBT_MODE_SAMPLE))
        neb_site_weigh(site, size, weight_of(size), false);
}

/* The record names the stack in mode trace, and the site in the others. taken: the old block's, if this is a realloc, else NULL. */
NEB_INLINE void begin_record(struct lane *lane, uint32_t mode, void *p, struct block_slot slot, const struct record_call *call,
                             const void *old, const struct record_taken *taken)
{
    struct block_birth before;
    bool is_realloc = taken != NULL && taken->has_record;
    if (NEB_UNLIKELY(slot.record == NULL)) { /* memory of a scope, or none for the record */
        if (is_realloc)
            end_record_late(lane, mode, &taken->birth);
        return;
    }
    __builtin_prefetch(slot.record, 1); /* it is rarely in the cache, and the stack takes long enough for it to come */
    struct captured stack = neb_capture(&lane->stacks, &call->place);
    if (NEB_UNLIKELY(block_get(&slot, lane->session, &before))) { /* its free came in the middle of recording something else */
        struct block_birth copy = before;
        filter_change(mode, p, -1);
        end_record_late(lane, mode, &copy);
    }
    bool is_traced = mode == NBT_MODE_TRACE;
    struct nbt_site *site = is_traced ? NULL : site_of(stack.node, stack.note);
    uint32_t named = is_traced ? stack.node : site_number(site);
    struct block_birth birth = {named, lane->session, tick_of(now_ns()), lane->id, lane_number(lane), call->size};
    block_set(&slot, &birth);
    filter_change(mode, p, 1);
    if (NEB_UNLIKELY(stack.node == NBT_STACK_OTHER))
        neb_depot_count_other();
    if (!is_traced) {
        if (is_realloc)
            free_in_site(lane, mode, &taken->birth);
        alloc_in_site(mode, p, &slot, site, call->size);
        if (is_realloc)
            neb_site_resized(site, old != p);
    } else if (is_realloc) {
        neb_lane_realloc(lane, &taken->birth, stack.node, call->size, old != p);
    } else {
        neb_lane_alloc(lane, stack.node, call->size, call->alignment);
    }
    lane_number_take(lane);
    if (is_realloc) {
        end_count(lane, &taken->birth);
        counter_add(&lane->counts.reallocs, 1);
    }
    counter_add(&lane->counts.alloc_bytes, call->size);
}

/* Of any block, in any mode: what alloc_in leaves, and mode sample. */
static NEB_NOINLINE void alloc_far(struct lane *lane, void *p, const struct record_call *call)
{
    struct block_slot slot = block_slot_make(p);
    lane->window = block_window_copy();
    begin_record(lane, lane_mode(lane), p, slot, call, NULL, NULL);
}

/* The mode is a constant: each is compiled for itself. */
NEB_INLINE void alloc_in(struct lane *lane, uint32_t mode, void *p, const struct record_call *call)
{
    struct block_slot slot = block_slot_near(&lane->window, p);
    if (NEB_LIKELY(slot.record != NULL))
        begin_record(lane, mode, p, slot, call, NULL, NULL);
    else
        alloc_far(lane, p, call);
}

static NEB_NOINLINE void alloc_in_trace(struct lane *lane, void *p, const struct record_call *call)
{
    alloc_in(lane, NBT_MODE_TRACE, p, call);
}

void neb_record_alloc(void *p, const struct record_call *call)
{
    struct lane *lane = lane_enter();
    if (NEB_UNLIKELY(lane == NULL))
        return;
    uint32_t mode = lane_mode(lane);
    if (NEB_LIKELY(mode == NBT_MODE_PROFILE))
        alloc_in(lane, NBT_MODE_PROFILE, p, call);
    else if (mode == NBT_MODE_TRACE)
        alloc_in_trace(lane, p, call);
    else if (is_sample(lane, call->size))
        alloc_far(lane, p, call);
    lane_tick(lane);
    lane_leave(lane);
}

void neb_record_failed(const struct record_call *call)
{
    struct lane *lane = lane_enter();
    if (lane == NULL)
        return;
    counter_add(&lane->counts.failed, 1);
    if (lane_mode(lane) == NBT_MODE_TRACE)
        neb_lane_failed(lane, neb_capture(&lane->stacks, &call->place).node, call->size);
    lane_leave(lane);
}

/* ---- free and realloc ----------------------------------------------------------------------------------------------------- */

static NEB_NOINLINE void untracked_count(const struct lane *lane)
{
    if (lane_mode(lane) != NBT_MODE_SAMPLE)
        atomic_fetch_add_explicit(&state()->untracked_frees, 1, memory_order_relaxed); /* a statistic */
}

/* Of any block, in any mode. False: nothing is known of it in this session. */
static NEB_NOINLINE bool take_far(struct lane *lane, const void *p, struct block_birth *birth)
{
    struct block_slot slot = block_slot_find(p);
    lane->window = block_window_copy();
    if (!block_get(&slot, lane->session, birth)) {
        untracked_count(lane);
        return false;
    }
    block_clear(&slot);
    filter_change(lane_mode(lane), p, -1);
    return true;
}

static NEB_NOINLINE void free_far(struct lane *lane, const void *p)
{
    struct block_birth birth;
    if (take_far(lane, p, &birth))
        end_record(lane, lane_mode(lane), &birth);
}

/* As alloc_in. */
NEB_INLINE void free_in(struct lane *lane, uint32_t mode, const void *p)
{
    struct block_birth birth;
    struct block_slot slot = block_slot_near(&lane->window, p);
    if (NEB_LIKELY(block_get(&slot, lane->session, &birth))) {
        block_clear(&slot);
        end_record(lane, mode, &birth);
    } else {
        free_far(lane, p);
    }
}

static NEB_NOINLINE void free_in_trace(struct lane *lane, const void *p)
{
    free_in(lane, NBT_MODE_TRACE, p);
}

/* A call in the middle of recording another one leaves the record: the next block there ends it. */
void neb_record_free(void *p)
{
    struct lane *lane = lane_enter();
    if (NEB_UNLIKELY(lane == NULL))
        return;
    uint32_t mode = lane_mode(lane);
    if (NEB_LIKELY(mode == NBT_MODE_PROFILE))
        free_in(lane, NBT_MODE_PROFILE, p);
    else if (mode == NBT_MODE_TRACE)
        free_in_trace(lane, p);
    else
        free_far(lane, p);
    lane_tick(lane);
    lane_leave(lane);
}

struct record_taken neb_record_take(void *p)
{
    struct record_taken taken = {.has_record = false};
    struct lane *lane = lane_enter();
    if (lane == NULL)
        return taken;
    taken.has_record = take_far(lane, p, &taken.birth);
    lane_leave(lane);
    return taken;
}

void neb_record_settle(const void *old, void *p, const struct record_taken *taken, const struct record_call *call)
{
    struct lane *lane = lane_enter();
    if (lane == NULL)
        return;
    uint32_t mode = lane_mode(lane);
    if (p != NULL && is_wanted(lane, mode, call->size))
        begin_record(lane, mode, p, block_slot_make(p), call, old, taken);
    else if (taken->has_record)
        end_record_late(lane, mode, &taken->birth);
    lane_tick(lane);
    lane_leave(lane);
}

void neb_record_undo(void *p, const struct record_taken *taken)
{
    struct block_slot slot = block_slot_find(p);
    if (!taken->has_record || slot.record == NULL)
        return;
    block_set(&slot, &taken->birth);
    filter_change(trace_mode(), p, 1);
}
