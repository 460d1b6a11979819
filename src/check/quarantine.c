/* quarantine.c - see quarantine.h. */
#include "check/quarantine.h"

#include "os/lock.h"
#include "os/vm.h"
#include "policy/tuning.h"

struct place {
    void *block;
    size_t weight;
};

static struct place *ring;
static size_t first, count; /* of the oldest; how many */
static size_t weight_all, weight_max;

void neb_quarantine_init(size_t bytes_max)
{
    ring = neb_vm_map(QUARANTINE_BLOCKS_MAX * sizeof *ring); /* only what is used becomes resident */
    weight_max = bytes_max;
}

bool neb_quarantine_put(void *block, size_t weight)
{
    neb_lock_take(&neb_locks[LOCK_QUARANTINE]);
    bool fits = ring != NULL && count < QUARANTINE_BLOCKS_MAX && weight_max > 0;
    if (fits) {
        ring[(first + count++) % QUARANTINE_BLOCKS_MAX] = (struct place){block, weight};
        weight_all += weight;
    }
    neb_lock_give(&neb_locks[LOCK_QUARANTINE]);
    return fits;
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

size_t neb_quarantine_weight(void)
{
    neb_lock_take(&neb_locks[LOCK_QUARANTINE]);
    size_t weight = weight_all;
    neb_lock_give(&neb_locks[LOCK_QUARANTINE]);
    return weight;
}
