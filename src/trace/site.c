/* site.c - see site.h. */
#include "trace/site.h"

#include "base/attr.h"
#include "base/bits.h"
#include "base/ptr.h"
#include "os/env.h"
#include "os/lock.h"
#include "policy/tuning.h"
#include "trace/depot.h"
#include "trace/output.h"
#include "trace/state.h"
#include <string.h>

enum {
    CHUNK_SITES = (SITES_CHUNK_BYTES - sizeof(struct nbt_chunk)) / sizeof(struct nbt_site),
    CHUNKS_MAX = SITES_MAX / CHUNK_SITES,
    SLOT_BITS = 7,
    WEIGHT_ONE = 256
};
_Static_assert(CHUNK_SITES < 1 << SLOT_BITS, "a number has its chunk's index, and its place there from 1 on: 0 is none");
_Static_assert(CHUNKS_MAX << SLOT_BITS <= 1 << 24, "a block's record has 24 bits for its site");

static struct nbt_chunk *_Atomic chunks[CHUNKS_MAX];
static uint32_t site_count; /* LOCK_TRACE_LANES */
static bool is_full;

/* NULL: there is none of this number, or not any more. */
static struct nbt_site *site_at(uint32_t number)
{
    if (NEB_UNLIKELY(number - 1 >= (CHUNKS_MAX << SLOT_BITS) - 1))
        return NULL;
    struct nbt_chunk *chunk = atomic_load_explicit(&chunks[number >> SLOT_BITS], memory_order_acquire); /* S1 */
    if (NEB_UNLIKELY(chunk == NULL)) /* the number is of a file before this one */
        return NULL;
    return (struct nbt_site *)(void *)ptr_add(chunk, sizeof *chunk) + (number % (1 << SLOT_BITS) - 1);
}

static bool chunk_ensure(uint32_t index)
{
    if (index >= CHUNKS_MAX)
        return false;
    struct nbt_chunk *chunk = atomic_load_explicit(&chunks[index], memory_order_relaxed); /* lock held */
    if (chunk == NULL)
        chunk = neb_output_begin(NBT_SITES, SITES_CHUNK_BYTES, 0, (uint64_t)index * CHUNK_SITES, 0);
    atomic_store_explicit(&chunks[index], chunk, memory_order_release); /* S1 */
    return chunk != NULL;
}

/* The number of the node's new site; 0: there is no room. LOCK_TRACE_LANES is held. */
static uint32_t site_make(uint32_t node)
{
    uint32_t index = site_count / CHUNK_SITES, place = site_count % CHUNK_SITES;
    if (!chunk_ensure(index)) {
        if (!is_full && neb_output_error() == 0)
            neb_os_complain("more call stacks allocate than there is room for: new ones are counted as 'other' from now on");
        is_full = true;
        return 0;
    }
    uint32_t number = index << SLOT_BITS | (place + 1);
    site_at(number)->stack = node;
    neb_output_commit(atomic_load_explicit(&chunks[index], memory_order_relaxed), (place + 1) * sizeof(struct nbt_site)); /* lock held */
    site_count++;
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

uint32_t neb_site_find(uint32_t node, uint32_t *note)
{
    uint32_t number = neb_depot_site(node);
    if (number == 0)
        number = number_slow(node);
    if (note != NULL)
        *note = number;
    return number;
}

uint32_t neb_site_stack(uint32_t number)
{
    const struct nbt_site *site = site_at(number);
    return site == NULL ? NBT_STACK_OTHER : site->stack;
}

/* ---- one change ---------------------------------------------------------------------------------------------------------- */

static bool is_shared(void)
{
    return NEB_UNLIKELY(atomic_load_explicit(&neb_trace_page.state.is_shared, memory_order_relaxed) != 0); /* set while nobody counts */
}

static NEB_NOINLINE void site_lock(struct nbt_site *site)
{
    while (__atomic_exchange_n(&site->lock, 1, __ATOMIC_ACQUIRE) != 0)
        neb_lock_pause();
}

static void site_unlock(struct nbt_site *site)
{
    __atomic_store_n(&site->lock, 0, __ATOMIC_RELEASE);
}

static uint64_t sum_add(_Atomic uint64_t *sum, uint64_t amount, bool shared)
{
    if (shared)
        return atomic_fetch_add_explicit(sum, amount, memory_order_relaxed) + amount; /* a statistic */
    uint64_t now = atomic_load_explicit(sum, memory_order_relaxed) + amount;
    atomic_store_explicit(sum, now, memory_order_relaxed);
    return now;
}

/* Notes what was live at the newest peak, before the first change after it. */
static void peak_note(struct nbt_site *site)
{
    uint64_t number = atomic_load_explicit(&neb_trace_page.state.peak_number, memory_order_relaxed);
    if (site->peak == number)
        return;
    site->peak = number;
    site->peak_blocks = site->allocs - site->frees;
    site->peak_bytes = site->bytes - site->freed_bytes;
}

static NEB_NOINLINE void peak_raise(uint64_t live, uint64_t now_ns)
{
    struct trace_state *state = &neb_trace_page.state;
    uint64_t peak = atomic_load_explicit(&state->peak_bytes, memory_order_relaxed);
    while (live > peak)
        if (atomic_compare_exchange_weak_explicit(&state->peak_bytes, &peak, live, memory_order_relaxed, memory_order_relaxed)) {
            (void)sum_add(&state->peak_number, 1, is_shared());
            atomic_store_explicit(&state->peak_ns, now_ns, memory_order_relaxed);
            return;
        }
}

static unsigned bucket_of(uint64_t value, unsigned buckets)
{
    unsigned log2 = value < 2 ? 0 : bits_log2_floor(value);
    return log2 < buckets ? log2 : buckets - 1;
}

/* Weights are 256ths. */
static uint64_t weighted_bytes(uint64_t weight, uint64_t bytes)
{
    return bytes * (weight / WEIGHT_ONE) + bytes * (weight % WEIGHT_ONE) / WEIGHT_ONE;
}

NEB_INLINE void alloc_count(struct nbt_site *site, size_t size, size_t usable, uint64_t now_ns, bool shared)
{
    struct trace_state *state = &neb_trace_page.state;
    if (shared)
        site_lock(site);
    peak_note(site);
    if (site->allocs++ == 0)
        site->first_ns = now_ns;
    site->last_ns = now_ns;
    site->bytes += size;
    site->usable_bytes += usable;
    uint64_t blocks = site->allocs - site->frees, bytes = site->bytes - site->freed_bytes;
    if (blocks > site->live_blocks_max)
        site->live_blocks_max = blocks;
    if (bytes > site->live_bytes_max)
        site->live_bytes_max = bytes;
    if (size > site->size_max)
        site->size_max = size;
    site->size[bucket_of(size, NBT_SIZE_BUCKETS)]++;
    if (shared)
        site_unlock(site);
    (void)sum_add(&state->live_blocks, 1, shared);
    uint64_t live = sum_add(&state->live_bytes, size, shared);
    if (live > atomic_load_explicit(&state->peak_bytes, memory_order_relaxed))
        peak_raise(live, now_ns);
}

NEB_INLINE void free_count(struct nbt_site *site, size_t size, uint64_t age, uint64_t life_ns, bool is_remote, bool shared)
{
    struct trace_state *state = &neb_trace_page.state;
    if (shared)
        site_lock(site);
    peak_note(site);
    site->frees++;
    site->freed_bytes += size;
    site->life_ns += life_ns;
    site->age[bucket_of(age, NBT_AGE_BUCKETS)]++;
    if (is_remote)
        site->frees_remote++;
    else if (age <= 1)
        site->frees_at_once++;
    if (shared)
        site_unlock(site);
    (void)sum_add(&state->live_blocks, ~UINT64_C(0), shared);
    (void)sum_add(&state->live_bytes, 0 - (uint64_t)size, shared);
}

/* Of their own, so that the first lane's calls save no registers for them. */
static NEB_NOINLINE void alloc_count_shared(struct nbt_site *site, size_t size, size_t usable, uint64_t now_ns)
{
    alloc_count(site, size, usable, now_ns, true);
}

static NEB_NOINLINE void free_count_shared(struct nbt_site *site, size_t size, uint64_t age, uint64_t life_ns, bool is_remote)
{
    free_count(site, size, age, life_ns, is_remote, true);
}

void neb_site_alloc(uint32_t number, size_t size, size_t usable, uint64_t now_ns)
{
    struct nbt_site *site = site_at(number);
    if (NEB_UNLIKELY(site == NULL))
        return;
    if (is_shared())
        alloc_count_shared(site, size, usable, now_ns);
    else
        alloc_count(site, size, usable, now_ns, false);
}

void neb_site_free(uint32_t number, size_t size, uint64_t age, uint64_t life_ns, bool is_remote)
{
    struct nbt_site *site = site_at(number);
    if (NEB_UNLIKELY(site == NULL))
        return;
    if (is_shared())
        free_count_shared(site, size, age, life_ns, is_remote);
    else
        free_count(site, size, age, life_ns, is_remote, false);
}

/* The site, which is this thread's alone until it leaves it; NULL: there is none. */
static struct nbt_site *site_enter(uint32_t number)
{
    struct nbt_site *site = site_at(number);
    if (site != NULL && is_shared())
        site_lock(site);
    return site;
}

static void site_leave(struct nbt_site *site)
{
    if (is_shared())
        site_unlock(site);
}

void neb_site_resized(uint32_t number, bool has_moved)
{
    struct nbt_site *site = site_enter(number);
    if (site == NULL)
        return;
    site->reallocs++;
    site->reallocs_moved += has_moved;
    site_leave(site);
}

void neb_site_weigh(uint32_t number, size_t size, uint64_t weight, bool is_free)
{
    struct nbt_site *site = site_enter(number);
    if (site == NULL)
        return;
    *(is_free ? &site->weighted_frees : &site->weighted_allocs) += weight;
    *(is_free ? &site->weighted_freed_bytes : &site->weighted_bytes) += weighted_bytes(weight, size);
    site_leave(site);
}

/* ---- the file ------------------------------------------------------------------------------------------------------------ */

void neb_sites_begin(void)
{
    struct trace_state *state = &neb_trace_page.state;
    for (uint32_t i = 0; i < CHUNKS_MAX; i++)
        atomic_store_explicit(&chunks[i], NULL, memory_order_relaxed);
    site_count = 0;
    is_full = false;
    atomic_store_explicit(&state->live_bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&state->live_blocks, 0, memory_order_relaxed);
    atomic_store_explicit(&state->peak_bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&state->peak_number, 0, memory_order_relaxed);
    atomic_store_explicit(&state->peak_ns, 0, memory_order_relaxed);
    neb_lock_take(&neb_locks[LOCK_TRACE_LANES]);
    (void)site_make(NBT_STACK_OTHER);
    neb_lock_give(&neb_locks[LOCK_TRACE_LANES]);
}

void neb_sites_finish(bool is_quiet)
{
    for (uint32_t i = 0; i < CHUNKS_MAX; i++) {
        struct nbt_chunk *chunk = atomic_load_explicit(&chunks[i], memory_order_relaxed);
        if (chunk == NULL)
            continue;
        if (is_quiet)
            atomic_store_explicit(&chunks[i], NULL, memory_order_relaxed);
        if (is_quiet)
            neb_output_seal(chunk);
        else
            neb_output_seal_in_place(chunk);
    }
}

void neb_sites_forget(void)
{
    for (uint32_t i = 0; i < CHUNKS_MAX; i++) {
        struct nbt_chunk *chunk = atomic_load_explicit(&chunks[i], memory_order_relaxed);
        neb_output_drop(&chunk);
        atomic_store_explicit(&chunks[i], NULL, memory_order_relaxed);
    }
}
