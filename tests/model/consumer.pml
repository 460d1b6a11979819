/* consumer.pml - one thread only frees, and gives up slabs while it lives, one only allocates, the third does
 * both: slabs go round through the list while blocks of a slab that was given up are freed. */
#define SLABS 2
#define PER_SLAB 2
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
#define OPERATIONS 2
#endif
#include "protocol.pml"

init
{
    atomic {
        entry[0] = OWNERLESS; /* detached */
        taken[0] = 1;
        entry[1] = OWNERLESS; /* one block out, the slab in the list */
        taken[1] = 1;
        bits[1] = 1;
        listed[1] = 1;
        live = BIT(0) | BIT(1) | BIT(3);
        run thread(0, 0, 0, OPERATIONS, 0, 0, 0);
        run thread(1, 0, OPERATIONS, 0, 0, 0, 0);
        run thread(2, 0, 1, 1, 0, 0, 0)
    }
}
