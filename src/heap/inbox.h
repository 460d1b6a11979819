/* inbox.h - blocks freed by other threads: many producers, one owner.
 *
 *   any thread: inbox_push --> stack of batches --> inbox_take_all: the owner only
 *
 * Invariant  a block is in one batch or one pool, never both
 * Ownership  inbox.head: any thread; a batch: whoever took it from the stack, or has not pushed it yet
 * Locks      takes none; may be called under any
 * Failure    a push to a closed inbox is refused: its heap has no thread
 * Sync       I1: push releases, take_all acquires */
#ifndef NEB_HEAP_INBOX_H
#define NEB_HEAP_INBOX_H

#include "base/attr.h"
#include "policy/tuning.h"
#include <stdatomic.h>
#include <stdbool.h>

struct batch {
    struct batch *next;
    uint32_t count;
    void *block[BATCH_BLOCKS];
};
_Static_assert(sizeof(struct batch) <= 1u << BATCH_ORDER, "a batch is one metadata array");

struct inbox {
    _Atomic(struct batch *) head;
};

/* Closed is what no batch can be at. */
extern NEB_HIDDEN struct batch neb_inbox_closed;

/* False: the inbox is closed, the batch is still the caller's. */
bool neb_inbox_push(struct inbox *inbox, struct batch *batch);
/* All batches, newest first; NULL when there are none. The inbox is open. */
struct batch *neb_inbox_take_all(struct inbox *inbox);
bool neb_inbox_has_batches(const struct inbox *inbox);
/* Opens a closed inbox. */
void neb_inbox_open(struct inbox *inbox);
/* Closes it if it is empty. */
bool neb_inbox_close(struct inbox *inbox);

#endif
