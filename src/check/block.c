/* block.c - see check.h: what is done with each block. */
#include "check/block.h"

#include "base/bits.h"
#include "base/ptr.h"
#include "check/fill.h"
#include "check/hide.h"
#include "check/quarantine.h"
#include "check/report.h"
#include "check/stack.h"
#include "heap/cell.h"
#include "os/inspect.h"
#include "os/lock.h"
#include "os/thread.h"
#include "os/vm.h"
#include "policy/policy.h"
#include <string.h>

enum {
    FORM_FAMILY_BITS = 2,
    FORM_RESIZED = 1 << FORM_FAMILY_BITS,
    FORM_FRONT_SHIFT = FORM_FAMILY_BITS + 1,
    THREADS_MAX = 65536,
    HIDDEN_WEIGHT_SHIFT = 4, /* a block whose pages went back counts in the quarantine as a sixteenth: it is address space only */
    HIDDEN_WEIGHT_MIN = 4096
};

struct check_options neb_check = {.fill_alloc = FILL_NOTHING, .fill_free = FILL_NOTHING};

/* ---- threads ------------------------------------------------------------------------------------------------------------ */

static _Atomic(_Atomic uint32_t *) thread_ids; /* THREADS_MAX of them, mapped when the first one is asked for */
static _Atomic uint32_t threads_made = 1;

/* NULL: no memory. */
static _Atomic uint32_t *thread_id_of(uint32_t number)
{
    _Atomic uint32_t *ids = atomic_load_explicit(&thread_ids, memory_order_acquire), *mine;
    size_t bytes = size_align_up(THREADS_MAX * sizeof *ids, neb_vm_page_size());
    if (NEB_LIKELY(ids != NULL))
        return ids + number;
    if ((mine = neb_vm_map(bytes)) == NULL)
        return NULL;
    if (atomic_compare_exchange_strong_explicit(&thread_ids, &ids, mine, memory_order_acq_rel, memory_order_acquire))
        return mine + number;
    (void)neb_vm_unmap(mine, bytes);
    return ids + number;
}

uint16_t neb_thread_number_slow(void)
{
    struct hold *own = &neb_hold;
    if (atomic_load_explicit(&threads_made, memory_order_relaxed) >= THREADS_MAX)
        return 0; /* a number serves one thread only; later ones are unknown */
    uint32_t number = atomic_fetch_add_explicit(&threads_made, 1, memory_order_relaxed);
    if (number >= THREADS_MAX)
        return 0;
    own->number = (uint16_t)number;
    if (neb_check.watches_threads)
        (void)neb_thread_watch();
    _Atomic uint32_t *id = thread_id_of(number);
    if (id != NULL)
        atomic_store_explicit(id, neb_os_thread_id(), memory_order_relaxed);
    return own->number;
}

uint32_t neb_thread_number_id(uint16_t number)
{
    const _Atomic uint32_t *id = thread_id_of(number);
    return id == NULL ? 0 : atomic_load_explicit(id, memory_order_relaxed);
}

void neb_check_child(void)
{
    neb_hold.number = 0;
}

static uint32_t stack_at(const struct place *place)
{
    return POLICY_ORIGIN && check_has(CHECK_ORIGIN) ? neb_stack_number(place, neb_check.stack_depth) : 0;
}

/* ---- records ------------------------------------------------------------------------------------------------------------- */

NEB_INLINE enum record_state state_of(const struct cell *cell)
{
    return atomic_load_explicit(cell->state, memory_order_acquire); /* R2 */
}

const char *neb_family_name(enum family family)
{
    static const char *const names[] = {"malloc", "new", "new[]"};
    return family <= FAMILY_NEW_ARRAY ? names[family] : "?";
}

/* There is a byte behind each block that has canaries, so that one less than the slack is what 16 bits hold. */
static size_t slack_least(void)
{
    return check_has(CHECK_CANARY) ? 1 : 0;
}

NEB_INLINE struct block block_of(const struct cell *cell)
{
    struct block block;
    unsigned form = atomic_load_explicit(&cell->record->form, memory_order_relaxed);
    block.state = state_of(cell);
    block.family = form & ((1u << FORM_FAMILY_BITS) - 1);
    block.was_resized = (form & FORM_RESIZED) != 0;
    unsigned log2 = form >> FORM_FRONT_SHIFT;
    block.front = cell->front != NULL ? *cell->front : log2 == 0 ? 0 : (size_t)1 << log2;
    block.slack = cell->slack != NULL ? atomic_load_explicit(cell->slack, memory_order_relaxed)
                                      : (size_t)atomic_load_explicit(&cell->record->slack, memory_order_relaxed) + slack_least();
    block.begin = cell->base + block.front;
    block.size = cell->bytes - block.front - block.slack;
    return block;
}

struct block neb_block_of(const struct cell *cell)
{
    return block_of(cell);
}

NEB_INLINE void slack_set(const struct cell *cell, size_t slack)
{
    if (cell->slack != NULL)
        atomic_store_explicit(cell->slack, slack, memory_order_relaxed);
    else
        atomic_store_explicit(&cell->record->slack, (uint16_t)(slack - slack_least()), memory_order_relaxed);
}

NEB_INLINE void origin_set(const struct cell *cell, const struct place *place)
{
    if (!check_has(CHECK_ORIGIN))
        return;
    atomic_store_explicit(&cell_origin(cell)->alloc_thread, thread_number(), memory_order_relaxed);
    atomic_store_explicit(&cell_origin(cell)->alloc_stack, stack_at(place), memory_order_relaxed);
}

NEB_INLINE void record_set(const struct cell *cell, size_t front, size_t slack, enum family family, const struct place *place)
{
    if (!POLICY_ORIGIN && cell->record == &neb_record_of_none.record)
        return;
    unsigned log2 = front == 0 || cell->front != NULL ? 0 : bits_log2_floor(front);
    if (cell->front != NULL)
        *cell->front = front;
    slack_set(cell, slack);
    atomic_store_explicit(&cell->record->form, (uint8_t)(log2 << FORM_FRONT_SHIFT | family), memory_order_relaxed);
    origin_set(cell, place);
}

/* ---- allocation ------------------------------------------------------------------------------------------------------------- */

static size_t front_canary(size_t front)
{
    return front < CANARY_SLACK_MAX ? front : CANARY_SLACK_MAX;
}

static size_t slack_canary(size_t slack)
{
    return slack < CANARY_SLACK_MAX ? slack : CANARY_SLACK_MAX;
}

/* Only the first granule of a huge block has an entry; a front of a granule or more hides that one. */
NEB_INLINE bool entry_add(const struct cell *cell, unsigned char *begin)
{
    if (cell->kind != CELL_HUGE || ptr_offset(begin, cell->base) < GRANULE_BYTES)
        return true;
    if (!neb_page_map_cover(begin, GRANULE_BYTES))
        return false;
    neb_page_map_fill(begin, 1, page_map_load(cell->base));
    return true;
}

NEB_INLINE void entry_remove(const struct cell *cell, unsigned char *begin)
{
    if (cell->kind == CELL_HUGE && ptr_offset(begin, cell->base) >= GRANULE_BYTES)
        neb_page_map_fill(begin, 1, ENTRY_NONE);
}

NEB_INLINE void contents_set(unsigned char *begin, size_t size, enum content content)
{
    size_t filled = size < FILL_BYTES_MAX ? size : FILL_BYTES_MAX;
    if (content == CONTENT_CLEAR)
        memset(begin, 0, size);
    else if (content == CONTENT_FILL && check_has(CHECK_FILL) && neb_check.fill_alloc != FILL_NOTHING)
        fill_write(begin, filled, neb_check.fill_alloc);
}

NEB_INLINE void canaries_write(unsigned char *begin, size_t size, size_t front, size_t slack)
{
    if (!check_has(CHECK_CANARY))
        return;
    canary_write(begin - front_canary(front), front_canary(front));
    canary_write(begin + size, slack_canary(slack));
}

NEB_INLINE void *dress(const struct cell *cell, size_t size, size_t front, enum family family, enum content content, const struct place *place)
{
    size_t slack = check_has(CHECK_CANARY) ? cell->bytes - front - size : 0;
    unsigned char *begin = cell->base + front;
    if (!entry_add(cell, begin))
        return NULL;
    canaries_write(begin, size, front, slack);
    contents_set(begin, size, content);
    record_set(cell, front, slack, family, place);
    atomic_store_explicit(cell->state, RECORD_LIVE, memory_order_release); /* R2 */
    return begin;
}

static NEB_NOINLINE void *dress_other(void *raw, size_t size, size_t alignment, enum family family, enum content content,
                                      const struct place *place)
{
    struct cell cell;
    if (cell_find(raw, false, &cell) && cell.record != NULL)
        return dress(&cell, size, check_front(alignment), family, content, place);
    contents_set(raw, size, content); /* no room for a record: it stays as the heap gave it */
    return raw;
}

void *neb_check_dress(void *raw, size_t size, size_t alignment, enum family family, enum content content, const struct place *place)
{
    struct cell cell;
    if (!check_has(CHECK_CANARY) || alignment > FRONT_MIN || !cell_find_small(raw, &cell))
        return dress_other(raw, size, alignment, family, content, place);
    return dress(&cell, size, FRONT_MIN, family, content, place);
}

/* ---- canaries --------------------------------------------------------------------------------------------------------------- */

/* Who reports looks for the cell once more, so that elsewhere cells and blocks have no addresses: they stay in registers. */
static NEB_COLD void canaries_report(const void *begin, const char *call)
{
    struct cell cell;
    (void)neb_cell_of(begin, true, &cell);
    struct block block = block_of(&cell);
    size_t count = front_canary(block.front), changed;
    unsigned char *front = block.begin - count, *slack = block.begin + block.size;
    if ((changed = neb_canary_verify(front, count)) != count) {
        neb_report_underflow(call, &cell, count - neb_canary_verify_back(front, count) + 1, count - changed);
        return;
    }
    count = slack_canary(block.slack);
    changed = neb_canary_verify(slack, count);
    neb_report_overflow(call, &cell, changed + 1, neb_canary_verify_back(slack, count));
}

/* Whether all of them are whole; otherwise it is reported. */
NEB_INLINE bool canaries_verify(const struct block *block, const char *call)
{
    size_t front = front_canary(block->front);
    if (!check_has(CHECK_CANARY) || NEB_LIKELY(canary_front_is_whole(block->begin, front) &&
                                               canary_is_whole(block->begin + block->size, slack_canary(block->slack))))
        return true;
    canaries_report(block->begin, call);
    return false;
}

/* ---- in place ------------------------------------------------------------------------------------------------------------- */

void neb_check_let_resize(void *p)
{
    struct cell cell;
    if (!cell_find(p, false, &cell) || cell.record == NULL)
        return;
    unsigned form = atomic_load_explicit(&cell.record->form, memory_order_relaxed);
    atomic_store_explicit(&cell.record->form, (uint8_t)(form | FORM_RESIZED), memory_order_relaxed);
}

/* What a canary is at an address depends on the address alone: those of the old end and of the new one agree where both are. So whoever
 * looks at the canaries meanwhile finds them whole, at the old end or at the new one, but for what the program writes itself. */
static void grow_or_shrink(const struct cell *cell, const struct block *block, size_t size)
{
    size_t slack = cell->bytes - block->front - size;
    canaries_write(block->begin, size, block->front, slack);
    slack_set(cell, slack);
    if (size > block->size)
        contents_set(block->begin + block->size, size - block->size, CONTENT_FILL);
    else if (block->size - size > slack_canary(slack) && check_has(CHECK_FILL) && neb_check.fill_free != FILL_NOTHING)
        memset(block->begin + size + slack_canary(slack), (int)neb_check.fill_free, block->size - size - slack_canary(slack));
}

bool neb_check_resize(void *p, size_t size, const struct place *place)
{
    struct cell cell;
    if (!check_has(CHECK_CANARY) || !cell_find(p, false, &cell) || cell.record == NULL)
        return false;
    struct block block = block_of(&cell);
    size_t room = cell.bytes - block.front - slack_least();
    bool is_too_small = size < block.size && (size < room / 2 || block.size - size > FILL_BYTES_MAX);
    if (!block.was_resized || size > room || is_too_small)
        return false;
    if (!canaries_verify(&block, "realloc"))
        canaries_write(block.begin, block.size, block.front, block.slack);
    grow_or_shrink(&cell, &block, size);
    origin_set(&cell, place);
    return true;
}

/* ---- quarantine ---------------------------------------------------------------------------------------------------------------- */

/* Whether such blocks wait when they are freed. Without a quarantine huge ones do not: they are unmapped. */
NEB_INLINE bool is_to_wait(const struct cell *cell)
{
    return check_has(CHECK_QUARANTINE) || (check_has(CHECK_LARGE) && cell->kind == CELL_LARGE);
}

bool neb_block_is_hidden(const struct cell *cell)
{
    return state_of(cell) == RECORD_HIDDEN;
}

NEB_INLINE bool is_to_hide(const struct cell *cell)
{
    return cell->kind != CELL_SMALL && is_to_wait(cell) && neb_hide_is_due(cell->bytes);
}

NEB_INLINE void contents_spoil(const struct cell *cell, const struct block *block, bool hides)
{
    if (!check_has(CHECK_FILL) || neb_check.fill_free == FILL_NOTHING)
        return;
    if (cell->kind == CELL_SMALL || (check_has(CHECK_QUARANTINE) && !hides))
        fill_write(block->begin, block->size, neb_check.fill_free);
    else if (!check_has(CHECK_QUARANTINE))
        (void)neb_vm_purge(cell->base, cell->bytes);
}

NEB_INLINE bool statement_is_right(const struct check_call *call, const struct block *block, size_t stated, size_t made)
{
    return !check_has(CHECK_ORIGIN) || (call->family == block->family && (!call->has_size || call->size == block->size) &&
                                        ((!call->has_alignment && call->family == FAMILY_MALLOC) || stated == made));
}

void neb_block_check_statement(const void *p, const struct check_call *call, const struct cell *cell, size_t stated, size_t made)
{
    struct block block = block_of(cell);
    if (statement_is_right(call, &block, stated, made))
        return;
    if (call->family != block.family)
        neb_report_family(call->name, p, cell);
    else if (call->has_size && call->size != block.size)
        neb_report_size(call->name, p, cell, call->size);
    else
        neb_report_alignment(call->name, p, cell, call->alignment, made);
}

/* The cell is the caller's, to be given to the heap. Whoever frees its block once more does so for the second time, whatever the state. */
NEB_INLINE void *cell_leave(const struct cell *cell, const struct block *block)
{
    entry_remove(cell, block->begin);
    atomic_store_explicit(cell->state, RECORD_RELEASED, memory_order_release); /* R2; FREED and HIDDEN are this caller's */
    return cell->base;
}

NEB_INLINE size_t quarantine_weight(const struct cell *cell)
{
    size_t hidden = cell->bytes >> HIDDEN_WEIGHT_SHIFT;
    if (cell->kind == CELL_SMALL || !neb_block_is_hidden(cell) || !check_has(CHECK_QUARANTINE))
        return cell->bytes;
    return hidden > HIDDEN_WEIGHT_MIN ? hidden : HIDDEN_WEIGHT_MIN;
}

/* The pages of a hidden block go back, but where only a few large ones wait, and nothing can touch it while it waits. Its place comes
 * before that: it could not be given to the heap if the system refused to show it again. */
NEB_INLINE enum quarantine_answer hidden_put(const struct cell *cell, void *p)
{
    if (check_has(CHECK_QUARANTINE))
        (void)neb_vm_purge(cell->base, cell->bytes);
    if (!neb_quarantine_reserve())
        return QUARANTINE_REFUSES;
    (void)neb_vm_guard(cell->base, cell->bytes);
    atomic_store_explicit(cell->state, RECORD_HIDDEN, memory_order_release); /* R2; FREED is this caller's */
    return neb_quarantine_put(p, quarantine_weight(cell));
}

/* NULL: the thread has no heap of its own now. */
static struct tray *tray_of_thread(void)
{
    struct heap *heap = heap_own();
    if (NEB_UNLIKELY(heap == NULL))
        return NULL;
    if (NEB_UNLIKELY(heap->tray == NULL))
        heap->tray = neb_quarantine_tray();
    return heap->tray;
}

NEB_INLINE enum quarantine_answer quarantine_put(const struct cell *cell, void *p, bool hides)
{
    if (!is_to_wait(cell))
        return QUARANTINE_REFUSES;
    return hides ? hidden_put(cell, p) : neb_quarantine_add(tray_of_thread(), p, quarantine_weight(cell));
}

/* ---- the end of quarantine -------------------------------------------------------------------------------------------------------- */

static NEB_COLD void write_after_free_report(const void *begin, size_t size)
{
    struct cell cell;
    size_t same = neb_fill_verify(begin, size, neb_check.fill_free);
    if (neb_cell_of(begin, true, &cell) && same != size) /* else it is being written at this moment, as it was */
        neb_report_write_after_free(&cell, same);
}

NEB_INLINE void freed_verify(const struct block *block)
{
    if (block->state == RECORD_HIDDEN || !canaries_verify(block, "free"))
        return;
    if (!check_has(CHECK_FILL) || neb_check.fill_free == FILL_NOTHING || !check_has(CHECK_QUARANTINE))
        return;
    if (NEB_UNLIKELY(!fill_is_whole(block->begin, block->size, neb_check.fill_free)))
        write_after_free_report(block->begin, block->size);
}

/* What leaves was not looked at since it was freed, and is in no cache any more. */
static bool leaving_fetch(void *p, struct cell *cell)
{
    enum { LINE_BYTES = 64 };
    if (!cell_find(p, false, cell))
        return false;
    __builtin_prefetch(cell->state);
    __builtin_prefetch(cell->base);
    __builtin_prefetch(cell->base + LINE_BYTES);
    return true;
}

/* p left the quarantine. The cell is to be given to the heap; NULL: the system refuses to show it, and it waits until the system does not. */
static void *quarantine_leave(void *p, const struct cell *cell)
{
    struct block block = block_of(cell);
    freed_verify(&block);
    if (block.state == RECORD_HIDDEN && !neb_vm_unguard(cell->base, cell->bytes)) {
        (void)neb_quarantine_put(p, quarantine_weight(cell));
        return NULL;
    }
    return cell_leave(cell, &block);
}

size_t neb_check_expired(void *raw[QUARANTINE_BATCH], bool any)
{
    struct cell cell[QUARANTINE_BATCH];
    size_t count = neb_quarantine_take(raw, QUARANTINE_BATCH, any), found = 0, left = 0;
    for (size_t i = 0; i < count; i++)
        if (leaving_fetch(raw[i], &cell[found]))
            raw[found++] = raw[i];
    for (size_t i = 0; i < found; i++) {
        void *base = quarantine_leave(raw[i], &cell[i]);
        if (base != NULL)
            raw[left++] = base;
    }
    if (count != 0)
        neb_quarantine_leave(count - found + left);
    return left;
}

size_t neb_check_waiting(void)
{
    return neb_quarantine_gather();
}

/* ---- free ---------------------------------------------------------------------------------------------------------------------- */

/* LIVE -> FREED by exactly one of several. */
NEB_INLINE bool state_free(const struct cell *cell)
{
    uint8_t live = RECORD_LIVE;
    return atomic_compare_exchange_strong_explicit(cell->state, &live, RECORD_FREED, memory_order_acq_rel, /* K1 */
                                                   memory_order_relaxed);
}

static NEB_COLD void refusal_report(const void *p, const char *call)
{
    struct cell cell;
    (void)neb_cell_of(p, true, &cell);
    if (p != block_of(&cell).begin)
        neb_report_inside(call, p, &cell);
    else
        neb_report_double_free(call, p, &cell);
}

/* A copy of the call, so that those that are right have no address. */
static NEB_COLD void statement_report(const void *p, struct check_call call)
{
    struct cell cell;
    (void)neb_cell_of(p, true, &cell);
    neb_block_check_statement(p, &call, &cell, check_front(call.alignment), block_of(&cell).front);
}

NEB_INLINE enum check_answer release(const struct cell *cell, void *p, const struct check_call *call, void **raw)
{
    __builtin_prefetch(cell->state); /* it is in no cache, and the stack is not its business */
    uint32_t stack = stack_at(call->place);
    struct block block = block_of(cell);
    if (NEB_UNLIKELY(block.state == RECORD_NONE))
        return CHECK_UNDRESSED;
    if (NEB_UNLIKELY(p != block.begin || !state_free(cell))) {
        refusal_report(p, call->name);
        return CHECK_DONE;
    }
    if (check_has(CHECK_ORIGIN)) {
        atomic_store_explicit(&cell_origin(cell)->free_thread, thread_number(), memory_order_relaxed);
        atomic_store_explicit(&cell_origin(cell)->free_stack, stack, memory_order_relaxed);
    }
    if (!statement_is_right(call, &block, check_front(call->alignment), block.front))
        statement_report(p, *call);
    if (!canaries_verify(&block, call->name)) /* the process goes on: said once is enough */
        canaries_write(block.begin, block.size, block.front, block.slack);
    bool hides = is_to_hide(cell);
    contents_spoil(cell, &block, hides);
    switch (quarantine_put(cell, p, hides)) {
    case QUARANTINE_HOLDS:
        return CHECK_DONE;
    case QUARANTINE_IS_TOO_MUCH:
        return CHECK_TIDY;
    case QUARANTINE_REFUSES:
        break;
    }
    *raw = cell_leave(cell, &block);
    return CHECK_GIVE;
}

enum check_answer neb_check_release(void *p, const struct check_call *call, void **raw)
{
    struct cell cell;
    return cell_find(p, true, &cell) && cell.record != NULL ? release(&cell, p, call, raw) : CHECK_UNDRESSED;
}

enum check_answer neb_check_release_small(void *p, const struct place *place, void **raw)
{
    struct cell cell;
    return cell_find_small(p, &cell) ? release(&cell, p, &(struct check_call){.name = "free", .place = place}, raw) : CHECK_UNDRESSED;
}

/* ---- questions -------------------------------------------------------------------------------------------------------------------- */

bool neb_check_knows(const void *p)
{
    struct cell cell;
    return cell_find(p, true, &cell) && cell.record != NULL && state_of(&cell) != RECORD_NONE;
}

bool neb_block_size(const void *p, const struct cell *cell, const char *call, size_t *size)
{
    struct block block = block_of(cell);
    *size = block.size;
    if (p != block.begin)
        neb_report_inside(call, p, cell);
    else if (block.state != RECORD_LIVE)
        neb_report_freed_used(call, p, cell);
    else
        return true;
    return false;
}

bool neb_check_size(const void *p, const char *call, size_t *size)
{
    struct cell cell;
    return cell_find(p, true, &cell) && cell.record != NULL && state_of(&cell) != RECORD_NONE &&
           neb_block_size(p, &cell, call, size);
}

bool neb_check_view(void *raw, void **begin, size_t *size)
{
    struct cell cell;
    if (!cell_find(raw, false, &cell) || cell.record == NULL)
        return true;
    struct block block = block_of(&cell);
    if (block.state == RECORD_LIVE) {
        *begin = block.begin;
        *size = block.size;
    }
    return block.state == RECORD_LIVE || block.state == RECORD_NONE;
}

/* ---- begin and end ------------------------------------------------------------------------------------------------------------------ */

void neb_check_enable(const struct check_options *options)
{
    neb_canary_init(options->random_canaries);
    neb_quarantine_init(options->quarantine_bytes);
    if (POLICY_ORIGIN)
        neb_stack_enable();
    neb_check = *options;
    neb_records_enable(check_is_of_states() ? RECORDS_STATES : RECORDS_WHOLE);
}

/* Blocks in use; those in quarantine are verified by draining it. */
static void live_verify(void *argument, const struct cell *cell)
{
    (void)argument;
    if (cell->record == NULL || state_of(cell) != RECORD_LIVE)
        return;
    struct block block = block_of(cell);
    if (block.state == RECORD_LIVE)
        (void)canaries_verify(&block, "exit");
}

void neb_check_finish(void)
{
    neb_cells_walk(live_verify, NULL);
}
