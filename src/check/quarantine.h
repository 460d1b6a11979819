/* quarantine.h - freed blocks, in the order in which they were freed, until they are too many or too much.
 *
 *   put --> [ newest ........................ oldest ] --> take
 *
 * Invariant  a block is in it once at most: put is called by whoever changed its state to FREED, take's caller changes it
 *            to RELEASED. A block in it belongs to nobody else.
 * Ownership  the ring: the lock; a block that take answered: the caller
 * Locks      LOCK_QUARANTINE, for a few instructions; no other is taken under it
 * Failure    put refuses a block when there is no memory for the ring, or it is full */
#ifndef NEB_CHECK_QUARANTINE_H
#define NEB_CHECK_QUARANTINE_H

#include <stdbool.h>
#include <stddef.h>

void neb_quarantine_init(size_t bytes_max);
/* weight: bytes of memory that the block keeps from others. False: it was not taken in. */
bool neb_quarantine_put(void *block, size_t weight);
/* The oldest, if all of them weigh more than allowed or are too many; any: even if they don't. NULL: none. */
void *neb_quarantine_take(bool any);
size_t neb_quarantine_weight(void);

#endif
