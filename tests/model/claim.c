/* claim.c - detach and claim in C11: an owner takes the last free bit of its slab and detaches it while two
 * threads free a block each.
 *
 *   owner: bits -> 0, entry := OWNERLESS (release)      freeing: CAS entry OWNERLESS -> mine (acquire), bits
 *
 * Shows      the bitmap, which is plain memory, passes from owner to owner without a race; one claims;
 *            each block is in the bitmap or in a batch, once
 * Sync       C1: the store of OWNERLESS releases the bitmap, the winning CAS acquires it */
#include "model.h"
#include <stdint.h>

enum { OWNERLESS = 0, OWNER = 1 }; /* the freeing threads are 2 and 3 */

#if defined(MUTANT_DETACH_RELAXED)
#define DETACH_ORDER memory_order_relaxed
#else
#define DETACH_ORDER memory_order_release
#endif
#if defined(MUTANT_CLAIM_RELAXED)
#define CLAIM_ORDER memory_order_relaxed
#else
#define CLAIM_ORDER memory_order_acquire
#endif

static _Atomic uint32_t entry;
static uint32_t bits;         /* plain: the owner's */
static uint32_t popped;       /* block that the owner's refill took */
static uint32_t batch[4];     /* [thread] blocks that it would send to the owner */
static uint32_t claimed_by[4];

static int slab_claim(uint32_t me)
{
    uint32_t none = OWNERLESS;
#ifdef MUTANT_CLAIM_WITHOUT_CAS
    if (atomic_load_explicit(&entry, memory_order_acquire) != none)
        return 0;
    WIDEN();
    atomic_store_explicit(&entry, me, memory_order_relaxed);
    return 1;
#else
    return atomic_compare_exchange_strong_explicit(&entry, &none, me, CLAIM_ORDER /* C1 */, memory_order_relaxed);
#endif
}

static void block_free(uint32_t me, uint32_t block)
{
    /* Relaxed is enough for the look: OWNERLESS is confirmed by the CAS, and any other owner is only an address
     * to send to. */
    uint32_t seen = atomic_load_explicit(&entry, memory_order_relaxed);
    if (seen == OWNERLESS && slab_claim(me)) {
        claimed_by[me] = 1;
        MUST((bits & block) == 0);
        bits |= block;
    } else {
        batch[me] |= block;
    }
}

static void *owner(void *unused)
{
    popped = bits; /* the last one */
    bits = 0;
    atomic_store_explicit(&entry, OWNERLESS, DETACH_ORDER); /* C1 */
    return unused;
}

static void *freeing_2(void *unused)
{
    block_free(2, 2);
    return unused;
}

static void *freeing_3(void *unused)
{
    block_free(3, 4);
    return unused;
}

int main(void)
{
    static void *(*const body[])(void *) = {owner, freeing_2, freeing_3};
    for (int scene = 0; scene < SCENES; scene++) {
        atomic_store_explicit(&entry, OWNER, memory_order_relaxed);
        bits = 1;
        popped = 0;
        for (int i = 0; i < 4; i++)
            batch[i] = claimed_by[i] = 0;
        threads_run(body, 3);
        MUST(popped == 1);
        MUST(claimed_by[2] + claimed_by[3] <= 1);
        MUST((bits | batch[2] | batch[3]) == 6 && bits + batch[2] + batch[3] == 6);
        uint32_t last = atomic_load_explicit(&entry, memory_order_relaxed);
        MUST(last == (claimed_by[2] ? 2u : claimed_by[3] ? 3u : OWNERLESS));
    }
    return 0;
}
