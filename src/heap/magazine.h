/* magazine.h - a small stack of pointers to free blocks, the first stop of malloc and free.
 *
 *   magazine[0] = NULL | oldest ... newest | room ... |
 *                                   ^ bin.top         ^ bin.limit
 *
 * Popping tests the value: the NULL below the oldest entry says empty, no count is read. The array starts small
 * and doubles each time the magazine swings from empty to full or back; idle pools give it up (pool.c).
 *
 * A new magazine is wary: its bin is closed, which is bin.limit = magazine, so that the first WARY_FREES frees are slow ones. Each is
 * compared with all entries, since a block that is one of them is freed twice, and put below the newest WARY_DEPTH, so that who goes on
 * using it does not use at once what is another's. Then, or when the magazine grows, it is as all others. So sizes that a program seldom
 * frees are watched closely, and the others cost nothing: the fast path knows only that its bin is full.
 *
 * Ownership  the pool's heap
 * Failure    false: no memory, or at its largest; nothing changed */
#ifndef NEB_HEAP_MAGAZINE_H
#define NEB_HEAP_MAGAZINE_H

#include "heap/heap.h"

/* The last slot that may be used, also while the bin is closed. */
NEB_INLINE void **magazine_limit(const struct heap *heap, unsigned class_index)
{
    const struct pool *pool = &heap->pool[class_index];
    return pool->wary == 0 ? heap->bin[class_index].limit : pool->magazine + pool->wary_limit;
}

bool neb_magazine_create(struct heap *heap, unsigned class_index);
/* Whether p is one of so many newest entries or, of a wary magazine, any. There need not be a magazine. */
bool neb_magazine_knows(const struct heap *heap, unsigned class_index, const void *p, size_t looks);
/* p is no entry, and there is room. */
void neb_magazine_push(struct heap *heap, unsigned class_index, void *p);
/* Keeps the entries. */
bool neb_magazine_grow(struct heap *heap, unsigned class_index);
/* The magazine is empty. */
void neb_magazine_destroy(struct heap *heap, unsigned class_index);

#endif
