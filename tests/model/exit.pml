/* exit.pml - a heap exits while two others free its blocks, so that batches reach its inbox at any moment of
 * the exit, or meet it closed; then another thread takes the heap structure over, under the same id, while
 * batches for the old one are still under way. */
#define SLABS 2
#define PER_SLAB 2
#ifndef BATCH
#define BATCH 2
#endif
#ifndef MAGAZINE
#define MAGAZINE 1
#endif
#ifndef OPERATIONS
#define OPERATIONS 1
#endif
#include "protocol.pml"

init
{
    atomic {
        entry[0] = OWNED(0); /* partial: block 0 free, block 1 out */
        bits[0] = 1;
        taken[0] = 1;
        entry[1] = OWNED(0); /* kept without free bits: block 2 out, block 3 in a batch that heap 1 gathers */
        taken[1] = 1;
        owned[0] = 3;
        live = BIT(1) | BIT(2);
        OUTBOX(1, 0) = BIT(3);
        run thread(0, 0, 0, 0, 0, 1, 0);
        run thread(1, 0, 0, OPERATIONS, 0, 0, 0);
        run thread(2, 0, 0, OPERATIONS, 0, 0, 0)
    }
}
