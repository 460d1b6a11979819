/* page_map.c - see page_map.h. */
#include "heap/page_map.h"

#include "base/panic.h"
#include "os/lock.h"
#include "os/vm.h"

_Atomic uintptr_t neb_window_last;
_Atomic size_t neb_window_count;
_Atomic(_Atomic uint32_t *) neb_window_entry;
_Atomic(window_states *) neb_window_states;
NEB_SPARSE _Atomic(struct entry_leaf *) neb_entry_root[LEAF_COUNT];
NEB_SPARSE _Atomic(struct chunk_leaf *) neb_chunk_root[LEAF_COUNT];

static void *window_memory; /* neb_window_entry as memory */
static void *states_memory; /* neb_window_states as memory; NULL: not kept */

/* The top is above the first mapping, since later ones may still land in gaps beside it. */
static bool window_start(const void *base, size_t bytes)
{
    uintptr_t end = (ptr_address(base) + bytes + WINDOW_ABOVE_BYTES) & ~(uintptr_t)(GRANULE_BYTES - 1);
    window_memory = neb_vm_reserve(WINDOW_GRANULES * sizeof(uint32_t));
    if (window_memory == NULL)
        return false;
    atomic_store_explicit(&neb_window_last, end - 1, memory_order_relaxed); /* P4 orders both */
    atomic_store_explicit(&neb_window_entry, window_memory, memory_order_relaxed);
    return true;
}

static bool part_commit(void *memory, size_t entry_bytes, size_t from, size_t to)
{
    return neb_vm_commit(ptr_add(memory, from * entry_bytes), (to - from) * entry_bytes);
}

/* Commits the window up to and with an index. */
static bool window_grow(size_t index)
{
    size_t count = atomic_load_explicit(&neb_window_count, memory_order_relaxed); /* under the lock */
    if (index < count)
        return true;
    size_t goal = size_align_up(index + 1, WINDOW_STEP_GRANULES);
    if (!part_commit(window_memory, sizeof(uint32_t), count, goal) ||
        (states_memory != NULL && !part_commit(states_memory, sizeof(window_states), count, goal)))
        return false;
    atomic_store_explicit(&neb_window_count, goal, memory_order_release); /* P4 */
    return true;
}

static bool entry_leaf_install(uintptr_t index)
{
    if (atomic_load_explicit(&neb_entry_root[index], memory_order_relaxed) != NULL)
        return true; /* relaxed: under the lock; readers acquire (P2) */
    struct entry_leaf *leaf = neb_vm_map(size_align_up(sizeof *leaf, neb_vm_page_size()));
    if (leaf == NULL)
        return false;
    atomic_store_explicit(&neb_entry_root[index], leaf, memory_order_release); /* P2 */
    return true;
}

static struct chunk_leaf *chunk_leaf_install(uintptr_t index)
{
    struct chunk_leaf *leaf = atomic_load_explicit(&neb_chunk_root[index], memory_order_relaxed); /* as above */
    if (leaf != NULL)
        return leaf;
    leaf = neb_vm_map(size_align_up(sizeof *leaf, neb_vm_page_size()));
    if (leaf != NULL)
        atomic_store_explicit(&neb_chunk_root[index], leaf, memory_order_release); /* P2 */
    return leaf;
}

/* In or out of the window, one granule after the other only where the range crosses its border. */
static bool cover_locked(const unsigned char *base, size_t bytes)
{
    if (window_memory == NULL && !window_start(base, bytes))
        return false;
    size_t lowest = window_index(base), highest = window_index(base + bytes - 1);
    if (highest <= lowest && lowest < WINDOW_GRANULES && window_grow(lowest))
        return true;
    uintptr_t first = ptr_address(base) >> LEAF_SHIFT, last = (ptr_address(base) + bytes - 1) >> LEAF_SHIFT;
    if (last >= LEAF_COUNT)
        return false;
    if (lowest < WINDOW_GRANULES && !window_grow(lowest)) /* the part inside must not be left to a leaf that the window would hide later */
        return false;
    if (highest < WINDOW_GRANULES && !window_grow(WINDOW_GRANULES - 1))
        return false;
    for (uintptr_t index = first; index <= last; index++)
        if (!entry_leaf_install(index))
            return false;
    return true;
}

bool neb_page_map_cover(const void *base, size_t bytes)
{
    neb_lock_take(&neb_locks[LOCK_PAGE_MAP]);
    bool covered = cover_locked(base, bytes);
    neb_lock_give(&neb_locks[LOCK_PAGE_MAP]);
    return covered;
}

static bool states_keep_locked(void)
{
    size_t count = atomic_load_explicit(&neb_window_count, memory_order_relaxed); /* under the lock */
    void *memory = neb_vm_reserve(WINDOW_GRANULES * sizeof(window_states));
    if (memory == NULL || (count != 0 && !part_commit(memory, sizeof(window_states), 0, count)))
        return false;
    states_memory = memory;
    atomic_store_explicit(&neb_window_states, memory, memory_order_relaxed); /* there are no threads yet */
    return true;
}

NEB_COLD bool neb_page_map_keep_states(void)
{
    neb_lock_take(&neb_locks[LOCK_PAGE_MAP]);
    bool kept = states_memory != NULL || states_keep_locked();
    neb_lock_give(&neb_locks[LOCK_PAGE_MAP]);
    return kept;
}

void neb_page_map_fill(void *base, size_t granules, uint32_t value)
{
    for (size_t i = 0; i < granules; i++)
        atomic_store_explicit(page_map_entry(ptr_add(base, i << GRANULE_SHIFT)), value, memory_order_release); /* P1 */
}

bool neb_page_map_set_chunk(const void *base, struct chunk *chunk)
{
    neb_lock_take(&neb_locks[LOCK_PAGE_MAP]);
    struct chunk_leaf *leaf = chunk_leaf_install(ptr_address(base) >> LEAF_SHIFT);
    neb_lock_give(&neb_locks[LOCK_PAGE_MAP]);
    if (leaf == NULL)
        return false;
    atomic_store_explicit(&leaf->chunk[(ptr_address(base) >> CHUNK_SHIFT) % LEAF_CHUNKS], chunk, memory_order_release); /* P3 */
    return true;
}
