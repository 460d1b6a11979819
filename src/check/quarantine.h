/* quarantine.h - freed blocks, in the order in which they were freed, until they are too many or too much.
 *
 *   reserve --> exchange --> [ newest ........................ oldest ] --> exchange, take --> leave
 *                  put ^                                                      |
 *                      +------------- it cannot leave now --------------------+
 *
 * Invariant  a block is in it once at most: they are called by whoever changed its state to FREED, take's caller changes it
 *            to RELEASED. A block in it belongs to nobody else. A place is reserved before a block is made ready for it,
 *            and stays reserved until it has left: put and exchange never fail.
 * Ownership  the ring: the lock; a block that take answered, and its place: the caller
 * Locks      LOCK_QUARANTINE, for a few instructions; no other is taken under it
 * Failure    reserve refuses when there is no memory for the ring, or it is full */
#ifndef NEB_CHECK_QUARANTINE_H
#define NEB_CHECK_QUARANTINE_H

#include "check/spans.h"
#include <stdbool.h>
#include <stddef.h>

void neb_quarantine_init(size_t bytes_max);
/* A place for one block, to be put or left. False: there is none. */
bool neb_quarantine_reserve(void);
/* Into a reserved place. weight: bytes of memory that the block keeps from others. */
void neb_quarantine_put(void *block, size_t weight);
/* The oldest, if all of them weigh more than allowed or are too many; any: even if they don't. NULL: none. Its place stays
 * reserved. soon: a block that leaves some calls later, or NULL; set when a block is answered. */
void *neb_quarantine_take(bool any, void **soon);
/* Put, and then take, not any. */
void *neb_quarantine_exchange(void *block, size_t weight, void **soon);
/* Whether there is one to take, as a hint: who put the block that is too much sees that it is. */
bool neb_quarantine_is_full(void);
/* Gives a reserved place up. */
void neb_quarantine_leave(void);
/* How many blocks wait. */
size_t neb_quarantine_count(void);
/* Where it keeps them. */
void neb_quarantine_spans(struct spans *spans);

#endif
