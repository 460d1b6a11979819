/* late.pml - heap 2 is the shared one, for threads that have none. One thread ends and frees a block afterwards;
 * one uses the shared heap before it has its own, and after it; the third never has its own.
 * What the shared heap holds is not lost: whoever empties it at the end finds everything. */
#define SLABS 2
#define PER_SLAB 2
#define SHARED 2
#ifndef BATCH
#define BATCH 1
#endif
#ifndef MAGAZINE
#define MAGAZINE 1
#endif
#ifndef KEEP_FULL
#define KEEP_FULL 0
#endif
#ifndef GIVE_UP
#define GIVE_UP 0
#endif
#ifndef OPERATIONS
#define OPERATIONS 1
#endif
#include "protocol.pml"

init
{
    atomic {
        entry[0] = OWNED(0); /* partial */
        bits[0] = 1;
        taken[0] = 1;
        owned[0] = 1;
        live = BIT(1);
        bits[1] = FULL;
        inbox[1] = CLOSED;
        run thread(0, 0, 0, 0, 1, 0, 1);
        run thread(1, 1, 0, 0, OPERATIONS, 0, 1);
        run thread(2, 1, 0, 0, 0, 0, 0)
    }
}
