/* pool.h - recycled memory: a heap's slabs of one size class and the magazine before them.
 *
 *   malloc <-- magazine <-- refill -- bits of own slabs, inbox, bump arena, ownerless slab, fresh slab
 *   free   --> magazine --- flush --> bits of own slabs | claim | outbox of the owner
 *
 * Invariant  a block in a magazine or batch counts as used, so that its slab stays
 * Ownership  all of it: the heap's thread (or who holds the shared heap's lock)
 * Locks      those of owner.h
 * Failure    refill answers false without memory; a free cannot fail */
#ifndef NEB_HEAP_POOL_H
#define NEB_HEAP_POOL_H

#include "heap/heap.h"

/* Puts at least one block into the class's empty magazine. False: no memory. */
bool neb_pool_refill(struct heap *heap, unsigned class_index);
/* A block from a bump arena that is known to be zero, without a look at the magazine; NULL: none at hand. */
void *neb_pool_take_zero(struct heap *heap, unsigned class_index);
/* Takes back a block that begins at p; its granule's entry is pooled. call: for the message when it doesn't. */
void neb_pool_give(struct heap *heap, void *p, const char *call);
/* The same, counted as a free where the policy counts them; entry: p's. */
void neb_pool_take_back(struct heap *heap, void *p, uint32_t entry, const char *call);
/* Of many, up to the first that is no pool's; how many. They go into their slabs' bitmaps, not into magazines: where records say what every
 * block is. */
size_t neb_pool_take_back_all(struct heap *heap, void *const *blocks, size_t count, const char *call);
/* The short way of a block of another heap's slab: into the batch for that heap or, while the program frees in bursts, into the magazine; and of
 * one of its own whose magazine is wary (magazine.h).
 * False: nothing was done, neb_pool_give has more to do. Calls nothing: a signal handler finds its thread in this library's code, which is
 * enough for it to leave the heap alone. The heap may be neb_heap_none. */
bool neb_pool_give_short(struct heap *heap, void *p);
/* Gives up the slabs without a free block: whoever frees one of theirs finds them. The magazine is empty. */
void neb_pool_detach_full(struct pool *pool);
/* Empties the magazine, which exists. */
void neb_pool_flush_all(struct heap *heap, unsigned class_index);

/* Frees what other threads sent; sends what was gathered for them. */
void neb_heap_apply_inbox(struct heap *heap);
void neb_heap_empty_outbox(struct heap *heap);

#endif
