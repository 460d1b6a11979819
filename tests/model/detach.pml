/* detach.pml - an owner takes the last free bit of its slab, and detaches it or keeps it, while two others free
 * blocks of it: each sees it owned and sends a batch, or sees it ownerless and claims it. */
#define SLABS 1
#define PER_SLAB 3
#ifndef BATCH
#define BATCH 1
#endif
#ifndef MAGAZINE
#define MAGAZINE 1
#endif
#ifndef OPERATIONS
#define OPERATIONS 3
#endif
#include "protocol.pml"

init
{
    atomic {
        entry[0] = OWNED(0);
        bits[0] = 1;
        taken[0] = 1;
        owned[0] = 1;
        live = BIT(1) | BIT(2);
        run thread(0, 0, OPERATIONS, 0, 0, 0, 0);
        run thread(1, 0, 0, 2, 0, 0, 0);
        run thread(2, 0, 0, 2, 0, 0, 0)
    }
}
