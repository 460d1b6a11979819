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

/* Not begun: this allocation is the first of the way. Not inside scopes, whose blocks end with them, nor in handlers of
 * signals that interrupted the allocator. */
bool neb_pick_slow(void)
{
    uint8_t now = neb_hold.pick;
    bool has_begun = (now & PICK_COUNT) != 0, is_due = has_begun && (now & PICK_IDLE) == 0;
    int64_t distance = distance_draw();
    if (!has_begun)
        is_due = --distance == 0;
    neb_hold.pick = distance > PICK_COUNT ? PICK_COUNT | PICK_IDLE : (uint8_t)distance;
    return is_due && neb_tls.state <= THREAD_ENDED;
}

void *neb_pick_alloc(size_t size, size_t alignment)
{
    int saved = errno;
    void *block = neb_guard_alloc(size, alignment, FAMILY_MALLOC, CONTENT_IS_ZERO);
    errno = saved;
    return block;
}
