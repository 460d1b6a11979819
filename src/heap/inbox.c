/* inbox.c - see inbox.h; tests/model/inbox.pml and inbox.c are its models. */
#include "heap/inbox.h"

#include "base/panic.h"
#include <stddef.h>

NEB_SPARSE struct batch neb_inbox_closed; /* an address: nothing of it is read or written */

bool neb_inbox_push(struct inbox *inbox, struct batch *batch)
{
    struct batch *head = atomic_load_explicit(&inbox->head, memory_order_relaxed); /* only compared and linked */
    do {
        if (head == &neb_inbox_closed)
            return false;
        batch->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&inbox->head, &head, batch, memory_order_release, /* I1 */
                                                    memory_order_relaxed));
    return true;
}

struct batch *neb_inbox_take_all(struct inbox *inbox)
{
    if (!neb_inbox_has_batches(inbox))
        return NULL;
    struct batch *batches = atomic_exchange_explicit(&inbox->head, NULL, memory_order_acquire); /* I1 */
    CHECK(batches != &neb_inbox_closed);
    return batches;
}

bool neb_inbox_has_batches(const struct inbox *inbox)
{
    return atomic_load_explicit(&inbox->head, memory_order_relaxed) != NULL; /* a hint; take_all acquires */
}

void neb_inbox_open(struct inbox *inbox)
{
    atomic_store_explicit(&inbox->head, NULL, memory_order_relaxed); /* the heap is published by its slabs' entries */
}

bool neb_inbox_close(struct inbox *inbox)
{
    struct batch *expected = NULL;
    return atomic_compare_exchange_strong_explicit(&inbox->head, &expected, &neb_inbox_closed, memory_order_relaxed,
                                                   memory_order_relaxed); /* nothing is handed over */
}
