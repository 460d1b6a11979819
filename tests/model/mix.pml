/* mix.pml - three threads that do anything: each starts, makes OPERATIONS calls of either kind, perhaps gives up
 * slabs, and exits. Everything is empty at first.                id young allocs frees any again late */
#define SLABS 2
#define PER_SLAB 2
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
        bits[0] = FULL;
        bits[1] = FULL;
        inbox[0] = CLOSED;
        inbox[1] = CLOSED;
        inbox[2] = CLOSED;
        run thread(0, 0, 0, 0, OPERATIONS, 0, 0);
        run thread(1, 0, 0, 0, OPERATIONS, 0, 0);
        run thread(2, 0, 0, 0, OPERATIONS, 0, 0)
    }
}
