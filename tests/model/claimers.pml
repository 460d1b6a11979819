/* claimers.pml - three threads free, at once, blocks of a slab that has no owner: it was detached with all its
 * blocks out, or it was abandoned partial and stands in the list, where refills find it too. */
#define SLABS 2
#define PER_SLAB 3
#ifndef BATCH
#define BATCH 1
#endif
#ifndef MAGAZINE
#define MAGAZINE 1
#endif
#ifndef KEEP_FULL
#define KEEP_FULL 0
#endif
#ifndef OPERATIONS
#define OPERATIONS 1
#endif
#include "protocol.pml"

init
{
    atomic {
        entry[0] = OWNERLESS;
        taken[0] = 1;
        bits[1] = FULL;
        if
        :: live = FULL
        :: live = BIT(1) | BIT(2);
            bits[0] = 1;
            listed[0] = 1
        fi;
        run thread(0, 0, 0, 1, 0, 0, 0);
        run thread(1, 0, OPERATIONS, 1, 0, 0, 0);
        run thread(2, 0, 0, 0, OPERATIONS, 0, 0)
    }
}
