/* hardened.h - harden=1, the short way: a small block of the thread's own heap, and its exact state; nothing else.
 *
 *   alloc   magazine not empty -> pop; the block's state becomes LIVE
 *   free    the page map says mine, a block begins at p, magazine not full -> LIVE -> RELEASED by compare-and-swap -> it waits
 *           among the last few of its class, and the one that waited longest is pushed
 *
 * What is not as simple is left to the calls of alloc.c, which do the same in ten times as many instructions and say what is wrong: when
 * one of these refuses, nothing has changed. They keep to what check/ does at this level: no canaries, no quarantine; what
 * is freed is cleared where that is wanted.
 *
 * Invariant  a state is the block's, whichever way its calls take (K1 of check/check.h)
 * Ownership  the heap: its thread, which is busy meanwhile, so that a signal handler works elsewhere
 * Threads    any
 * Failure    NULL or false: the other way decides
 * Complexity O(1) */
#ifndef NEB_FRONT_HARDENED_H
#define NEB_FRONT_HARDENED_H

#include "heap/heap.h"

void *neb_hardened_alloc(size_t size);
bool neb_hardened_free(void *p);
/* After a free on the long way: where that put the block into the magazine of the heap, whose slab's class is this, it waits too. */
void neb_hardened_wait(struct heap *heap, unsigned class_index, void *p);

#endif
