/* quarantine.h - freed blocks, in the order in which they were freed, until they are too many or too much.
 *
 *   add --> [ a tray, the thread's ] --> [ newest ... the ring ... oldest ] --> take, some at a time --> leave
 *                           reserve --> put ^                                    |
 *                                       +---------- it cannot leave now ---------+
 *
 * A thread takes the lock when its tray is full; what is put without a tray comes into the ring at once. Once the ring holds too much so
 * many leave that the next trays come in without that: lock and heap are entered for a few at a time, whose memory, in no cache any more, is
 * fetched together. tests/model/tray.pml is the checked model: whoever changes something here changes it there first.
 *
 * Invariant  a block is in it once at most: they are called by whoever changed its state to FREED, take's caller changes it
 *            to RELEASED. A block in it belongs to nobody else. In the ring a place stays taken until its block has left, and can be
 *            had before the block is made ready for it: put never fails.
 *            [taken, count) of a tray are waiting there
 * Ownership  the ring, which blocks of a tray were taken, and emptying one: the lock; what is added to a tray: its thread, or whoever has the
 *            thread's heap; blocks that take answered, and their places: the caller
 * Locks      LOCK_QUARANTINE, for some hundred instructions; no other is taken under it
 * Failure    add and reserve refuse when there is no memory for the ring, or it is full; a tray that cannot be had is done without
 * Sync       Q1: a block is in the tray before count says so
 * Signals    a handler that interrupts add does without the tray; if it is left by a jump its thread does so from then on */
#ifndef NEB_CHECK_QUARANTINE_H
#define NEB_CHECK_QUARANTINE_H

#include "check/spans.h"
#include <stdbool.h>
#include <stddef.h>

enum quarantine_answer { QUARANTINE_REFUSES, QUARANTINE_HOLDS, QUARANTINE_IS_TOO_MUCH };
struct tray;

void neb_quarantine_init(size_t bytes_max);
/* For one thread at a time; for good. NULL: no memory. */
struct tray *neb_quarantine_tray(void);
/* tray: NULL: none. weight: bytes of memory that the block keeps from others. TOO_MUCH: it is in, and some are to be taken. */
enum quarantine_answer neb_quarantine_add(struct tray *tray, void *block, size_t weight);
/* A place for one block in the ring, to be put or left. False: there is none. */
bool neb_quarantine_reserve(void);
/* Into a reserved place; as add, never refused. */
enum quarantine_answer neb_quarantine_put(void *block, size_t weight);
/* Up to max of the oldest: until what is left is well below too much; any: as many as there are. Their places stay reserved. */
size_t neb_quarantine_take(void **blocks, size_t max, bool any);
/* Gives reserved places up. */
void neb_quarantine_leave(size_t count);
/* How many blocks wait in the ring, once what waits in trays has come there. */
size_t neb_quarantine_gather(void);
/* Where it keeps them. */
void neb_quarantine_spans(struct spans *spans);

#endif
