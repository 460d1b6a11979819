/* mix.h - the order in which blocks serve where allocation is hardened: what lies beside one is hard to foresee, and mostly in no use.
 *
 *   few refills yet   ...[7][2][9] | [16][0][8]     each entry anywhere among HARDEN_SHUFFLE, but those that serve first,
 *                                                   from the right, lie HARDEN_APART blocks apart
 *   more              [300..427][44..171][...]      runs of HARDEN_RUN neighbours, in random order
 *
 * A class of which few blocks are alive is spread all over its slab, so that an overrun by a few blocks' length hits nothing. Where thousands
 * are alive there is a neighbour wherever a block lies, and all that random order does is to make caches miss: programs use together what
 * they allocate together, and processors fetch the next line ahead.
 *
 * Ownership  the magazine: the heap's thread
 * Failure    cannot fail
 * Complexity O(entries), once for each refill */
#ifndef NEB_HEAP_MIX_H
#define NEB_HEAP_MIX_H

#include "heap/heap.h"

/* Of the class's magazine, which was just refilled. */
void neb_magazine_mix(struct heap *heap, unsigned class_index);

#endif
