/* depot.h - every call stack that was seen, once, as a tree: a node is a return address below its caller's node.
 *
 *   root <- main+12 <- parse+90 <- malloc's caller   a stack is the id of its innermost node
 *
 * A child is found by hash without a lock; a new node is written to the file (NBT_STACKS) before its id is known to anybody.
 * The hash is the whole stack's, not the parent's id: so all lines of the table that a walk will look at can be asked for before
 * the first of them is there.
 *
 * Ownership  nodes: constant once published, but for the site's number
 * Locks      LOCK_TRACE_DEPOT, then LOCK_TRACE_FILE, LOCK_META
 * Failure    NBT_STACK_OTHER when there is no room: DEPOT_NODES_MAX, memory, disk. One line says so
 * Sync       D1: a node is published by its slot of the table; D2: so is a larger table */
#ifndef NEB_TRACE_DEPOT_H
#define NEB_TRACE_DEPOT_H

#include "base/attr.h"
#include "trace/format.h"
#include <stdbool.h>

/* Of a stack, from its caller's; the root's is anything. */
NEB_INLINE uint64_t depot_hash(uint64_t parent_hash, uintptr_t pc, bool exact)
{
    uint64_t hash = (parent_hash ^ pc ^ (uint64_t)exact << 63) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 29;
}

/* The node of a frame. exact: pc is where a signal came, no return address. hash: always the same one for this stack. Any thread. */
uint32_t neb_depot_child(uint32_t parent, uint64_t hash, uintptr_t pc, bool exact);
/* Where the stack with this hash would be is soon looked at. */
void neb_depot_prefetch(uint64_t hash);

/* What a node's stack is counted in; 0 until it is set. The node was returned by neb_depot_child. */
uint32_t neb_depot_site(uint32_t node);
void neb_depot_set_site(uint32_t node, uint32_t site);

/* How many times it has begun: nodes are known by their number until it begins anew. */
uint64_t neb_depot_number(void);
uint32_t neb_depot_count(void);
/* Allocations whose stack found no room. */
uint64_t neb_depot_others(void);
void neb_depot_count_other(void);

/* For tests: the parent and the address of a node. */
uint32_t neb_depot_parent(uint32_t node, uintptr_t *pc);

/* Begins empty, for a new file; no thread is recording. */
void neb_depot_begin(void);
/* Completes what was written. */
void neb_depot_finish(void);
/* In the child of a fork. */
void neb_depot_forget(void);

#endif
