/* quarantine.c - see quarantine.h.
 *
 * Sync  places only counts, and whoever adds to count has added to it before: relaxed is enough. It is too large for a moment
 *       when a place is refused; another may be refused for that, never granted. */
#include "check/quarantine.h"

#include "os/lock.h"
#include "os/vm.h"
#include "policy/tuning.h"
#include <stdatomic.h>

struct place {
    void *block;
    size_t weight;
};

static struct place *ring;
static size_t first, count; /* of the oldest; how many */
static size_t weight_all, weight_max;
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

void neb_quarantine_put(void *block, size_t weight)
{
    neb_lock_take(&neb_locks[LOCK_QUARANTINE]);
    ring[(first + count++) % QUARANTINE_BLOCKS_MAX] = (struct place){block, weight};
    weight_all += weight;
    neb_lock_give(&neb_locks[LOCK_QUARANTINE]);
}

void *neb_quarantine_take(bool any)
{
    void *block = NULL;
    neb_lock_take(&neb_locks[LOCK_QUARANTINE]);
    if (count > 0 && (any || weight_all > weight_max || count > QUARANTINE_BLOCKS_MAX - QUARANTINE_BLOCKS_MAX / 16)) {
        block = ring[first].block;
        weight_all -= ring[first].weight;
        first = (first + 1) % QUARANTINE_BLOCKS_MAX;
        count--;
    }
    neb_lock_give(&neb_locks[LOCK_QUARANTINE]);
    return block;
}

size_t neb_quarantine_count(void)
{
    neb_lock_take(&neb_locks[LOCK_QUARANTINE]);
    size_t waiting = count;
    neb_lock_give(&neb_locks[LOCK_QUARANTINE]);
    return waiting;
}
