/* owner.h - who owns a slab.
 *
 *                 a free claims it, or a refill adopts it from the list: compare-and-swap
 *       OWNERLESS --------------------------------------------------------------> OWNED(h)
 *           ^------- detach (no free block is left), abandon (onto the list) -------'  |
 *                                                          released: every block free -'
 *
 * The page-map entry of the slab's first granule decides. tests/model/protocol.pml is the checked model: whoever
 * changes something here changes it there first.
 *
 * Invariant  only h changes an entry that says OWNED(h); an owned slab is in one list of its owner's pool; a slab is on
 *            the ownerless list only while it has free blocks, a block that is out, and no owner, or while its new
 *            owner is about to take it off
 * Ownership  the slab: who the entry names; the list: LOCK_OWNERLESS of the class
 * Locks      LOCK_OWNERLESS of one class
 * Failure    NULL or false; nothing changed
 * Sync       O1: an entry without owner is published after the bits; a claim acquires them
 *            O2: a slab that left the list is its claimer's */
#ifndef NEB_HEAP_OWNER_H
#define NEB_HEAP_OWNER_H

#include "heap/heap.h"

/* A fresh slab from the chunks; NULL: no memory. */
struct slab *neb_slab_make(struct heap *heap, unsigned class_index);
/* Gives the slab's granules back. Mine, and every block of it is free. */
void neb_slab_release(struct heap *heap, struct slab *slab);
/* Gives up a slab of mine without a free block. */
void neb_slab_detach(struct slab *slab);
/* Gives up a slab of mine with free blocks: others find it on the list. */
void neb_slab_abandon(struct heap *heap, struct slab *slab);
/* Abandons it, or releases it if no block is out. */
void neb_slab_pass_on(struct heap *heap, struct slab *slab);
/* Takes a slab whose entry was seen without owner. False: another was faster; look again. */
bool neb_slab_claim(struct heap *heap, struct slab *slab, uint32_t entry);
/* Takes the slab that has been on the list for the longest time; NULL: there is none. */
struct slab *neb_slab_adopt(struct heap *heap, unsigned class_index);
uint32_t neb_ownerless_count(unsigned class_index);
/* Whether a heap looked for one in vain, and made a new slab instead. */
bool neb_ownerless_is_wanted(unsigned class_index);

#endif
