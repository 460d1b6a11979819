/* site.h - sums by call stack, kept in the file itself (NBT_SITES): nothing has to be written at the end, or on SIGKILL.
 *
 * While one lane exists nothing is atomic; from the second one on, a site is changed under its own lock, and the sums over
 * the process are atomic.
 *
 * The peak: each new maximum of live bytes has a number. A site notes what it had live before its first change after
 * the newest peak; a site without such a note has not changed since. So a peak costs nothing, however many sites there are.
 *
 * Ownership  a site: its lock; which node has which site: LOCK_TRACE_LANES
 * Failure    the site of NBT_STACK_OTHER; neb_site_nowhere if there is not even that
 * Sync       S1: a site is published in its node after it was made */
#ifndef NEB_TRACE_SITE_H
#define NEB_TRACE_SITE_H

#include "base/attr.h"
#include "base/bits.h"
#include "trace/format.h"
#include "trace/rows.h"
#include "trace/state.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { SITE_LOCK_BITS = 8 }; /* the word with the lock has the number above */
_Static_assert(ROWS_CHUNKS_MAX << ROWS_PLACE_BITS <= 1 << 24, "a block's record has 24 bits for its site, as has the lock's word");

extern NEB_HIDDEN struct rows neb_site_rows;
extern NEB_HIDDEN struct nbt_site neb_site_nowhere; /* takes what belongs to no site; its number is 0 */

/* The site where a node's stack is counted. note: kept with the stack by the caller (capture.h); may be NULL. */
struct nbt_site *neb_site_find(uint32_t node, void **note);
NEB_INLINE struct nbt_site *site_of(uint32_t node, void **note)
{
    return NEB_LIKELY(note != NULL && *note != NULL) ? *note : neb_site_find(node, note);
}

/* Of a number that is none, or of a file before this one: neb_site_nowhere. */
NEB_INLINE struct nbt_site *site_at(uint32_t number)
{
    struct nbt_site *site = rows_at(&neb_site_rows, number);
    return NEB_LIKELY(site != NULL) ? site : &neb_site_nowhere;
}

NEB_INLINE uint32_t site_number(const struct nbt_site *site)
{
    return __atomic_load_n(&site->lock, __ATOMIC_RELAXED) >> SITE_LOCK_BITS; /* it never changes */
}

/* ---- one change: by the only lane, or by one of several ---------------------------------------------------------------- */

/* Set while nobody counts. */
NEB_INLINE bool sites_are_shared(void)
{
    return NEB_UNLIKELY(atomic_load_explicit(&neb_trace_page.state.is_shared, memory_order_relaxed) != 0);
}

/* Notes what was live at the newest peak, before the first change after it. */
NEB_INLINE void site_note_peak(struct nbt_site *site)
{
    uint64_t number = atomic_load_explicit(&neb_trace_page.state.peak_number, memory_order_relaxed);
    if (site->peak == number)
        return;
    site->peak = number;
    site->peak_blocks = site->allocs - site->frees;
    site->peak_bytes = site->bytes - site->freed_bytes;
}

/* Which of a power of two of buckets. */
NEB_INLINE unsigned site_bucket(uint64_t value, unsigned buckets)
{
    unsigned log2 = value < 2 ? 0 : bits_log2_floor(value);
    return log2 < buckets ? log2 : buckets - 1;
}

/* Both: the bucket that is full now, and for which neb_site_spill is to be called when the site is not locked; or NULL. */
NEB_INLINE uint8_t *site_count_alloc(struct nbt_site *site, size_t size, size_t usable, uint64_t now_ns)
{
    site_note_peak(site);
    if (NEB_UNLIKELY(site->allocs++ == 0))
        site->first_ns = now_ns;
    site->last_ns = now_ns;
    site->bytes += size;
    site->usable_bytes += usable;
    uint64_t blocks = site->allocs - site->frees, bytes = site->bytes - site->freed_bytes;
    if (NEB_UNLIKELY(blocks > site->live_blocks_max))
        site->live_blocks_max = blocks;
    if (NEB_UNLIKELY(bytes > site->live_bytes_max))
        site->live_bytes_max = bytes;
    if (NEB_UNLIKELY(size > site->size_max))
        site->size_max = size;
    uint8_t *bucket = &site->size[site_bucket(size, NBT_SIZE_BUCKETS)];
    return NEB_LIKELY(++*bucket != 0) ? NULL : bucket;
}

NEB_INLINE uint8_t *site_count_free(struct nbt_site *site, size_t size, uint64_t age, uint64_t life_ns)
{
    site_note_peak(site);
    site->frees++;
    site->freed_bytes += size;
    site->life_ns += life_ns;
    uint8_t *bucket = &site->age[site_bucket(age, NBT_AGE_BUCKETS)];
    return NEB_LIKELY(++*bucket != 0) ? NULL : bucket;
}

NEB_COLD void neb_site_spill(struct nbt_site *site, const uint8_t *bucket);
void neb_site_alloc_shared(struct nbt_site *site, size_t size, size_t usable, uint64_t now_ns);
void neb_site_free_shared(struct nbt_site *site, size_t size, uint64_t age, uint64_t life_ns, bool is_remote);
NEB_NOINLINE void neb_peak_raise(uint64_t live, uint64_t now_ns);

/* usable: bytes of the block as it is. */
NEB_INLINE void site_alloc(struct nbt_site *site, size_t size, size_t usable, uint64_t now_ns)
{
    struct trace_state *state = &neb_trace_page.state;
    if (sites_are_shared()) {
        neb_site_alloc_shared(site, size, usable, now_ns);
        return;
    }
    const uint8_t *full = site_count_alloc(site, size, usable, now_ns);
    uint64_t live = atomic_load_explicit(&state->live_bytes, memory_order_relaxed) + size; /* the lane's alone */
    atomic_store_explicit(&state->live_bytes, live, memory_order_relaxed);
    if (live > atomic_load_explicit(&state->peak_bytes, memory_order_relaxed))
        neb_peak_raise(live, now_ns);
    if (NEB_UNLIKELY(full != NULL))
        neb_site_spill(site, full);
}

/* age: in allocations. By the only lane that there is. */
NEB_INLINE void site_free_own(struct nbt_site *site, size_t size, uint64_t age, uint64_t life_ns)
{
    struct trace_state *state = &neb_trace_page.state;
    const uint8_t *full = site_count_free(site, size, age, life_ns);
    if (age <= 1)
        site->frees_at_once++;
    atomic_store_explicit(&state->live_bytes, atomic_load_explicit(&state->live_bytes, memory_order_relaxed) - size,
                          memory_order_relaxed); /* as above */
    if (NEB_UNLIKELY(full != NULL))
        neb_site_spill(site, full);
}

/* After site_alloc: it was a realloc, which moved the block or did not. */
void neb_site_resized(struct nbt_site *site, bool has_moved);
/* Mode sample, after each of the two: for how many blocks this one stands, in 256ths. */
void neb_site_weigh(struct nbt_site *site, size_t size, uint64_t weight, bool is_free);

/* The stack whose sums a site has; NBT_STACK_OTHER for a number without site. Between begin and finish. */
uint32_t neb_site_stack(uint32_t number);

void neb_sites_begin(void);
/* is_quiet: nobody is in the middle of counting, so that nothing need stay mapped. */
void neb_sites_finish(bool is_quiet);
void neb_sites_forget(void);

#endif
