/* depot.c - see depot.h. */
#include "trace/depot.h"

#include "base/attr.h"
#include "base/bits.h"
#include "base/ptr.h"
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

enum { SEGMENT_NODES = 4096, SEGMENTS = DEPOT_NODES_MAX / SEGMENT_NODES, ORDER_FIRST = 12, ORDER_LAST = 22 };
_Static_assert(DEPOT_NODES_MAX <= 1 << 24, "a block's record has 24 bits for its stack");
_Static_assert((1 << ORDER_LAST) / 8 * 5 >= DEPOT_NODES_MAX, "the largest table is at most five eighths full");

struct node {
    uintptr_t pc;
    uint64_t hash;
    uint32_t parent;
    _Atomic uint32_t site;
};

struct segment {
    struct node node[SEGMENT_NODES];
};

/* All that tells a node from others: who finds it has looked at one cache line. name 0: empty. */
struct slot {
    _Atomic uint64_t frame; /* the address, times two; and 1, if it is exact */
    _Atomic uint64_t name;  /* parent << 32 | id */
};

/* Open addressing, linear probing. */
struct table {
    _Atomic uint32_t mask; /* 0 when the table is empty */
    NEB_ALIGNED(64) struct slot slot[];
};

static struct segment *_Atomic segments[SEGMENTS];
static struct table *tables[ORDER_LAST + 1]; /* made once, used again by later files */
static struct table *_Atomic table;
static _Atomic uint32_t node_count; /* the next id */
static _Atomic uint64_t others;
static _Atomic uint64_t number; /* written while no thread is recording */
static bool is_full;
static struct nbt_chunk *chunk;
static unsigned char *chunk_at, *chunk_end;

static struct node *node_at(uint32_t id)
{
    struct segment *segment = atomic_load_explicit(&segments[id / SEGMENT_NODES], memory_order_acquire); /* D1 */
    return &segment->node[id % SEGMENT_NODES];
}

static uint32_t mask_of(struct table *of)
{
    return atomic_load_explicit(&of->mask, memory_order_relaxed); /* D2; and see table_drop */
}

/* The node's id; 0: it is not there. */
static uint32_t table_find(struct table *in, uint32_t parent, uint64_t hash, uint64_t frame)
{
    uint32_t mask = mask_of(in);
    for (uint32_t at = (uint32_t)(hash >> 32);; at++) {
        struct slot *slot = &in->slot[at & mask];
        uint64_t name = atomic_load_explicit(&slot->name, memory_order_acquire); /* D1 */
        if (name == 0)
            return 0;
        if (name >> 32 == parent && atomic_load_explicit(&slot->frame, memory_order_relaxed) == frame) /* D1 published it */
            return (uint32_t)name;
    }
}

/* ---- new nodes: LOCK_TRACE_DEPOT is held ---------------------------------------------------------------------------- */

static size_t table_bytes(unsigned order)
{
    return size_align_up(sizeof(struct table) + (sizeof(struct slot) << order), neb_vm_page_size());
}

/* Of one that is not empty. */
static unsigned order_of(struct table *of)
{
    return bits_log2_floor((size_t)mask_of(of) + 1);
}

/* Empty; all of it will be looked at: one call instead of a fault for each page. */
static struct table *table_take(unsigned order)
{
    if (tables[order] == NULL)
        tables[order] = neb_meta_take(table_bytes(order), neb_vm_page_size());
    if (tables[order] != NULL) {
        neb_vm_populate(tables[order], table_bytes(order));
        atomic_store_explicit(&tables[order]->mask, (1u << order) - 1, memory_order_relaxed); /* D2 publishes it */
    }
    return tables[order];
}

/* Empties it, and its memory goes back. Who still looks into it, with whichever mask, finds nothing there, takes the lock and
 * looks into the newest one. */
static void table_drop(struct table *old)
{
    uint32_t mask = mask_of(old);
    if (neb_vm_purge(old, table_bytes(order_of(old))))
        return;
    for (uint32_t i = 0; i <= mask; i++)
        atomic_store_explicit(&old->slot[i].name, 0, memory_order_relaxed);
}

static void table_put(struct table *into, uint32_t id, uint32_t parent, uint64_t hash, uint64_t frame)
{
    uint32_t mask = mask_of(into), at = (uint32_t)(hash >> 32);
    while (atomic_load_explicit(&into->slot[at & mask].name, memory_order_relaxed) != 0) /* lock held */
        at++;
    atomic_store_explicit(&into->slot[at & mask].frame, frame, memory_order_relaxed);
    atomic_store_explicit(&into->slot[at & mask].name, (uint64_t)parent << 32 | id, memory_order_release); /* D1 */
}

static uint64_t frame_of(uintptr_t pc, bool exact)
{
    return (uint64_t)pc << 1 | exact;
}

/* All that are in a table into a larger one. */
static void table_copy(struct table *into, struct table *from)
{
    for (uint32_t i = 0; i <= mask_of(from); i++) {
        uint64_t name = atomic_load_explicit(&from->slot[i].name, memory_order_relaxed); /* lock held */
        if (name != 0)
            table_put(into, (uint32_t)name, (uint32_t)(name >> 32), node_at((uint32_t)name)->hash,
                      atomic_load_explicit(&from->slot[i].frame, memory_order_relaxed));
    }
}

/* Twice the table once it is five eighths full. */
static bool table_ensure(void)
{
    struct table *old = atomic_load_explicit(&table, memory_order_relaxed);
    uint32_t count = atomic_load_explicit(&node_count, memory_order_relaxed);
    if (count < mask_of(old) / 8 * 5)
        return true;
    struct table *larger = order_of(old) == ORDER_LAST ? NULL : table_take(order_of(old) + 1);
    if (larger == NULL)
        return false;
    table_copy(larger, old);
    atomic_store_explicit(&table, larger, memory_order_release); /* D2 */
    table_drop(old);
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

static uint32_t node_add(uint32_t parent, uint64_t hash, uintptr_t pc, bool exact)
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
    node->hash = hash;
    node->parent = parent;
    atomic_store_explicit(&node->site, 0, memory_order_relaxed); /* D1 publishes it */
    atomic_store_explicit(&node_count, id + 1, memory_order_relaxed);
    table_put(atomic_load_explicit(&table, memory_order_relaxed), id, parent, hash, frame_of(pc, exact));
    return id;
}

static NEB_COLD uint32_t child_slow(uint32_t parent, uint64_t hash, uintptr_t pc, bool exact)
{
    neb_lock_take(&neb_locks[LOCK_TRACE_DEPOT]);
    uint32_t id = table_find(atomic_load_explicit(&table, memory_order_relaxed), parent, hash, frame_of(pc, exact));
    if (id == 0)
        id = node_add(parent, hash, pc, exact);
    neb_lock_give(&neb_locks[LOCK_TRACE_DEPOT]);
    return id;
}

uint32_t neb_depot_child(uint32_t parent, uint64_t hash, uintptr_t pc, bool exact)
{
    struct table *now = atomic_load_explicit(&table, memory_order_acquire); /* D2 */
    if (parent == NBT_STACK_OTHER || now == NULL)
        return NBT_STACK_OTHER;
    uint32_t id = table_find(now, parent, hash, frame_of(pc, exact));
    return NEB_LIKELY(id != 0) ? id : child_slow(parent, hash, pc, exact);
}

void neb_depot_prefetch(uint64_t hash)
{
    struct table *now = atomic_load_explicit(&table, memory_order_acquire); /* D2 */
    if (now != NULL)
        __builtin_prefetch(&now->slot[(uint32_t)(hash >> 32) & mask_of(now)]);
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

uint64_t neb_depot_number(void)
{
    return atomic_load_explicit(&number, memory_order_relaxed);
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
    atomic_fetch_add_explicit(&number, 1, memory_order_relaxed);
    struct table *old = atomic_load_explicit(&table, memory_order_relaxed);
    if (old != NULL) /* the others are empty */
        table_drop(old);
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
