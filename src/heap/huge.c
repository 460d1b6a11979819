/* huge.c - mappings of their own; see large.h.
 *
 *   page map entry of the first granule: ENTRY_HUGE | number --> table[number]: base, bytes
 *   kept: mappings that were freed and may serve again, newest first
 *
 * A mapping may be split and joined again where its parts were freed; a block grows into the kept part behind it.
 *
 * Only the first granule has an entry: a pointer into the middle of a huge block is foreign at first sight, and
 * neb_huge_around tells for the message where it points.
 *
 * Ownership  a slot: LOCK_HUGE; base and bytes of a block in use: who has the block
 * Sync       a slot is written before its number stands in the page map (P1) */
#include "heap/huge.h"

#include "base/list.h"
#include "base/panic.h"
#include "heap/meta.h"
#include "heap/record.h"
#include "os/env.h"
#include "os/lock.h"
#include "os/vm.h"

enum { SEGMENT_SLOTS = 256, SEGMENTS = 4096 };

struct huge {
    unsigned char *base;
    size_t bytes;
    uint32_t number;
    uint32_t freed_ms;
    uint32_t origin; /* of which mapping it is a part: neighbours of one origin can be joined */
    bool in_use;
    struct cell_record_of_origin whole; /* where blocks are checked, */
    size_t front;               /* bytes of the mapping before */
    _Atomic size_t slack;       /* and behind the program's block */
    struct list_node node; /* free slots, or kept mappings */
};

NEB_SPARSE static _Atomic(struct huge *) segments[SEGMENTS];
static uint32_t slots_made, origins;
static struct list_node free_slots, kept;
static size_t keep_bytes_max = (size_t)HUGE_KEEP_MIB_DEFAULT << 20;
static struct large_counts counts;
static bool huge_pages_wanted;
static unsigned oversize_frees; /* of blocks above half of keep_bytes_max: LOCK_HUGE */

static struct huge *slot_at(uint32_t number)
{
    if (number >= SEGMENTS * SEGMENT_SLOTS)
        return NULL;
    struct huge *segment = atomic_load_explicit(&segments[number / SEGMENT_SLOTS], memory_order_acquire);
    return segment == NULL ? NULL : &segment[number % SEGMENT_SLOTS];
}

static struct huge *slot_make_locked(void)
{
    if (slots_made == SEGMENTS * SEGMENT_SLOTS)
        return NULL;
    uint32_t number = slots_made;
    if (number % SEGMENT_SLOTS == 0) {
        struct huge *segment = neb_meta_take(SEGMENT_SLOTS * sizeof *segment, 64);
        if (segment == NULL)
            return NULL;
        atomic_store_explicit(&segments[number / SEGMENT_SLOTS], segment, memory_order_release);
    }
    slots_made++;
    struct huge *slot = slot_at(number);
    slot->number = number;
    return slot;
}

static struct huge *slot_take(void)
{
    neb_lock_take(&neb_locks[LOCK_HUGE]);
    struct huge *slot;
    if (list_is_empty(&free_slots)) {
        slot = slot_make_locked();
    } else {
        slot = LIST_OF(free_slots.next, struct huge, node);
        list_remove(&slot->node);
    }
    if (slot != NULL)
        slot->origin = ++origins;
    neb_lock_give(&neb_locks[LOCK_HUGE]);
    return slot;
}

static void slot_give(struct huge *slot)
{
    neb_lock_take(&neb_locks[LOCK_HUGE]);
    list_push(&free_slots, &slot->node);
    neb_lock_give(&neb_locks[LOCK_HUGE]);
}

/* ---- kept mappings ------------------------------------------------------------------------------------------------- */

static struct huge *kept_remove_locked(struct huge *slot)
{
    if (slot != NULL) {
        list_remove(&slot->node);
        counts.kept_bytes -= slot->bytes;
        counts.kept_hits++;
    }
    return slot;
}

static bool serves(const struct huge *slot, size_t bytes, size_t alignment)
{
    return slot->bytes >= bytes && slot->bytes - bytes <= bytes / 4 && ptr_address(slot->base) % alignment == 0;
}

/* The smallest one that is large enough and wastes at most a quarter. */
static struct huge *kept_take(size_t bytes, size_t alignment)
{
    struct huge *best = NULL;
    neb_lock_take(&neb_locks[LOCK_HUGE]);
    for (struct list_node *node = kept.next; node != NULL && node != &kept; node = node->next) {
        struct huge *slot = LIST_OF(node, struct huge, node);
        if (serves(slot, bytes, alignment) && (best == NULL || slot->bytes < best->bytes))
            best = slot;
    }
    best = kept_remove_locked(best);
    neb_lock_give(&neb_locks[LOCK_HUGE]);
    return best;
}

/* The smallest one that is large enough, else the largest: its pages are worth having though there are too many or too few. */
static bool is_nearer(const struct huge *slot, const struct huge *than, size_t bytes)
{
    if (slot->bytes >= bytes)
        return than->bytes < bytes || slot->bytes < than->bytes;
    return than->bytes < bytes && slot->bytes > than->bytes;
}

static struct huge *kept_find_nearest_locked(size_t bytes)
{
    struct huge *nearest = NULL;
    for (struct list_node *node = kept.next; node != NULL && node != &kept; node = node->next) {
        struct huge *slot = LIST_OF(node, struct huge, node);
        if (nearest == NULL || is_nearer(slot, nearest, bytes))
            nearest = slot;
    }
    return nearest;
}

/* What is left behind the first bytes of a kept mapping is one too, with the same age. */
static void kept_split_locked(struct huge *slot, size_t bytes, struct huge *rest)
{
    rest->origin = slot->origin;
    rest->base = slot->base + bytes;
    rest->bytes = slot->bytes - bytes;
    rest->freed_ms = slot->freed_ms;
    list_push(&slot->node, &rest->node);
    slot->bytes = bytes;
}

enum side { BEFORE, BEHIND };

/* What is kept of the same mapping right before a slot, or right behind it. */
static struct huge *neighbour_locked(const struct huge *of, enum side side)
{
    const unsigned char *edge = side == BEFORE ? of->base : of->base + of->bytes;
    for (struct list_node *node = kept.next; node != NULL && node != &kept; node = node->next) {
        struct huge *slot = LIST_OF(node, struct huge, node);
        if (slot->origin == of->origin && (side == BEFORE ? slot->base + slot->bytes : slot->base) == edge)
            return slot;
    }
    return NULL;
}

/* Not to more than half of what may be kept, which would go all at once. */
static void kept_join_locked(struct huge *slot, struct huge *neighbour)
{
    if (neighbour == NULL || slot->bytes + neighbour->bytes > keep_bytes_max / 2)
        return;
    if (ptr_address(neighbour->base) < ptr_address(slot->base))
        slot->base = neighbour->base;
    slot->bytes += neighbour->bytes;
    list_remove(&neighbour->node);
    list_push(&free_slots, &neighbour->node);
}

static void kept_add_locked(struct huge *slot)
{
    counts.kept_bytes += slot->bytes;
    kept_join_locked(slot, neighbour_locked(slot, BEHIND));
    kept_join_locked(slot, neighbour_locked(slot, BEFORE));
    list_push(&kept, &slot->node);
}

/* Cut, if the rest is worth keeping: then *rest is used for it, and NULL afterwards. */
static struct huge *kept_take_nearest(size_t bytes, struct huge **rest)
{
    neb_lock_take(&neb_locks[LOCK_HUGE]);
    struct huge *nearest = kept_find_nearest_locked(bytes);
    if (nearest != NULL && *rest != NULL && nearest->bytes >= bytes + LARGE_MAX) {
        kept_split_locked(nearest, bytes, *rest);
        *rest = NULL;
    }
    nearest = kept_remove_locked(nearest);
    neb_lock_give(&neb_locks[LOCK_HUGE]);
    return nearest;
}

static void unmap_slot(struct huge *slot)
{
    if (!neb_vm_unmap(slot->base, slot->bytes))
        (void)neb_vm_purge(slot->base, slot->bytes); /* refused: at least its pages go back */
    slot_give(slot);
}

/* The oldest kept mapping, if it was freed before now - decay or all of them are too much. */
static struct huge *kept_expire(uint32_t now_ms, uint32_t decay_ms, size_t bytes_max)
{
    struct huge *oldest = NULL;
    neb_lock_take(&neb_locks[LOCK_HUGE]);
    if (!list_is_empty(&kept)) {
        oldest = LIST_OF(kept.prev, struct huge, node);
        if (now_ms - oldest->freed_ms < decay_ms && counts.kept_bytes <= bytes_max) {
            oldest = NULL;
        } else {
            list_remove(&oldest->node);
            counts.kept_bytes -= oldest->bytes;
        }
    }
    neb_lock_give(&neb_locks[LOCK_HUGE]);
    return oldest;
}

void neb_huge_decay(uint32_t now_ms, uint32_t decay_ms)
{
    for (struct huge *slot; (slot = kept_expire(now_ms, decay_ms, keep_bytes_max)) != NULL;)
        unmap_slot(slot);
}

size_t neb_huge_trim(void)
{
    size_t given = 0;
    for (struct huge *slot; (slot = kept_expire(0, 0, 0)) != NULL;) {
        given += slot->bytes;
        unmap_slot(slot);
    }
    return given;
}

NEB_COMMON void neb_huge_set_keep(size_t bytes_max)
{
    keep_bytes_max = bytes_max;
}

NEB_COMMON void neb_huge_set_huge_pages(bool wanted)
{
    huge_pages_wanted = wanted;
}

/* ---- blocks ---------------------------------------------------------------------------------------------------------- */

/* Large enough for a huge page: aligned to one, so that the kernel may use some. */
static size_t mapping_alignment(size_t bytes, size_t alignment)
{
    size_t least = bytes >= 2 * HUGE_PAGE_BYTES ? HUGE_PAGE_BYTES : GRANULE_BYTES;
    return alignment > least ? alignment : least;
}

static void count_use(size_t blocks_more, size_t bytes_more)
{
    counts.huge_blocks += blocks_more;
    counts.huge_bytes += bytes_more;
    if (counts.huge_blocks > counts.huge_blocks_peak)
        counts.huge_blocks_peak = counts.huge_blocks;
    if (counts.huge_bytes > counts.huge_bytes_peak)
        counts.huge_bytes_peak = counts.huge_bytes;
}

static void slot_set(struct huge *slot, unsigned char *base, size_t bytes)
{
    neb_lock_take(&neb_locks[LOCK_HUGE]);
    if (slot->in_use)
        count_use(0, bytes - slot->bytes);
    counts.resized++;
    if (base != slot->base) {
        counts.moved++;
        slot->origin = ++origins;
    }
    slot->base = base;
    slot->bytes = bytes;
    neb_lock_give(&neb_locks[LOCK_HUGE]);
}

/* Moves the pages to a place with room for so many bytes; nothing of them has an entry. */
static bool pages_move(struct huge *slot, size_t bytes)
{
    unsigned char *target = neb_vm_reserve_aligned(bytes, mapping_alignment(bytes, 1));
    if (target == NULL)
        return false;
    if (!neb_page_map_cover(target, GRANULE_BYTES) || !neb_vm_move(slot->base, slot->bytes, target, bytes)) {
        (void)neb_vm_unmap(target, bytes);
        return false;
    }
    slot_set(slot, target, bytes);
    return true;
}

/* A program that comes back for such blocks again and again will touch them; one that has a few large tables may not. */
static bool huge_pages_are_due(void)
{
    neb_lock_take(&neb_locks[LOCK_HUGE]);
    bool due = huge_pages_wanted && counts.huge_allocs >= HUGE_PAGE_ALLOCS_MIN;
    neb_lock_give(&neb_locks[LOCK_HUGE]);
    return due;
}

/* Cut or stretched; NULL: it went. To move page tables costs a tenth of faulting pages in. */
static struct huge *reshape(struct huge *slot, size_t bytes)
{
    bool grows = bytes > slot->bytes;
    if (neb_vm_resize_in_place(slot->base, slot->bytes, bytes)) {
        slot_set(slot, slot->base, bytes);
    } else if (!grows || !pages_move(slot, bytes)) {
        unmap_slot(slot);
        return NULL;
    }
    if (grows && huge_pages_are_due())
        neb_vm_advise_huge(slot->base, bytes);
    return slot;
}

/* A kept mapping of another size. */
static struct huge *kept_take_any(size_t bytes)
{
    struct huge *rest = slot_take();
    struct huge *slot = kept_take_nearest(bytes, &rest);
    if (rest != NULL)
        slot_give(rest);
    return slot == NULL || slot->bytes == bytes ? slot : reshape(slot, bytes);
}

static struct huge *kept_alloc(size_t bytes, size_t alignment)
{
    struct huge *slot = kept_take(bytes, alignment > GRANULE_BYTES ? alignment : GRANULE_BYTES);
    if (slot == NULL && alignment <= GRANULE_BYTES)
        slot = kept_take_any(bytes);
    if (slot == NULL || neb_page_map_cover(slot->base, GRANULE_BYTES)) /* of one that was split off only the first part was covered */
        return slot;
    unmap_slot(slot);
    return NULL;
}

static struct huge *huge_map(size_t bytes, size_t alignment)
{
    struct huge *slot = slot_take();
    if (slot == NULL)
        return NULL;
    slot->base = neb_vm_map_aligned(bytes, mapping_alignment(bytes, alignment));
    slot->bytes = bytes;
    if (slot->base == NULL) { /* no room for the slack of alignment: exactly, if that will do */
        if (alignment <= GRANULE_BYTES)
            slot->base = neb_vm_map_aligned(bytes, GRANULE_BYTES);
    }
    if (slot->base != NULL && !neb_page_map_cover(slot->base, GRANULE_BYTES)) {
        (void)neb_vm_unmap(slot->base, bytes);
        slot->base = NULL;
    }
    if (slot->base == NULL) {
        slot_give(slot);
        return NULL;
    }
    if (huge_pages_are_due())
        neb_vm_advise_huge(slot->base, bytes);
    return slot;
}

static void publish(struct huge *slot)
{
    atomic_store_explicit(&slot->whole.record.state, RECORD_NONE, memory_order_relaxed); /* P1 orders it */
    neb_lock_take(&neb_locks[LOCK_HUGE]);
    slot->in_use = true;
    count_use(1, slot->bytes);
    counts.huge_allocs++;
    neb_lock_give(&neb_locks[LOCK_HUGE]);
    neb_page_map_fill(slot->base, 1, ENTRY_HUGE | slot->number);
}

void *neb_huge_alloc(size_t size, size_t alignment, bool *zeroed)
{
    if (size > PTRDIFF_MAX - GRANULE_BYTES || alignment > PTRDIFF_MAX)
        return NULL;
    size_t bytes = size_align_up(size, GRANULE_BYTES);
    struct huge *slot = kept_alloc(bytes, alignment);
    if (zeroed != NULL)
        *zeroed = slot == NULL;
    if (slot == NULL)
        slot = huge_map(bytes, alignment);
    if (slot == NULL && neb_huge_trim() > 0) /* what is kept may be what is missing */
        slot = huge_map(bytes, alignment);
    if (slot == NULL)
        return NULL;
    CHECK(!slot->in_use);
    publish(slot);
    return slot->base;
}

/* One that would take more than half of what may be kept has to come back before it is. */
static bool is_worth_keeping_locked(const struct huge *slot)
{
    if (slot->bytes <= keep_bytes_max / 2)
        return true;
    return ++oversize_frees > HUGE_OVERSIZE_FREES && slot->bytes <= keep_bytes_max;
}

bool neb_huge_free(void *p, uint32_t entry)
{
    struct huge *slot = slot_at(entry & ~ENTRY_HUGE);
    if (slot == NULL || slot->base != p ||
        !atomic_compare_exchange_strong_explicit(page_map_entry(p), &entry, ENTRY_NONE, memory_order_acq_rel, memory_order_relaxed))
        return false;
    uint32_t now = neb_clock_ms();
    neb_lock_take(&neb_locks[LOCK_HUGE]);
    slot->in_use = false;
    slot->freed_ms = now;
    counts.huge_blocks--;
    counts.huge_bytes -= slot->bytes;
    bool keep = is_worth_keeping_locked(slot);
    if (keep)
        kept_add_locked(slot);
    neb_lock_give(&neb_locks[LOCK_HUGE]);
    if (!keep)
        unmap_slot(slot);
    for (struct huge *old; (old = kept_expire(now, UINT32_MAX, keep_bytes_max)) != NULL;)
        unmap_slot(old);
    return true;
}

size_t neb_huge_usable(const void *p, uint32_t entry)
{
    const struct huge *slot = slot_at(entry & ~ENTRY_HUGE);
    return slot != NULL && slot->base == p ? slot->bytes : 0;
}

/* The entry goes before the pages: the old place may be somebody else's as soon as they have moved. */
static void *huge_move(struct huge *slot, size_t bytes)
{
    neb_page_map_fill(slot->base, 1, ENTRY_NONE);
    bool moved = pages_move(slot, bytes);
    neb_page_map_fill(slot->base, 1, ENTRY_HUGE | slot->number);
    return moved ? slot->base : NULL;
}

/* As many bytes as the block lacks, or all where the rest would not be worth keeping. */
static size_t neighbour_give_locked(struct huge *neighbour, size_t lacking)
{
    size_t given = neighbour->bytes < lacking + LARGE_MAX ? neighbour->bytes : lacking;
    neighbour->base += given;
    neighbour->bytes -= given;
    counts.kept_bytes -= given;
    if (neighbour->bytes == 0) {
        list_remove(&neighbour->node);
        list_push(&free_slots, &neighbour->node);
    }
    return given;
}

/* Grows a block into what is kept behind it, if that is enough. */
static void neighbour_take(struct huge *slot, size_t bytes)
{
    neb_lock_take(&neb_locks[LOCK_HUGE]);
    struct huge *neighbour = neighbour_locked(slot, BEHIND);
    if (neighbour != NULL && neighbour->bytes >= bytes - slot->bytes) {
        size_t given = neighbour_give_locked(neighbour, bytes - slot->bytes);
        slot->bytes += given;
        count_use(0, given);
        counts.resized++;
    }
    neb_lock_give(&neb_locks[LOCK_HUGE]);
}

void *neb_huge_resize(void *p, uint32_t entry, size_t size)
{
    struct huge *slot = slot_at(entry & ~ENTRY_HUGE);
    if (size > PTRDIFF_MAX - GRANULE_BYTES || size <= LARGE_MAX)
        return NULL;
    size_t bytes = size_align_up(size, GRANULE_BYTES);
    if (bytes > slot->bytes)
        neighbour_take(slot, bytes);
    if (bytes == slot->bytes)
        return p;
    if (!neb_vm_resize_in_place(p, slot->bytes, bytes))
        return bytes > slot->bytes ? huge_move(slot, bytes) : p;
    slot_set(slot, p, bytes);
    return p;
}

bool neb_huge_around(const void *p, const void **base, size_t *bytes)
{
    bool found = false;
    neb_lock_take(&neb_locks[LOCK_HUGE]);
    for (uint32_t number = 0; number < slots_made && !found; number++) {
        const struct huge *slot = slot_at(number);
        if (slot->in_use && ptr_offset(p, slot->base) < slot->bytes) {
            *base = slot->base;
            *bytes = slot->bytes;
            found = true;
        }
    }
    neb_lock_give(&neb_locks[LOCK_HUGE]);
    return found;
}

static struct cell cell_of_slot(struct huge *slot)
{
    struct cell_record *record = neb_records_are_enabled() ? &slot->whole.record : NULL;
    return (struct cell){slot->in_use ? slot->base : NULL, slot->bytes, record, record == NULL ? NULL : &record->state,
                         &slot->front, &slot->slack, CELL_HUGE};
}

bool neb_huge_cell(uint32_t number, struct cell *cell)
{
    struct huge *slot = slot_at(number & ~ENTRY_HUGE);
    if (slot != NULL)
        *cell = cell_of_slot(slot);
    return slot != NULL;
}

bool neb_huge_cell_around(const void *p, struct cell *cell)
{
    bool found = false;
    if (!neb_lock_try_patiently(&neb_locks[LOCK_HUGE]))
        return false;
    for (uint32_t number = 0; number < slots_made && !found; number++) {
        struct huge *slot = slot_at(number);
        found = slot->in_use && ptr_offset(p, slot->base) < slot->bytes;
        if (found)
            *cell = cell_of_slot(slot);
    }
    neb_lock_give(&neb_locks[LOCK_HUGE]);
    return found;
}

bool neb_huge_numbered(uint32_t number, void **base, size_t *bytes)
{
    neb_lock_take(&neb_locks[LOCK_HUGE]);
    bool is_made = number < slots_made;
    const struct huge *slot = is_made ? slot_at(number) : NULL;
    *base = is_made && slot->in_use ? slot->base : NULL;
    *bytes = is_made ? slot->bytes : 0;
    neb_lock_give(&neb_locks[LOCK_HUGE]);
    return is_made;
}

struct large_counts neb_huge_counts(void)
{
    neb_lock_take(&neb_locks[LOCK_HUGE]);
    struct large_counts now = counts;
    neb_lock_give(&neb_locks[LOCK_HUGE]);
    return now;
}
