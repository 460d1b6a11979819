/* hide.c - see hide.h. */
#include "check/hide.h"

#include "os/env.h"
#include "policy/tuning.h"
#include <stdatomic.h>
#include <stdint.h>

static _Atomic uint32_t used_up; /* ms: when the allowance is whole again, if that is still to come */

bool neb_hide_is_due(size_t bytes)
{
    if (bytes > HIDE_ALWAYS_BYTES)
        return true;
    uint32_t now = neb_clock_ms(), before = atomic_load_explicit(&used_up, memory_order_relaxed), ahead;
    do {
        ahead = before - now;
        if (ahead > INT32_MAX) /* it came */
            ahead = 0;
        if (ahead >= HIDE_ALLOWANCE)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&used_up, &before, now + ahead + 1, memory_order_relaxed, memory_order_relaxed));
    return true;
}
