/* magazine.h - a small stack of pointers to free blocks, the first stop of malloc and free.
 *
 *   magazine[0] = NULL | oldest ... newest | room ... |
 *                                   ^ bin.top         ^ bin.limit
 *
 * Popping tests the value: the NULL below the oldest entry says empty, no count is read. The array starts small
 * and doubles each time the magazine swings from empty to full or back; idle pools give it up (pool.c).
 *
 * Ownership  the pool's heap
 * Failure    false: no memory, or at its largest; nothing changed */
#ifndef NEB_HEAP_MAGAZINE_H
#define NEB_HEAP_MAGAZINE_H

#include "heap/heap.h"

bool neb_magazine_create(struct heap *heap, unsigned class_index);
/* Keeps the entries. */
bool neb_magazine_grow(struct heap *heap, unsigned class_index);
/* The magazine is empty. */
void neb_magazine_destroy(struct heap *heap, unsigned class_index);

#endif
