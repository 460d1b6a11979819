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

static void count(_Atomic uint64_t *counter, uint64_t amount)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount, memory_order_relaxed);
}

static uint64_t weight_of(size_t size)
{
    if (NEB_LIKELY(trace_mode() != NBT_MODE_SAMPLE))
        return 0;
    return neb_sample_weight(size, atomic_load_explicit(&state()->sample_bytes, memory_order_relaxed));
}

/* ---- the end of a block ------------------------------------------------------------------------------------------------- */

static void free_in_site(const struct lane *lane, const struct block_birth *birth)
{
    struct nbt_site *site = neb_site_of(birth->stack, NULL);
    struct lane_origin origin = neb_lane_origin(lane, birth);
    uint32_t ticks = (tick_of(now_ns()) - birth->tick) & ((1u << BLOCK_TICK_BITS) - 1);
    struct site_free end = {birth->size, origin.age, (uint64_t)ticks << BLOCK_TICK_SHIFT, origin.is_remote, weight_of(birth->size)};
    if (site != NULL)
        neb_site_free(site, &end);
}

static void end_count(struct lane *lane, const struct block_birth *birth)
{
    count(&lane->counts.frees, 1);
    count(&lane->counts.freed_bytes, birth->size);
}

static void end_record(struct lane *lane, const struct block_birth *birth)
{
    if (trace_mode() == NBT_MODE_TRACE)
        neb_lane_free(lane, birth);
    else
        free_in_site(lane, birth);
    end_count(lane, birth);
}

/* ---- the beginning of one -------------------------------------------------------------------------------------------------- */

/* In mode sample, whether the next sample lies in this block. */
static bool is_wanted(struct lane *lane, size_t size)
{
    if (NEB_LIKELY(trace_mode() != NBT_MODE_SAMPLE))
        return true;
    lane->until_sample -= size == 0 ? 1 : (int64_t)size;
    if (NEB_LIKELY(lane->until_sample > 0))
        return false;
    lane->until_sample = neb_sample_distance(&lane->random, atomic_load_explicit(&state()->sample_bytes, memory_order_relaxed));
    return true;
}

static size_t usable_of(const void *p, const struct block_slot *slot)
{
    return slot->is_large ? neb_large_usable(p, page_map_load(p)) : slot->usable;
}

static void alloc_in_site(struct lane *lane, void *p, const struct block_slot *slot, const struct captured *stack,
                          size_t size, const void *old, bool is_realloc)
{
    (void)lane;
    struct nbt_site *site = neb_site_of(stack->node, stack->note);
    struct site_alloc alloc = {size, usable_of(p, slot), now_ns(), is_realloc, is_realloc && old != p, weight_of(size)};
    if (site != NULL)
        neb_site_alloc(site, &alloc);
    if (stack->node == NBT_STACK_OTHER)
        neb_depot_count_other();
}

/* taken: the old block's record, if this is a realloc. */
static void begin_record(struct lane *lane, void *p, const struct record_call *call, const void *old, const struct record_taken *taken)
{
    struct block_slot slot = neb_block_slot(p);
    struct block_birth before;
    uint32_t session = atomic_load_explicit(&state()->session, memory_order_relaxed);
    bool is_realloc = taken != NULL && taken->has_record;
    if (NEB_UNLIKELY(slot.record == NULL)) { /* memory of a scope, or none for the record */
        if (is_realloc)
            end_record(lane, &taken->birth);
        return;
    }
    if (NEB_UNLIKELY(neb_block_get(&slot, session, &before)))
        end_record(lane, &before); /* its free came in the middle of recording something else */
    struct captured stack = neb_capture(&lane->stacks, &call->place);
    struct block_birth birth = {stack.node, session, tick_of(now_ns()), lane->id,
                                atomic_load_explicit(&lane->number, memory_order_relaxed), call->size};
    neb_block_set(&slot, &birth);
    if (trace_mode() != NBT_MODE_TRACE) {
        if (is_realloc)
            free_in_site(lane, &taken->birth);
        alloc_in_site(lane, p, &slot, &stack, call->size, old, is_realloc);
    } else if (is_realloc) {
        neb_lane_realloc(lane, &taken->birth, stack.node, call->size, old != p);
    } else {
        neb_lane_alloc(lane, stack.node, call->size, call->alignment);
    }
    (void)lane_number_take(lane);
    if (is_realloc) {
        end_count(lane, &taken->birth);
        count(&lane->counts.reallocs, 1);
    }
    count(&lane->counts.allocs, 1);
    count(&lane->counts.alloc_bytes, call->size);
}

void neb_record_alloc(void *p, const struct record_call *call)
{
    struct lane *lane = neb_lane_enter();
    if (lane == NULL)
        return;
    if (is_wanted(lane, call->size))
        begin_record(lane, p, call, NULL, NULL);
    lane_tick(lane);
    neb_lane_leave(lane);
}

void neb_record_failed(const struct record_call *call)
{
    struct lane *lane = neb_lane_enter();
    if (lane == NULL)
        return;
    count(&lane->counts.failed, 1);
    if (trace_mode() == NBT_MODE_TRACE)
        neb_lane_failed(lane, neb_capture(&lane->stacks, &call->place).node, call->size);
    neb_lane_leave(lane);
}

/* ---- free and realloc ----------------------------------------------------------------------------------------------------- */

/* Takes the record away. */
static bool record_take(const void *p, struct block_birth *birth)
{
    struct block_slot slot = neb_block_find(p);
    uint32_t session = atomic_load_explicit(&state()->session, memory_order_relaxed);
    if (!neb_block_get(&slot, session, birth))
        return false;
    neb_block_clear(&slot);
    return true;
}

static NEB_NOINLINE void untracked_count(void)
{
    if (trace_mode() != NBT_MODE_SAMPLE)
        atomic_fetch_add_explicit(&state()->untracked_frees, 1, memory_order_relaxed); /* a statistic */
}

void neb_record_free(void *p)
{
    struct block_birth birth;
    struct lane *lane = neb_lane_enter();
    if (lane == NULL)
        return;
    if (NEB_LIKELY(record_take(p, &birth))) {
        end_record(lane, &birth);
        lane_tick(lane);
    } else {
        untracked_count();
    }
    neb_lane_leave(lane);
}

struct record_taken neb_record_take(void *p)
{
    struct record_taken taken = {.has_record = false};
    struct lane *lane = neb_lane_enter();
    if (lane == NULL)
        return taken;
    taken.has_record = record_take(p, &taken.birth);
    if (!taken.has_record)
        untracked_count();
    neb_lane_leave(lane);
    return taken;
}

void neb_record_settle(const void *old, void *p, const struct record_taken *taken, const struct record_call *call)
{
    struct lane *lane = neb_lane_enter();
    if (lane == NULL)
        return;
    if (p != NULL && is_wanted(lane, call->size))
        begin_record(lane, p, call, old, taken);
    else if (taken->has_record)
        end_record(lane, &taken->birth);
    lane_tick(lane);
    neb_lane_leave(lane);
}

void neb_record_undo(void *p, const struct record_taken *taken)
{
    struct block_slot slot = neb_block_find(p);
    if (taken->has_record && slot.record != NULL)
        neb_block_set(&slot, &taken->birth);
}
