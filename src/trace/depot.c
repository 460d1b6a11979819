/* depot.c - see depot.h. */
#include "trace/depot.h"

#include "base/attr.h"
#include "heap/meta.h"
#include "os/env.h"
#include "os/lock.h"
#include "os/vm.h"
#include "policy/tuning.h"
#include "trace/module.h"
#include "trace/output.h"
#include "trace/varint.h"
#include <stdatomic.h>
#include <string.h>

enum { SEGMENT_NODES = 4096, SEGMENTS = DEPOT_NODES_MAX / SEGMENT_NODES, ORDER_FIRST = 13, ORDER_LAST = 23 };
_Static_assert(DEPOT_NODES_MAX <= 1 << 24, "a block's record has 24 bits for its stack");
_Static_assert((1 << ORDER_LAST) >= 2 * DEPOT_NODES_MAX, "the largest table is at most half full");

struct node {
    uintptr_t pc;
    uint32_t parent;
    uint32_t is_exact;
    _Atomic uint32_t site;
};

struct segment {
    struct node node[SEGMENT_NODES];
};

/* Node ids; 0: empty. Open addressing, linear probing. */
struct table {
    uint32_t mask;
    _Atomic uint32_t id[];
};

static struct segment *_Atomic segments[SEGMENTS];
static struct table *tables[ORDER_LAST + 1]; /* made once, used again by later files */
static struct table *_Atomic table;
static _Atomic uint32_t node_count; /* the next id */
static _Atomic uint64_t others;
static bool is_full;
static struct nbt_chunk *chunk;
static unsigned char *chunk_at, *chunk_end;

static struct node *node_at(uint32_t id)
{
    struct segment *segment = atomic_load_explicit(&segments[id / SEGMENT_NODES], memory_order_acquire); /* D1 */
    return &segment->node[id % SEGMENT_NODES];
}

static uint32_t hash_of(uint32_t parent, uintptr_t pc)
{
    uint64_t hash = (pc ^ (uint64_t)parent << 40 ^ parent) * UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(hash >> 32);
}

/* The node's id, or the empty slot where it would be. */
static uint32_t table_find(struct table *in, uint32_t parent, uintptr_t pc, bool exact, uint32_t *slot)
{
    for (uint32_t at = hash_of(parent, pc);; at++) {
        uint32_t id = atomic_load_explicit(&in->id[at & in->mask], memory_order_acquire); /* D1 */
        *slot = at & in->mask;
        if (id == 0)
            return 0;
        const struct node *node = node_at(id);
        if (node->pc == pc && node->parent == parent && node->is_exact == exact)
            return id;
    }
}

/* ---- new nodes: LOCK_TRACE_DEPOT is held ---------------------------------------------------------------------------- */

static struct table *table_take(unsigned order)
{
    if (tables[order] == NULL) {
        tables[order] = neb_meta_take(sizeof(struct table) + (sizeof(uint32_t) << order), 64);
        if (tables[order] != NULL)
            tables[order]->mask = (1u << order) - 1;
    }
    return tables[order];
}

static void table_put(struct table *into, uint32_t id, uint32_t parent, uintptr_t pc)
{
    uint32_t at = hash_of(parent, pc);
    while (atomic_load_explicit(&into->id[at & into->mask], memory_order_relaxed) != 0) /* lock held */
        at++;
    atomic_store_explicit(&into->id[at & into->mask], id, memory_order_release); /* D1 */
}

/* Twice the table once it is half full. */
static bool table_ensure(void)
{
    struct table *old = atomic_load_explicit(&table, memory_order_relaxed);
    uint32_t count = atomic_load_explicit(&node_count, memory_order_relaxed);
    if (count < old->mask / 2)
        return true;
    unsigned order = 0;
    while (tables[order] != old)
        order++;
    struct table *larger = order == ORDER_LAST ? NULL : table_take(order + 1);
    if (larger == NULL)
        return false;
    for (uint32_t id = NBT_STACK_FIRST; id < count; id++)
        table_put(larger, id, node_at(id)->parent, node_at(id)->pc);
    atomic_store_explicit(&table, larger, memory_order_release); /* D2 */
    return true;
}

static bool segment_ensure(uint32_t id)
{
    if (atomic_load_explicit(&segments[id / SEGMENT_NODES], memory_order_relaxed) != NULL)
        return true;
    struct segment *segment = neb_meta_take(sizeof *segment, 64);
    atomic_store_explicit(&segments[id / SEGMENT_NODES], segment, memory_order_release); /* D1 */
    return segment != NULL;
}

static bool node_write(uint32_t id, uint32_t parent, uintptr_t pc, bool exact)
{
    enum { NODE_BYTES_MAX = 3 * VARINT_BYTES_MAX };
    struct module_place place;
    if (chunk == NULL || (size_t)(chunk_end - chunk_at) < NODE_BYTES_MAX) {
        size_t span = chunk == NULL ? STACKS_CHUNK_BYTES_FIRST : STACKS_CHUNK_BYTES;
        if (chunk != NULL)
            neb_output_seal(chunk);
        chunk = neb_output_begin(NBT_STACKS, span, 0, id, 0);
        if (chunk == NULL)
            return false;
        chunk_at = neb_output_payload(chunk);
        chunk_end = chunk_at + neb_output_room(chunk);
    }
    bool has_module = neb_module_place(pc, &place);
    chunk_at = varint_put(chunk_at, id - parent);
    chunk_at = varint_put(chunk_at, (has_module ? (uint64_t)place.number + 1 : 0) << 1 | exact);
    chunk_at = varint_put(chunk_at, has_module ? place.offset : pc);
    neb_output_commit(chunk, (size_t)(chunk_at - neb_output_payload(chunk)));
    return true;
}

static uint32_t node_add(uint32_t parent, uintptr_t pc, bool exact)
{
    uint32_t id = atomic_load_explicit(&node_count, memory_order_relaxed); /* lock held */
    if (id == DEPOT_NODES_MAX || !segment_ensure(id) || !table_ensure()) {
        if (!is_full)
            neb_os_complain("more call stacks than there is room for: new ones are counted as 'other' from now on");
        is_full = true;
        return NBT_STACK_OTHER;
    }
    if (!node_write(id, parent, pc, exact))
        return NBT_STACK_OTHER;
    struct node *node = node_at(id);
    node->pc = pc;
    node->parent = parent;
    node->is_exact = exact;
    atomic_store_explicit(&node->site, 0, memory_order_relaxed); /* D1 publishes it */
    atomic_store_explicit(&node_count, id + 1, memory_order_relaxed);
    table_put(atomic_load_explicit(&table, memory_order_relaxed), id, parent, pc);
    return id;
}

static NEB_COLD uint32_t child_slow(uint32_t parent, uintptr_t pc, bool exact)
{
    uint32_t slot;
    neb_lock_take(&neb_locks[LOCK_TRACE_DEPOT]);
    uint32_t id = table_find(atomic_load_explicit(&table, memory_order_relaxed), parent, pc, exact, &slot);
    if (id == 0)
        id = node_add(parent, pc, exact);
    neb_lock_give(&neb_locks[LOCK_TRACE_DEPOT]);
    return id;
}

uint32_t neb_depot_child(uint32_t parent, uintptr_t pc, bool exact)
{
    uint32_t slot;
    struct table *now = atomic_load_explicit(&table, memory_order_acquire); /* D2 */
    if (parent == NBT_STACK_OTHER || now == NULL)
        return NBT_STACK_OTHER;
    uint32_t id = table_find(now, parent, pc, exact, &slot);
    return NEB_LIKELY(id != 0) ? id : child_slow(parent, pc, exact);
}

/* ---- the rest ---------------------------------------------------------------------------------------------------------- */

uint32_t neb_depot_site(uint32_t node)
{
    return atomic_load_explicit(&node_at(node)->site, memory_order_acquire); /* S1 */
}

void neb_depot_set_site(uint32_t node, uint32_t site)
{
    atomic_store_explicit(&node_at(node)->site, site, memory_order_release); /* S1 */
}

uint32_t neb_depot_count(void)
{
    return atomic_load_explicit(&node_count, memory_order_relaxed) - NBT_STACK_FIRST;
}

uint64_t neb_depot_others(void)
{
    return atomic_load_explicit(&others, memory_order_relaxed);
}

void neb_depot_count_other(void)
{
    atomic_fetch_add_explicit(&others, 1, memory_order_relaxed);
}

uint32_t neb_depot_parent(uint32_t node, uintptr_t *pc)
{
    *pc = node_at(node)->pc;
    return node_at(node)->parent;
}

void neb_depot_begin(void)
{
    neb_lock_take(&neb_locks[LOCK_TRACE_DEPOT]);
    chunk = NULL;
    is_full = false;
    for (unsigned order = ORDER_FIRST; order <= ORDER_LAST; order++)
        for (uint32_t i = 0; tables[order] != NULL && i <= tables[order]->mask; i++)
            atomic_store_explicit(&tables[order]->id[i], 0, memory_order_relaxed);
    atomic_store_explicit(&node_count, NBT_STACK_FIRST, memory_order_relaxed);
    atomic_store_explicit(&others, 0, memory_order_relaxed);
    bool has_room = segment_ensure(0);
    for (uint32_t id = 0; has_room && id < NBT_STACK_FIRST; id++) /* those that are never written have sites, too */
        atomic_store_explicit(&node_at(id)->site, 0, memory_order_relaxed);
    atomic_store_explicit(&table, has_room ? table_take(ORDER_FIRST) : NULL, memory_order_release); /* D2 */
    neb_modules_begin();
    neb_lock_give(&neb_locks[LOCK_TRACE_DEPOT]);
}

void neb_depot_finish(void)
{
    neb_lock_take(&neb_locks[LOCK_TRACE_DEPOT]);
    if (chunk != NULL)
        neb_output_seal(chunk);
    chunk = NULL;
    neb_modules_finish();
    neb_lock_give(&neb_locks[LOCK_TRACE_DEPOT]);
}

void neb_depot_forget(void)
{
    neb_output_drop(&chunk);
    neb_modules_forget();
}
