/* guard.c - see guard.h. */
#include "check/guard.h"

#include "base/bits.h"
#include "base/ptr.h"
#include "base/random.h"
#include "check/block.h"
#include "check/fill.h"
#include "check/filter.h"
#include "check/report.h"
#include "check/stack.h"
#include "os/fence.h"
#include "os/inspect.h"
#include "os/lock.h"
#include "os/vm.h"
#include "policy/tuning.h"
#include <string.h>

enum {
    CLASSES = 19,            /* slots of 2 pages to 2^19: with pages of 4 KiB blocks of up to 2 GiB */
    CLASS_SHIFT = 35,        /* address space for each class; less where address space is limited */
    CLASS_SHIFT_MIN = 27,
    SLOTS_MAX = 1 << 17,     /* of a class: their records take 8 MiB once the class is used, of which few pages are touched */
    WAITING_MAX = 1 << 16,   /* freed ones of a class that are out of reach before the first serves again */
    SPACE_SHARE = 4,         /* of limited address space, at most a quarter */
    MAPPINGS_SHARE = 4,      /* of the mappings that the kernel allows: a block is one, and the gap to the next another */
    ALIGNMENT_MIN = 16       /* below, alignments are as good as not stated */
};

struct slot {
    struct cell_record_of_origin whole;
    unsigned char *base; /* data pages */
    size_t bytes, front;
    _Atomic size_t slack;
    uint32_t next;       /* among freed ones: the next younger; 0: none */
    uint8_t alignment_log2;
    bool may_grow; /* where it is */
};

struct slots {
    _Atomic(struct slot *) slot; /* NULL: the class was not used yet. Number 0 stays empty: its pages guard the first block */
    uint32_t used, oldest, newest, waiting;
};

bool neb_guard_is_wanted;
static struct guard_options options;
static unsigned char *area; /* NULL: nothing is guarded */
static bool has_fences; /* the area is accessible but for fences, which inaccessible pages are */
static unsigned class_count, class_shift, page_shift;
static size_t live_max;
static struct slots classes[CLASSES]; /* LOCK_GUARD */
static struct guard_counts counts;    /* LOCK_GUARD */
static uint64_t random_state = 1;     /* LOCK_GUARD */

static size_t page_bytes(void)
{
    return (size_t)1 << page_shift;
}

static unsigned slot_shift(unsigned class)
{
    return page_shift + 1 + class;
}

static uint32_t slots_in(unsigned class)
{
    size_t fit = (size_t)1 << (class_shift - slot_shift(class));
    return fit < SLOTS_MAX ? (uint32_t)fit : SLOTS_MAX;
}

static unsigned char *slot_begin(unsigned class, uint32_t number)
{
    return area + ((size_t)class << class_shift) + ((size_t)number << slot_shift(class));
}

/* ---- the area ----------------------------------------------------------------------------------------------------------- */

static bool area_reserve(unsigned count, unsigned shift)
{
    size_t bytes = (size_t)count << shift;
    if (bytes > neb_fence_space_max() / SPACE_SHARE)
        return false;
    area = neb_vm_reserve(bytes);
    class_count = count;
    class_shift = shift;
    return area != NULL;
}

/* A small area is fenced as a whole, where the kernel can: blocks come and go without mappings of their own. */
static bool area_fence(void)
{
    size_t bytes = (size_t)class_count << class_shift;
    has_fences = neb_vm_unguard(area, bytes) && neb_fence_lay(area, bytes);
    return has_fences || neb_vm_guard(area, bytes);
}

bool neb_guard_init(const struct guard_options *wanted)
{
    options = *wanted;
    neb_stack_enable();
    page_shift = bits_log2_floor(neb_vm_page_size());
    live_max = neb_fence_mappings_max() / MAPPINGS_SHARE;
    neb_os_random(&random_state, sizeof random_state);
    random_state |= 1;
    if (options.is_sample) {
        neb_canary_init(true);
        return area_reserve(1, bits_log2_floor(GUARD_SAMPLE_SLOTS) + slot_shift(0)) && area_fence();
    }
    for (unsigned shift = CLASS_SHIFT; shift >= CLASS_SHIFT_MIN && !neb_guard_is_wanted; shift -= 2) {
        unsigned fit = shift - page_shift - 1; /* at least two slots in each class */
        neb_guard_is_wanted = area_reserve(fit < CLASSES ? fit : CLASSES, shift);
    }
    return neb_guard_is_wanted;
}

/* ---- slots -------------------------------------------------------------------------------------------------------------- */

static enum record_state state_of(const struct slot *slot)
{
    return atomic_load_explicit(&slot->whole.record.state, memory_order_acquire); /* R2 */
}

struct spot {
    struct slot *slot; /* NULL: no slot is there that was ever used */
    unsigned class;
    uint32_t number;
    bool is_last_page;
};

static struct spot spot_of(uintptr_t address)
{
    struct spot spot = {NULL, 0, 0, false};
    size_t offset = address - ptr_address(area);
    if (area == NULL || offset >= (size_t)class_count << class_shift)
        return spot;
    spot.class = (unsigned)(offset >> class_shift);
    size_t within = offset & (((size_t)1 << class_shift) - 1), slot_bytes = (size_t)1 << slot_shift(spot.class);
    size_t number = within / slot_bytes;
    struct slot *first = atomic_load_explicit(&classes[spot.class].slot, memory_order_acquire); /* G1 */
    if (first == NULL || number >= slots_in(spot.class))
        return spot;
    spot.number = (uint32_t)number;
    spot.is_last_page = within % slot_bytes >= slot_bytes - page_bytes();
    if (state_of(&first[number]) != RECORD_NONE)
        spot.slot = &first[number];
    return spot;
}

static struct cell cell_of(struct slot *slot)
{
    return (struct cell){slot->base, slot->bytes, &slot->whole.record, &slot->whole.record.state, &slot->front, &slot->slack, CELL_HUGE};
}

/* The class whose slots hold size bytes and a page; CLASSES: none. */
static unsigned class_for(size_t size, size_t alignment)
{
    size_t page = page_bytes();
    if (size >= (size_t)1 << class_shift || alignment >= (size_t)1 << class_shift)
        return CLASSES;
    size_t pages = ((size_align_up(size, page) + (alignment > page ? alignment : 0)) >> page_shift) + 1;
    unsigned class = pages <= 2 ? 0 : bits_log2_ceil(pages) - 1;
    return class < class_count ? class : CLASSES;
}

static bool records_make_locked(unsigned class)
{
    if (atomic_load_explicit(&classes[class].slot, memory_order_relaxed) != NULL) /* under the lock */
        return true;
    struct slot *slot = neb_vm_map(size_align_up(slots_in(class) * sizeof *slot, page_bytes()));
    atomic_store_explicit(&classes[class].slot, slot, memory_order_release); /* G1 */
    classes[class].used = 1;
    return slot != NULL;
}

static uint32_t oldest_take_locked(struct slots *slots)
{
    uint32_t number = slots->oldest;
    if (number != 0) {
        slots->oldest = atomic_load_explicit(&slots->slot, memory_order_relaxed)[number].next; /* under the lock */
        slots->waiting--;
        counts.waiting--;
    }
    return number;
}

/* Fresh ones first, until enough have been freed: so each stays out of reach for long. 0: none. */
static uint32_t number_take_locked(unsigned class)
{
    struct slots *slots = &classes[class];
    if (counts.live >= live_max || !records_make_locked(class))
        return 0;
    bool has_fresh = slots->used < slots_in(class);
    if (has_fresh && slots->waiting < WAITING_MAX)
        return slots->used++;
    uint32_t number = oldest_take_locked(slots);
    return number == 0 && has_fresh ? slots->used++ : number;
}

static uint32_t number_take(unsigned class, enum guard_side *side)
{
    neb_lock_take(&neb_locks[LOCK_GUARD]);
    uint32_t number = number_take_locked(class);
    counts.live += number != 0;
    counts.served += number != 0;
    counts.refused += number == 0;
    *side = options.side != GUARD_AT_RANDOM ? options.side : random_below(&random_state, 2) == 0 ? GUARD_AT_END : GUARD_AT_START;
    neb_lock_give(&neb_locks[LOCK_GUARD]);
    return number;
}

static void number_give(unsigned class, uint32_t number)
{
    struct slots *slots = &classes[class];
    neb_lock_take(&neb_locks[LOCK_GUARD]);
    struct slot *slot = atomic_load_explicit(&slots->slot, memory_order_relaxed); /* under the lock */
    slot[number].next = 0;
    if (slots->oldest == 0)
        slots->oldest = number;
    else
        slot[slots->newest].next = number;
    slots->newest = number;
    slots->waiting++;
    counts.waiting++;
    counts.live--;
    neb_lock_give(&neb_locks[LOCK_GUARD]);
}

/* ---- canaries ----------------------------------------------------------------------------------------------------------- */

static size_t canary(size_t room)
{
    return room < CANARY_SLACK_MAX ? room : CANARY_SLACK_MAX;
}

static void canaries_write(const struct block *block)
{
    canary_write(block->begin - canary(block->front), canary(block->front));
    canary_write(block->begin + block->size, canary(block->slack));
}

static void canaries_verify(const struct cell *cell, const struct block *block, const char *call)
{
    size_t count = canary(block->front), changed;
    const unsigned char *front = block->begin - count, *slack = block->begin + block->size;
    if ((changed = neb_canary_verify_back(front, count)) != 0) {
        neb_report_underflow(call, cell, count - changed + 1, count - neb_canary_verify(front, count));
        canaries_write(block); /* the process goes on: said once is enough */
        return;
    }
    count = canary(block->slack);
    if ((changed = neb_canary_verify(slack, count)) != count) {
        neb_report_overflow(call, cell, changed + 1, neb_canary_verify_back(slack, count));
        canaries_write(block);
    }
}

/* ---- allocation --------------------------------------------------------------------------------------------------------- */

static unsigned char *block_place(unsigned char *begin, size_t slot_bytes, size_t size, size_t alignment, enum guard_side side)
{
    unsigned char *last = begin + slot_bytes - page_bytes() - size;
    return side == GUARD_AT_START ? ptr_align_up(begin, alignment) : last - (ptr_address(last) & (alignment - 1));
}

/* A block without bytes has no page. */
static void slot_describe(struct slot *slot, unsigned char *begin, size_t size, size_t alignment)
{
    slot->front = size == 0 ? 0 : ptr_address(begin) & (page_bytes() - 1);
    slot->base = begin - slot->front;
    slot->bytes = size == 0 ? 0 : size_align_up(slot->front + size, page_bytes());
    atomic_store_explicit(&slot->slack, slot->bytes - slot->front - size, memory_order_relaxed); /* the state publishes it */
    slot->alignment_log2 = (uint8_t)bits_log2_floor(alignment < ALIGNMENT_MIN ? ALIGNMENT_MIN : alignment);
}

static void contents_set(const struct block *block, enum content content)
{
    canaries_write(block);
    if (content == CONTENT_FILL && check_has(CHECK_FILL) && neb_check.fill_alloc != FILL_NOTHING)
        memset(block->begin, (int)neb_check.fill_alloc, block->size < FILL_BYTES_MAX ? block->size : FILL_BYTES_MAX);
}

static void *slot_serve(struct slot *slot, enum family family, uint32_t stack, enum content content)
{
    struct cell cell = cell_of(slot);
    atomic_store_explicit(&slot->whole.record.form, (uint8_t)family, memory_order_relaxed);
    atomic_store_explicit(&slot->whole.origin.alloc_thread, thread_number(), memory_order_relaxed);
    atomic_store_explicit(&slot->whole.origin.alloc_stack, stack, memory_order_relaxed);
    struct block block = neb_block_of(&cell);
    contents_set(&block, content);
    atomic_store_explicit(&slot->whole.record.state, RECORD_LIVE, memory_order_release); /* R2 */
    return block.begin;
}

static bool pages_open(void *base, size_t bytes)
{
    return bytes == 0 || (has_fences ? neb_fence_lift(base, bytes) : neb_vm_unguard(base, bytes));
}

static void *alloc_in(unsigned class, size_t size, size_t alignment, enum family family, uint32_t stack, enum content content, bool may_grow)
{
    enum guard_side side;
    uint32_t number = number_take(class, &side);
    side = may_grow ? GUARD_AT_START : side;
    if (number == 0)
        return NULL;
    struct slot *slot = atomic_load_explicit(&classes[class].slot, memory_order_acquire) + number; /* G1 */
    unsigned char *begin = slot_begin(class, number);
    atomic_store_explicit(&slot->whole.record.state, RECORD_NONE, memory_order_relaxed); /* nobody else has it */
    slot->may_grow = may_grow;
    slot_describe(slot, block_place(begin, (size_t)1 << slot_shift(class), size, alignment, side), size, alignment);
    if (pages_open(slot->base, slot->bytes))
        return slot_serve(slot, family, stack, content);
    number_give(class, number); /* too many mappings, or no memory */
    return NULL;
}

/* room: bytes that the slot is to have, if more than the block's. */
static void *alloc_wanted(size_t size, size_t room, size_t alignment, enum family family, enum content content)
{
    unsigned class = area == NULL ? CLASSES : class_for(room, alignment);
    if (class == CLASSES || !neb_filter_takes_size(size))
        return NULL;
    uint32_t stack = neb_stack_number_here(options.stack_depth);
    return neb_filter_takes_stack(stack) ? alloc_in(class, size, alignment, family, stack, content, room > size) : NULL;
}

void *neb_guard_alloc(size_t size, size_t alignment, enum family family, enum content content)
{
    return alloc_wanted(size, size, alignment <= ALIGNMENT_MIN ? options.alignment : alignment, family, content);
}

void *neb_guard_alloc_growing(size_t size, enum family family)
{
    return alloc_wanted(size, size + size / 4, ALIGNMENT_MIN, family, CONTENT_FILL);
}

/* More pages of the slot, behind those that are open. */
static bool slot_extend(struct slot *slot, size_t bytes)
{
    return pages_open(slot->base + slot->bytes, bytes - slot->bytes);
}

bool neb_guard_grow(void *p, size_t size)
{
    struct spot spot = spot_of(ptr_address(p));
    struct slot *slot = spot.slot;
    if (slot == NULL || !slot->may_grow)
        return false;
    struct cell cell = cell_of(slot);
    struct block block = neb_block_of(&cell);
    size_t room = ((size_t)1 << slot_shift(spot.class)) - page_bytes() - slot->front;
    if (size < block.size || size > room || !neb_filter_takes_size(size) || !slot_extend(slot, size_align_up(slot->front + size, page_bytes())))
        return false;
    canaries_verify(&cell, &block, "realloc");
    slot->bytes = size_align_up(slot->front + size, page_bytes());
    atomic_store_explicit(&slot->slack, slot->bytes - slot->front - size, memory_order_relaxed); /* whoever grows it has it */
    atomic_store_explicit(&slot->whole.origin.alloc_thread, thread_number(), memory_order_relaxed);
    atomic_store_explicit(&slot->whole.origin.alloc_stack, neb_stack_number_here(options.stack_depth), memory_order_relaxed);
    cell = cell_of(slot);
    struct block grown = neb_block_of(&cell);
    size_t more = size - block.size;
    canaries_write(&grown);
    if (check_has(CHECK_FILL) && neb_check.fill_alloc != FILL_NOTHING)
        memset(grown.begin + block.size, (int)neb_check.fill_alloc, more < FILL_BYTES_MAX ? more : FILL_BYTES_MAX);
    return true;
}

/* ---- free --------------------------------------------------------------------------------------------------------------- */

/* Where the system refuses another mapping, the pages stay, protected if that is possible. */
static void slot_close(const struct slot *slot)
{
    if (slot->bytes == 0 || (has_fences ? neb_fence_lay(slot->base, slot->bytes) : neb_fence_close(slot->base, slot->bytes)))
        return;
    (void)neb_vm_purge(slot->base, slot->bytes);
    if (!has_fences)
        (void)neb_vm_guard(slot->base, slot->bytes);
}

/* Of several frees of one block exactly one goes on. */
static bool state_free(struct slot *slot)
{
    uint8_t live = RECORD_LIVE;
    return atomic_compare_exchange_strong_explicit(&slot->whole.record.state, &live, RECORD_FREED, memory_order_acq_rel, /* K1 */
                                                   memory_order_relaxed);
}

bool neb_guard_free(void *p, const struct check_call *call)
{
    struct spot spot = spot_of(ptr_address(p));
    struct slot *slot = spot.slot;
    if (slot == NULL)
        return false;
    struct cell cell = cell_of(slot);
    struct block block = neb_block_of(&cell);
    if (p != block.begin) {
        neb_report_inside(call->name, p, &cell);
        return true;
    }
    if (block.state == RECORD_LIVE) /* while its bytes can be shown */
        canaries_verify(&cell, &block, call->name);
    if (!state_free(slot)) {
        neb_report_double_free(call->name, p, &cell);
        return true;
    }
    atomic_store_explicit(&slot->whole.origin.free_thread, thread_number(), memory_order_relaxed);
    atomic_store_explicit(&slot->whole.origin.free_stack, neb_stack_number_here(options.stack_depth), memory_order_relaxed);
    neb_block_check_statement(p, call, &cell, call->alignment < ALIGNMENT_MIN ? ALIGNMENT_MIN : call->alignment,
                              (size_t)1 << slot->alignment_log2);
    slot_close(slot);
    number_give(spot.class, spot.number);
    return true;
}

/* ---- questions ---------------------------------------------------------------------------------------------------------- */

bool neb_guard_knows(const void *p)
{
    return spot_of(ptr_address(p)).slot != NULL;
}

bool neb_guard_size(const void *p, const char *call, size_t *size)
{
    struct cell cell = cell_of(spot_of(ptr_address(p)).slot);
    return neb_block_size(p, &cell, call, size);
}

/* Bytes between an address and the block; SIZE_MAX: there is none. */
static size_t distance(uintptr_t address, const struct slot *slot)
{
    if (slot == NULL)
        return SIZE_MAX;
    uintptr_t begin = ptr_address(slot->base) + slot->front;
    uintptr_t end = ptr_address(slot->base) + slot->bytes - atomic_load_explicit(&slot->slack, memory_order_relaxed);
    return address < begin ? begin - address : address < end ? 0 : address - end + 1;
}

/* The page between two blocks is behind the one and before the other. */
bool neb_guard_cell_near(const void *p, struct cell *cell)
{
    uintptr_t address = ptr_address(p);
    struct spot spot = spot_of(address);
    struct slot *next = spot.is_last_page ? spot_of(address + page_bytes()).slot : NULL;
    struct slot *nearest = distance(address, next) < distance(address, spot.slot) ? next : spot.slot;
    if (nearest != NULL)
        *cell = cell_of(nearest);
    return nearest != NULL;
}

static uint32_t slots_used(unsigned class)
{
    neb_lock_take(&neb_locks[LOCK_GUARD]);
    uint32_t used = classes[class].used;
    neb_lock_give(&neb_locks[LOCK_GUARD]);
    return used;
}

void neb_guard_cells_walk(void (*visit)(void *argument, const struct cell *cell), void *argument)
{
    for (unsigned class = 0; class < class_count; class++) {
        struct slot *slot = atomic_load_explicit(&classes[class].slot, memory_order_acquire); /* G1 */
        uint32_t used = slots_used(class);
        for (uint32_t number = 1; slot != NULL && number < used; number++) {
            struct cell cell = cell_of(&slot[number]);
            visit(argument, &cell);
        }
    }
}

struct live_visit {
    bool (*visit)(void *argument, void *begin, size_t size);
    void *argument;
    bool goes_on;
};

static void live_visit(void *argument, const struct cell *cell)
{
    struct live_visit *to = argument;
    struct block block = neb_block_of(cell);
    if (to->goes_on && block.state == RECORD_LIVE)
        to->goes_on = to->visit(to->argument, block.begin, block.size);
}

bool neb_guard_walk(bool (*visit)(void *argument, void *begin, size_t size), void *argument)
{
    struct live_visit to = {visit, argument, true};
    neb_guard_cells_walk(live_visit, &to);
    return to.goes_on;
}

void neb_guard_span(struct spans *spans)
{
    neb_spans_add(spans, area, area == NULL ? 0 : (size_t)class_count << class_shift);
}

void neb_guard_record_spans(struct spans *spans)
{
    for (unsigned class = 0; class < class_count; class++) {
        struct slot *slot = atomic_load_explicit(&classes[class].slot, memory_order_acquire); /* G1 */
        if (slot != NULL)
            neb_spans_add(spans, slot, slots_in(class) * sizeof *slot);
    }
}

static bool block_verify(void *argument, void *begin, size_t size)
{
    struct cell cell;
    (void)argument;
    (void)size;
    if (neb_guard_cell_near(begin, &cell)) {
        struct block block = neb_block_of(&cell);
        canaries_verify(&cell, &block, "exit");
    }
    return true;
}

void neb_guard_verify(void)
{
    (void)neb_guard_walk(block_verify, NULL);
}

static bool bytes_add(void *argument, void *begin, size_t size)
{
    size_t *sum = argument;
    (void)begin;
    *sum += size;
    return true;
}

struct guard_counts neb_guard_counts(void)
{
    neb_lock_take(&neb_locks[LOCK_GUARD]);
    struct guard_counts now = counts;
    neb_lock_give(&neb_locks[LOCK_GUARD]);
    (void)neb_guard_walk(bytes_add, &now.live_bytes);
    return now;
}
