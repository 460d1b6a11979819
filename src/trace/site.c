/* site.c - see site.h. */
#include "trace/site.h"

#include "os/env.h"
#include "os/lock.h"
#include "trace/depot.h"
#include "trace/output.h"

enum { WEIGHT_ONE = 256 };

struct rows neb_site_rows = {.kind = NBT_SITES};
struct nbt_site neb_site_nowhere;
static struct rows bucket_rows = {.kind = NBT_BUCKETS};
static bool is_full;

/* The number of the node's new site; 0: there is no room. LOCK_TRACE_LANES is held. */
static uint32_t site_make(uint32_t node)
{
    uint32_t number = neb_rows_make(&neb_site_rows);
    if (number == 0) {
        if (!is_full && neb_output_error() == 0)
            neb_os_complain("more call stacks allocate than there is room for: new ones are counted as 'other' from now on");
        is_full = true;
        return 0;
    }
    struct nbt_site *site = site_at(number);
    site->stack = node;
    site->lock = number << SITE_LOCK_BITS;
    neb_depot_set_site(node, number);
    return number;
}

static NEB_COLD uint32_t number_slow(uint32_t node)
{
    neb_lock_take(&neb_locks[LOCK_TRACE_LANES]);
    uint32_t number = neb_depot_site(node);
    if (number == 0 && !is_full)
        number = site_make(node);
    if (number == 0)
        number = neb_depot_site(NBT_STACK_OTHER);
    neb_lock_give(&neb_locks[LOCK_TRACE_LANES]);
    return number;
}

struct nbt_site *neb_site_find(uint32_t node, void **note)
{
    uint32_t number = neb_depot_site(node);
    if (number == 0)
        number = number_slow(node);
    struct nbt_site *site = site_at(number);
    if (note != NULL)
        *note = site;
    return site;
}

uint32_t neb_site_stack(uint32_t number)
{
    const struct nbt_site *site = site_at(number);
    return site == &neb_site_nowhere ? NBT_STACK_OTHER : site->stack;
}

/* ---- one change ---------------------------------------------------------------------------------------------------------- */

static NEB_NOINLINE void site_lock(struct nbt_site *site)
{
    while ((__atomic_fetch_or(&site->lock, 1, __ATOMIC_ACQUIRE) & 1) != 0)
        neb_lock_pause();
}

static void site_unlock(struct nbt_site *site)
{
    __atomic_store_n(&site->lock, site_number(site) << SITE_LOCK_BITS, __ATOMIC_RELEASE);
}

void neb_peak_raise(uint64_t live, uint64_t now_ns)
{
    struct trace_state *state = &neb_trace_page.state;
    uint64_t peak = atomic_load_explicit(&state->peak_bytes, memory_order_relaxed);
    while (live > peak)
        if (atomic_compare_exchange_weak_explicit(&state->peak_bytes, &peak, live, memory_order_relaxed, memory_order_relaxed)) {
            atomic_fetch_add_explicit(&state->peak_number, 1, memory_order_relaxed);
            atomic_store_explicit(&state->peak_ns, now_ns, memory_order_relaxed);
            return;
        }
}

/* Weights are 256ths. */
static uint64_t weighted_bytes(uint64_t weight, uint64_t bytes)
{
    return bytes * (weight / WEIGHT_ONE) + bytes * (weight % WEIGHT_ONE) / WEIGHT_ONE;
}

/* Its number in the file; 0: none, and no room for one. */
static uint32_t buckets_of(struct nbt_site *site)
{
    uint32_t known = __atomic_load_n(&site->buckets, __ATOMIC_RELAXED);
    if (known != 0 || site == &neb_site_nowhere)
        return known;
    neb_lock_take(&neb_locks[LOCK_TRACE_LANES]);
    if (site->buckets == 0 && neb_rows_make(&bucket_rows) != 0)
        __atomic_store_n(&site->buckets, bucket_rows.count, __ATOMIC_RELAXED);
    known = site->buckets;
    neb_lock_give(&neb_locks[LOCK_TRACE_LANES]);
    return known;
}

void neb_site_spill(struct nbt_site *site, const uint8_t *bucket)
{
    uint32_t known = buckets_of(site), index = (known - 1) / ROWS_IN_CHUNK, place = (known - 1) % ROWS_IN_CHUNK + 1;
    struct nbt_buckets *buckets = known == 0 ? NULL : rows_at(&bucket_rows, index << ROWS_PLACE_BITS | place);
    if (buckets != NULL)
        __atomic_fetch_add(bucket < site->size ? &buckets->age[bucket - site->age] : &buckets->size[bucket - site->size], 1,
                           __ATOMIC_RELAXED);
}

void neb_site_alloc_shared(struct nbt_site *site, size_t size, size_t usable, uint64_t now_ns)
{
    struct trace_state *state = &neb_trace_page.state;
    site_lock(site);
    const uint8_t *full = site_count_alloc(site, size, usable, now_ns);
    site_unlock(site);
    uint64_t live = atomic_fetch_add_explicit(&state->live_bytes, size, memory_order_relaxed) + size; /* a statistic */
    if (live > atomic_load_explicit(&state->peak_bytes, memory_order_relaxed))
        neb_peak_raise(live, now_ns);
    if (full != NULL)
        neb_site_spill(site, full);
}

void neb_site_free_shared(struct nbt_site *site, size_t size, uint64_t age, uint64_t life_ns, bool is_remote)
{
    site_lock(site);
    const uint8_t *full = site_count_free(site, size, age, life_ns);
    if (is_remote)
        site->frees_remote++;
    else if (age <= 1)
        site->frees_at_once++;
    site_unlock(site);
    atomic_fetch_sub_explicit(&neb_trace_page.state.live_bytes, size, memory_order_relaxed); /* a statistic */
    if (full != NULL)
        neb_site_spill(site, full);
}

/* The site is this thread's alone until it leaves it. */
static void site_enter(struct nbt_site *site)
{
    if (sites_are_shared())
        site_lock(site);
}

static void site_leave(struct nbt_site *site)
{
    if (sites_are_shared())
        site_unlock(site);
}

void neb_site_resized(struct nbt_site *site, bool has_moved)
{
    site_enter(site);
    site->reallocs++;
    site->reallocs_moved += has_moved;
    site_leave(site);
}

void neb_site_weigh(struct nbt_site *site, size_t size, uint64_t weight, bool is_free)
{
    site_enter(site);
    *(is_free ? &site->weighted_frees : &site->weighted_allocs) += weight;
    *(is_free ? &site->weighted_freed_bytes : &site->weighted_bytes) += weighted_bytes(weight, size);
    site_leave(site);
}

/* ---- the file ------------------------------------------------------------------------------------------------------------ */

void neb_sites_begin(void)
{
    struct trace_state *state = &neb_trace_page.state;
    neb_rows_begin(&neb_site_rows);
    neb_rows_begin(&bucket_rows);
    is_full = false;
    atomic_store_explicit(&state->live_bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&state->peak_bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&state->peak_number, 0, memory_order_relaxed);
    atomic_store_explicit(&state->peak_ns, 0, memory_order_relaxed);
    neb_lock_take(&neb_locks[LOCK_TRACE_LANES]);
    (void)site_make(NBT_STACK_OTHER);
    neb_lock_give(&neb_locks[LOCK_TRACE_LANES]);
}

void neb_sites_finish(bool is_quiet)
{
    neb_rows_finish(&neb_site_rows, is_quiet);
    neb_rows_finish(&bucket_rows, is_quiet);
}

void neb_sites_forget(void)
{
    neb_rows_forget(&neb_site_rows);
    neb_rows_forget(&bucket_rows);
}
