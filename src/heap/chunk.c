/* chunk.c - see chunk.h.
 *
 *   by_run[n]   chunks whose longest run of free granules is n; by_run_set knows the lists that are not empty
 *   dirty       chunks with resident free granules, oldest last
 *
 * Best fit by the longest run: what is broken is broken further, whole chunks stay whole and can go back. */
#include "heap/chunk.h"

#include "base/panic.h"
#include "base/random.h"
#include "heap/meta.h"
#include "os/env.h"
#include "os/inspect.h"
#include "os/lock.h"
#include "os/vm.h"

static struct list_node by_run[CHUNK_GRANULES + 1];
static uint64_t by_run_set; /* bit n - 1: by_run[n] is not empty; chunks without free granules are in no list */
static struct list_node dirty;
static struct list_node unused; /* descriptors of unmapped chunks, linked by node */
static struct chunk *parted; /* the chunk that is committed part by part: the first one */
static struct chunk_counts counts;
static bool huge_pages_wanted;
static uint64_t random_state; /* hardened: LOCK_CHUNK; else 0 */

static uint64_t dirty_granules(const struct chunk *chunk)
{
    return chunk->free & ~chunk->clean;
}

static void chunk_unlink(struct chunk *chunk, unsigned run)
{
    if (!list_is_linked(&chunk->node))
        return;
    list_remove(&chunk->node);
    if (list_is_empty(&by_run[run]))
        by_run_set &= ~(UINT64_C(1) << (run - 1));
}

static void chunk_link(struct chunk *chunk, unsigned run)
{
    if (run == 0)
        return;
    list_push(&by_run[run], &chunk->node);
    by_run_set |= UINT64_C(1) << (run - 1);
}

static void dirty_update(struct chunk *chunk)
{
    bool is_dirty = dirty_granules(chunk) != 0;
    if (is_dirty && !list_is_linked(&chunk->dirty_node)) {
        chunk->dirty_since_ms = neb_clock_ms();
        list_push(&dirty, &chunk->dirty_node);
    } else if (!is_dirty && list_is_linked(&chunk->dirty_node)) {
        list_remove(&chunk->dirty_node);
    }
}

/* The one place where the sets of free and clean granules change. */
static void chunk_set(struct chunk *chunk, uint64_t free, uint64_t clean)
{
    unsigned old_run = bits_longest_run(chunk->free), run = bits_longest_run(free);
    counts.granules_free += (size_t)bits_count(free) - bits_count(chunk->free);
    counts.granules_clean += (size_t)bits_count(clean) - bits_count(chunk->clean);
    chunk->free = free;
    chunk->clean = clean;
    if (old_run != run) {
        chunk_unlink(chunk, old_run);
        chunk_link(chunk, run);
    }
    dirty_update(chunk);
}

/* ---- chunks from the system ------------------------------------------------------------------------------------ */

static struct chunk *descriptor_take(void)
{
    neb_lock_take(&neb_locks[LOCK_CHUNK]);
    struct list_node *node = list_is_empty(&unused) ? NULL : unused.next;
    if (node != NULL)
        list_remove(node);
    neb_lock_give(&neb_locks[LOCK_CHUNK]);
    return node != NULL ? LIST_OF(node, struct chunk, node) : neb_meta_take(sizeof(struct chunk), 64);
}

static void descriptor_give(struct chunk *chunk)
{
    neb_lock_take(&neb_locks[LOCK_CHUNK]);
    list_push(&unused, &chunk->node);
    neb_lock_give(&neb_locks[LOCK_CHUNK]);
}

/* The first chunk is committed in parts, all others at once. */
static unsigned char *chunk_map(bool in_parts)
{
    if (!in_parts)
        return neb_vm_map_aligned(CHUNK_BYTES, CHUNK_BYTES);
    unsigned char *base = neb_vm_reserve_aligned(CHUNK_BYTES, CHUNK_BYTES);
    if (base != NULL && !neb_vm_commit(base, (size_t)CHUNK_PART_GRANULES << GRANULE_SHIFT)) {
        (void)neb_vm_unmap(base, CHUNK_BYTES);
        return NULL;
    }
    return base;
}

/* Maps a chunk and makes it known. Called without the lock: mapping may sleep. */
static bool chunk_add(void)
{
    struct chunk *chunk = descriptor_take();
    if (chunk == NULL)
        return false;
    bool in_parts = neb_chunk_counts().chunks_mapped == 0; /* two threads at once: one's parts stay unused */
    unsigned char *base = chunk_map(in_parts);
    if (base == NULL || !neb_page_map_cover(base, CHUNK_BYTES) || !neb_page_map_set_chunk(base, chunk)) {
        if (base != NULL)
            (void)neb_vm_unmap(base, CHUNK_BYTES);
        descriptor_give(chunk);
        return false;
    }
    chunk->base = base;
    chunk->uncommitted = in_parts ? ~bits_range(0, CHUNK_PART_GRANULES) : 0;
    chunk->guard = 0;
    if (random_state != 0 && !in_parts && neb_vm_guard(base + CHUNK_BYTES - GRANULE_BYTES, GRANULE_BYTES))
        chunk->guard = UINT64_C(1) << (CHUNK_GRANULES - 1);
    chunk->huge = 0;
    neb_lock_take(&neb_locks[LOCK_CHUNK]);
    counts.chunks++;
    counts.chunks_mapped++;
    if (in_parts)
        parted = chunk;
    counts.granules_uncommitted += bits_count(chunk->uncommitted);
    chunk->free = chunk->clean = 0;
    uint64_t usable = ~(chunk->uncommitted | chunk->guard);
    chunk_set(chunk, usable, usable);
    neb_lock_give(&neb_locks[LOCK_CHUNK]);
    return true;
}

/* Commits the next part of the first chunk. Called without the lock. */
static bool part_add(void)
{
    neb_lock_take(&neb_locks[LOCK_CHUNK]);
    struct chunk *chunk = parted;
    uint64_t part = 0;
    if (chunk != NULL && chunk->uncommitted != 0)
        part = bits_range(bits_lowest(chunk->uncommitted), bits_lowest(chunk->uncommitted)); /* as much again */
    if (part != 0)
        chunk->uncommitted &= ~part; /* mine: nobody else commits it */
    neb_lock_give(&neb_locks[LOCK_CHUNK]);
    if (part == 0)
        return false;
    bool committed = neb_vm_commit(chunk->base + ((size_t)bits_lowest(part) << GRANULE_SHIFT),
                                   (size_t)bits_count(part) << GRANULE_SHIFT);
    neb_lock_take(&neb_locks[LOCK_CHUNK]);
    if (committed) {
        counts.granules_uncommitted -= bits_count(part);
        chunk_set(chunk, chunk->free | part, chunk->clean | part);
    } else {
        chunk->uncommitted |= part;
    }
    neb_lock_give(&neb_locks[LOCK_CHUNK]);
    return committed;
}

/* ---- granules ---------------------------------------------------------------------------------------------------- */

static void count_used(ptrdiff_t change)
{
    counts.granules_used += (size_t)change;
    if (counts.granules_used > counts.granules_used_peak)
        counts.granules_used_peak = counts.granules_used;
}

static unsigned pick(uint64_t starts)
{
    if (NEB_LIKELY(random_state == 0))
        return bits_lowest(starts);
    for (size_t skip = random_below(&random_state, bits_count(starts)); skip > 0; skip--)
        starts &= starts - 1;
    return bits_lowest(starts);
}

NEB_SELDOM void neb_chunk_harden(void)
{
    neb_os_random(&random_state, sizeof random_state);
    random_state |= 1;
}

/* Resident granules first: they cost no page fault. */
static bool chunk_find_run(const struct chunk *chunk, unsigned count, unsigned *first)
{
    uint64_t starts = bits_run_starts(dirty_granules(chunk), count);
    if (starts == 0)
        starts = bits_run_starts(chunk->free, count);
    if (starts == 0)
        return false;
    *first = pick(starts);
    return true;
}

/* The granules that share a huge page with this one. */
static uint64_t huge_page_around(unsigned granule)
{
    return bits_range(granule / HUGE_PAGE_GRANULES * HUGE_PAGE_GRANULES, HUGE_PAGE_GRANULES);
}

static unsigned char *huge_page_base(const struct chunk *chunk, unsigned granule)
{
    return chunk->base + ((size_t)(granule / HUGE_PAGE_GRANULES) << HUGE_PAGE_SHIFT);
}

static void huge_page_forgo(struct chunk *chunk, unsigned granule)
{
    uint64_t page = huge_page_around(granule);
    neb_lock_take(&neb_locks[LOCK_CHUNK]);
    bool was_huge = (chunk->huge & page) != 0;
    chunk->huge &= ~page;
    neb_lock_give(&neb_locks[LOCK_CHUNK]);
    if (was_huge)
        neb_vm_advise_small(huge_page_base(chunk, granule), HUGE_PAGE_BYTES);
}

/* Pages of these granules went back. Where huge pages are asked for, the system would fill such gaps again, bit by bit, while the program
 * runs: not any more in the huge pages that the granules lie in. */
static NEB_SELDOM void huge_pages_forgo(struct chunk *chunk, uint64_t granules)
{
    for (uint64_t left = granules; left != 0; left &= ~huge_page_around(bits_lowest(left)))
        huge_page_forgo(chunk, bits_lowest(left));
}

NEB_SELDOM void neb_granules_forgo_huge_pages(const void *base, unsigned count)
{
    huge_pages_forgo(page_map_chunk(base), bits_range(chunk_granule_of(base), count));
}

/* Whether a dense slab that begins here is the first use of a huge page that it is time for. Only an untouched one can be had. */
static bool opens_huge_page(const struct chunk *chunk, unsigned first)
{
    uint64_t page = huge_page_around(first);
    return (chunk->free & chunk->clean & page) == page && huge_pages_wanted &&
           counts.granules_used >= HUGE_PAGES_FROM_GRANULES;
}

static struct granules take_locked(unsigned count, enum granule_use use)
{
    struct granules taken = {.count = count};
    uint64_t runs = by_run_set >> (count - 1) << (count - 1);
    if (runs == 0)
        return taken;
    struct chunk *chunk = LIST_OF(by_run[bits_lowest(runs) + 1].next, struct chunk, node);
    CHECK(chunk_find_run(chunk, count, &taken.first));
    uint64_t bits = bits_range(taken.first, count);
    taken.is_clean = (chunk->clean & bits) == bits;
    taken.chunk = chunk;
    taken.opens_huge = use == GRANULES_DENSE && opens_huge_page(chunk, taken.first);
    if (taken.opens_huge)
        chunk->huge |= huge_page_around(taken.first);
    taken.is_huge = (chunk->huge & bits) == bits;
    count_used((ptrdiff_t)count);
    chunk_set(chunk, chunk->free & ~bits, chunk->clean & ~bits);
    return taken;
}

struct granules neb_granules_take(unsigned count, enum granule_use use)
{
    for (;;) {
        neb_lock_take(&neb_locks[LOCK_CHUNK]);
        struct granules taken = take_locked(count, use);
        neb_lock_give(&neb_locks[LOCK_CHUNK]);
        if (taken.opens_huge)
            neb_vm_advise_huge(huge_page_base(taken.chunk, taken.first), HUGE_PAGE_BYTES);
        if (taken.chunk != NULL) {
            for (unsigned i = 0; i < count; i++)
                taken.chunk->head[taken.first + i] = (uint8_t)taken.first;
            return taken;
        }
        if (!part_add() && !chunk_add())
            return taken;
    }
}

void neb_granules_give(struct chunk *chunk, unsigned first, unsigned count)
{
    neb_lock_take(&neb_locks[LOCK_CHUNK]);
    uint64_t bits = bits_range(first, count);
    CHECK((chunk->free & bits) == 0);
    count_used(-(ptrdiff_t)count);
    chunk_set(chunk, chunk->free | bits, chunk->clean);
    neb_lock_give(&neb_locks[LOCK_CHUNK]);
}

NEB_SELDOM bool neb_granules_extend(struct chunk *chunk, unsigned first, unsigned count, unsigned new_count)
{
    if (first + new_count > CHUNK_GRANULES)
        return false;
    uint64_t bits = bits_range(first + count, new_count - count);
    neb_lock_take(&neb_locks[LOCK_CHUNK]);
    bool is_free = (chunk->free & bits) == bits;
    if (is_free) {
        count_used((ptrdiff_t)(new_count - count));
        chunk_set(chunk, chunk->free & ~bits, chunk->clean & ~bits);
    }
    neb_lock_give(&neb_locks[LOCK_CHUNK]);
    for (unsigned i = first + count; is_free && i < first + new_count; i++)
        chunk->head[i] = (uint8_t)first;
    return is_free;
}

/* ---- back to the system -------------------------------------------------------------------------------------------- */

/* Purges a set of granules that this thread took out, run by run; the set that is clean now. */
static NEB_SELDOM uint64_t purge_runs(struct chunk *chunk, uint64_t set)
{
    uint64_t cleaned = 0;
    while (set != 0) {
        unsigned first = bits_lowest(set);
        uint64_t rest = ~(set >> first);
        unsigned count = rest == 0 ? 64 : bits_lowest(rest);
        uint64_t run = bits_range(first, count);
        if (neb_vm_purge(chunk->base + ((size_t)first << GRANULE_SHIFT), (size_t)count << GRANULE_SHIFT))
            cleaned |= run;
        set &= ~run;
    }
    huge_pages_forgo(chunk, cleaned);
    return cleaned;
}

/* Whole, and not the only one with free granules: a program that frees all it has mostly goes on. */
static bool chunk_is_superfluous(const struct chunk *chunk)
{
    return (chunk->free | chunk->guard) == ~UINT64_C(0) && counts.granules_free > 2 * CHUNK_GRANULES;
}

/* Takes the chunk out of all lists; called with the lock, which is given back. */
static NEB_SELDOM void chunk_remove(struct chunk *chunk)
{
    chunk_set(chunk, 0, 0);
    counts.chunks--;
    counts.chunks_unmapped++;
    neb_lock_give(&neb_locks[LOCK_CHUNK]);
    if (neb_vm_unmap(chunk->base, CHUNK_BYTES)) {
        descriptor_give(chunk);
        return;
    }
    uint64_t cleaned = purge_runs(chunk, ~chunk->guard); /* unmapping is refused: keep it */
    neb_lock_take(&neb_locks[LOCK_CHUNK]);
    counts.chunks++;
    counts.chunks_unmapped--;
    chunk_set(chunk, ~chunk->guard, cleaned);
    neb_lock_give(&neb_locks[LOCK_CHUNK]);
}

/* Purges or unmaps the chunk; called with the lock, which is given back. */
static NEB_SELDOM size_t chunk_clean(struct chunk *chunk)
{
    uint64_t set = dirty_granules(chunk);
    size_t bytes = (size_t)bits_count(set) << GRANULE_SHIFT;
    if (chunk_is_superfluous(chunk)) {
        chunk_remove(chunk);
        return bytes;
    }
    chunk_set(chunk, chunk->free & ~set, chunk->clean);
    neb_lock_give(&neb_locks[LOCK_CHUNK]);
    uint64_t cleaned = purge_runs(chunk, set);
    neb_lock_take(&neb_locks[LOCK_CHUNK]);
    chunk_set(chunk, chunk->free | set, chunk->clean | cleaned);
    neb_lock_give(&neb_locks[LOCK_CHUNK]);
    return (size_t)bits_count(cleaned) << GRANULE_SHIFT;
}

static bool oldest_decay(uint32_t now_ms, uint32_t decay_ms)
{
    neb_lock_take(&neb_locks[LOCK_CHUNK]);
    struct chunk *oldest = list_is_empty(&dirty) ? NULL : LIST_OF(dirty.prev, struct chunk, dirty_node);
    if (oldest == NULL || now_ms - oldest->dirty_since_ms < decay_ms) {
        neb_lock_give(&neb_locks[LOCK_CHUNK]);
        return false;
    }
    (void)chunk_clean(oldest);
    return true;
}

bool neb_chunk_decay(uint32_t now_ms, uint32_t decay_ms)
{
    unsigned done = 0;
    while (done < DECAY_CHUNKS_MAX && oldest_decay(now_ms, decay_ms))
        done++;
    return done > 0;
}

/* A chunk whose pages the system does not take back goes to the front of the list: each is tried once. */
static size_t purge_all(void)
{
    size_t given = 0;
    for (size_t left = neb_chunk_counts().chunks; left > 0; left--) {
        neb_lock_take(&neb_locks[LOCK_CHUNK]);
        if (list_is_empty(&dirty)) {
            neb_lock_give(&neb_locks[LOCK_CHUNK]);
            break;
        }
        given += chunk_clean(LIST_OF(dirty.prev, struct chunk, dirty_node));
    }
    return given;
}

/* Whole free chunks are address space that something else may need. */
static void unmap_all(void)
{
    for (size_t left = neb_chunk_counts().chunks; left > 0; left--) {
        neb_lock_take(&neb_locks[LOCK_CHUNK]);
        if (list_is_empty(&by_run[CHUNK_GRANULES])) {
            neb_lock_give(&neb_locks[LOCK_CHUNK]);
            return;
        }
        chunk_remove(LIST_OF(by_run[CHUNK_GRANULES].prev, struct chunk, node));
    }
}

NEB_SELDOM size_t neb_chunk_trim(void)
{
    size_t given = purge_all();
    unmap_all();
    return given;
}

NEB_SELDOM struct chunk_counts neb_chunk_counts(void)
{
    neb_lock_take(&neb_locks[LOCK_CHUNK]);
    struct chunk_counts now = counts;
    neb_lock_give(&neb_locks[LOCK_CHUNK]);
    return now;
}

/* A descriptor that serves another chunk now is found there. */
NEB_SELDOM bool neb_chunks_walk(bool (*visit)(void *argument, struct chunk *chunk), void *argument)
{
    for (size_t leaf_index = 0; leaf_index < LEAF_COUNT; leaf_index++) {
        struct chunk_leaf *leaf = atomic_load_explicit(&neb_chunk_root[leaf_index], memory_order_acquire); /* P2 */
        for (size_t i = 0; leaf != NULL && i < LEAF_CHUNKS; i++) {
            struct chunk *chunk = atomic_load_explicit(&leaf->chunk[i], memory_order_acquire); /* P3 */
            if (chunk != NULL && ptr_address(chunk->base) >> CHUNK_SHIFT == (leaf_index << (LEAF_SHIFT - CHUNK_SHIFT)) + i &&
                !visit(argument, chunk))
                return false;
        }
    }
    return true;
}

void neb_chunk_set_huge_pages(bool wanted)
{
    huge_pages_wanted = wanted;
}
