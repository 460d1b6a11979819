/* third.pml - a batch for heap 0 is under way from heap 1 when heap 0 detaches the slab and heap 2 claims it:
 * heap 0 must pass the blocks on, and not set bits. Heap 2 may detach it in turn. */
#define SLABS 1
#define PER_SLAB 3
#ifndef BATCH
#define BATCH 1
#endif
#ifndef MAGAZINE
#define MAGAZINE 1
#endif
#ifndef OPERATIONS
#define OPERATIONS 2
#endif
#include "protocol.pml"

init
{
    atomic {
        entry[0] = OWNED(0);
        bits[0] = 1;
        taken[0] = 1;
        owned[0] = 1;
        OUTBOX(1, 0) = BIT(1);
        live = BIT(2);
        run thread(0, 0, OPERATIONS, 0, 0, 0, 0);
        run thread(1, 0, 0, 0, 0, 0, 0);
        run thread(2, 0, 0, 1, OPERATIONS, 0, 0)
    }
}
