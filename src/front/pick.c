/* pick.c - see pick.h. */
#include "front/pick.h"

#include "check/guard.h"
#include "heap/heap.h"
#include "trace/sample.h"
#include "trace/state.h"
#include <errno.h>
#include <stdatomic.h>

static uint64_t mean; /* written once */
static _Atomic uint64_t sequence;

void neb_pick_begin(uint64_t wanted)
{
    mean = wanted;
    trace_guards_set(wanted != 0);
}

/* Allocations up to the next one that is due, itself included. */
static int64_t distance_draw(void)
{
    if (mean <= 1)
        return mean == 0 ? INT64_MAX : 1;
    uint64_t random = atomic_fetch_add_explicit(&sequence, UINT64_C(0xD1B54A32D192ED03), memory_order_relaxed); /* a number */
    return neb_sample_distance(&random, mean);
}

/* The countdown began with the allocation after the one that was due, or with this one where none was. It stops at what a byte holds. Not
 * inside scopes, whose blocks end with them, nor in handlers of signals that interrupted the allocator. */
bool neb_pick_slow(void)
{
    struct hold *hold = &neb_hold;
    int64_t distance = distance_draw();
    bool is_due = !hold->pick_is_idle || distance == 1;
    if (hold->pick_is_idle)
        distance = is_due ? distance_draw() : distance - 1;
    hold->pick_is_idle = distance >= UINT8_MAX;
    hold->pick = hold->pick_is_idle ? UINT8_MAX : (uint8_t)distance;
    return is_due && neb_tls.state <= THREAD_ENDED;
}

void *neb_pick_alloc(size_t size, size_t alignment)
{
    int saved = errno;
    void *block = neb_guard_alloc(size, alignment, FAMILY_MALLOC, CONTENT_IS_ZERO);
    errno = saved;
    return block;
}
