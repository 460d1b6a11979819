/* quarantine.c - see quarantine.h.
 *
 * Sync  weight_all and count are written under the lock; the look at them without it is a hint: whoever put the block that is too
 *       much sees that it is, and so looks under the lock.
 *       places only counts, and whoever adds to count has added to it before: relaxed is enough. It is too large for a moment
 *       when a place is refused; another may be refused for that, never granted. */
#include "check/quarantine.h"

#include "os/lock.h"
#include "os/vm.h"
#include "policy/tuning.h"
#include <stdatomic.h>

enum { SOON = 8 }; /* blocks that leave before the one that may be fetched now */

struct held {
    void *block;
    size_t weight;
};

static struct held *ring;
static size_t first; /* of the oldest */
static _Atomic size_t count, weight_all;
static size_t weight_max;
static _Atomic size_t places; /* reserved: those of the blocks in the ring, and of those that come or go */

void neb_quarantine_init(size_t bytes_max)
{
    ring = neb_vm_map(QUARANTINE_BLOCKS_MAX * sizeof *ring); /* only what is used becomes resident */
    weight_max = bytes_max;
}

bool neb_quarantine_reserve(void)
{
    if (ring == NULL || weight_max == 0)
        return false;
    if (atomic_fetch_add_explicit(&places, 1, memory_order_relaxed) < QUARANTINE_BLOCKS_MAX)
        return true;
    neb_quarantine_leave();
    return false;
}

void neb_quarantine_leave(void)
{
    atomic_fetch_sub_explicit(&places, 1, memory_order_relaxed);
}

static size_t get(const _Atomic size_t *number)
{
    return atomic_load_explicit(number, memory_order_relaxed);
}

static void set(_Atomic size_t *number, size_t value)
{
    atomic_store_explicit(number, value, memory_order_relaxed);
}

bool neb_quarantine_is_full(void)
{
    return get(&weight_all) > weight_max || get(&count) > QUARANTINE_BLOCKS_MAX - QUARANTINE_BLOCKS_MAX / 16;
}

static void put_locked(void *block, size_t weight)
{
    ring[(first + get(&count)) % QUARANTINE_BLOCKS_MAX] = (struct held){block, weight};
    set(&count, get(&count) + 1);
    set(&weight_all, get(&weight_all) + weight);
}

static void *take_locked(bool any, void **soon)
{
    if (get(&count) == 0 || (!any && !neb_quarantine_is_full()))
        return NULL;
    void *block = ring[first].block;
    *soon = get(&count) > SOON ? ring[(first + SOON) % QUARANTINE_BLOCKS_MAX].block : NULL;
    set(&weight_all, get(&weight_all) - ring[first].weight);
    set(&count, get(&count) - 1);
    first = (first + 1) % QUARANTINE_BLOCKS_MAX;
    return block;
}

void neb_quarantine_put(void *block, size_t weight)
{
    neb_lock_take(&neb_locks[LOCK_QUARANTINE]);
    put_locked(block, weight);
    neb_lock_give(&neb_locks[LOCK_QUARANTINE]);
}

void *neb_quarantine_take(bool any, void **soon)
{
    neb_lock_take(&neb_locks[LOCK_QUARANTINE]);
    void *block = take_locked(any, soon);
    neb_lock_give(&neb_locks[LOCK_QUARANTINE]);
    return block;
}

void *neb_quarantine_exchange(void *block, size_t weight, void **soon)
{
    neb_lock_take(&neb_locks[LOCK_QUARANTINE]);
    put_locked(block, weight);
    void *oldest = take_locked(false, soon);
    neb_lock_give(&neb_locks[LOCK_QUARANTINE]);
    return oldest;
}

void neb_quarantine_spans(struct spans *spans)
{
    neb_spans_add(spans, ring, ring == NULL ? 0 : QUARANTINE_BLOCKS_MAX * sizeof *ring);
}

size_t neb_quarantine_count(void)
{
    return get(&count);
}
