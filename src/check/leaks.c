/* leaks.c - see leaks.h. What looks runs in the copy, alone, and no lock is anybody's there.
 *
 * A record's state, which is nobody's in the copy, says how far its block has come:
 *
 *   LIVE --a root or a reached block points into it--> REACHED
 *   LIVE --nobody did--> HEAD --another lost block points into it--> CARRIED --counted with the head that reaches it--> COUNTED
 *
 * Invariant  every lost block is a head or carried, and every carried one is reached from a head */
#include "check/leaks.h"

#include "base/attr.h"
#include "base/bits.h"
#include "base/ptr.h"
#include "base/sort.h"
#include "check/block.h"
#include "check/guard.h"
#include "check/quarantine.h"
#include "check/report.h"
#include "check/spans.h"
#include "check/stack.h"
#include "heap/heap.h"
#include "os/env.h"
#include "os/lock.h"
#include "os/maps.h"
#include "os/snapshot.h"
#include "os/thread.h"
#include "os/vm.h"
#include "policy/policy.h"
#include <string.h>

enum { REACHED = RECORD_RELEASED + 1, HEAD, CARRIED, COUNTED };
enum { PIECE_BYTES = 65536, DIRECT_MAX = 4096 /* no page of a block below that can be out of reach for itself */ };
enum { SPANS_OTHER = 64 };

struct stretch {
    const unsigned char *begin;
    size_t size;
};

struct look {
    /* of the blocks */
    size_t live, huge_count, chunk_count;
    uintptr_t chunk;      /* the newest one's address */
    uintptr_t low, high;  /* all lie between them */
    struct spans heap;    /* where they are: a word becomes a pointer by its distance from the base of one of these */
    struct spans skipped; /* what is no root: blocks, and what this library remembers of them */
    /* the flood */
    unsigned taken, becomes; /* states, as bits; what they become */
    const struct cell_record *source;
    struct stretch *todo;
    size_t todo_count;
    size_t reached_blocks, reached_bytes;
    /* the rest */
    struct os_memory memory;
    unsigned char *piece;
    const struct os_snapshot *snapshot;
    struct leak *leak; /* by the number of the stack, open addressing; blocks 0: empty */
    size_t leak_capacity;
    size_t head_count;
};

/* ---- cells --------------------------------------------------------------------------------------------------------------- */

static unsigned state_of(const struct cell *cell)
{
    return atomic_load_explicit(cell->state, memory_order_relaxed);
}

static void state_set(const struct cell *cell, unsigned state)
{
    atomic_store_explicit(cell->state, (uint8_t)state, memory_order_relaxed);
}

static void cells_walk(struct look *look, void (*visit)(void *argument, const struct cell *cell))
{
    neb_cells_walk(visit, look);
    neb_guard_cells_walk(visit, look);
}

static bool is_heap_chunk(const struct cell *cell)
{
    return cell->kind != CELL_HUGE;
}

static void cell_count(void *argument, const struct cell *cell)
{
    struct look *look = argument;
    uintptr_t start = ptr_address(cell->base), chunk = start & ~(CHUNK_BYTES - 1);
    if (cell->record == NULL)
        return;
    look->live += state_of(cell) == RECORD_LIVE;
    look->huge_count += cell->kind == CELL_HUGE;
    look->chunk_count += is_heap_chunk(cell) && chunk != look->chunk;
    if (is_heap_chunk(cell))
        look->chunk = chunk;
    if (start < look->low)
        look->low = start;
    if (start + cell->bytes > look->high)
        look->high = start + cell->bytes;
}

/* Chunks are walked one after the other. */
static void cell_span(void *argument, const struct cell *cell)
{
    struct look *look = argument;
    size_t inside = ptr_address(cell->base) & (CHUNK_BYTES - 1);
    uintptr_t chunk = ptr_address(cell->base) - inside;
    if (cell->record == NULL)
        return;
    if (!is_heap_chunk(cell)) {
        neb_spans_add(&look->heap, cell->base, cell->bytes);
    } else if (chunk != look->chunk) {
        look->chunk = chunk;
        neb_spans_add(&look->heap, cell->base - inside, CHUNK_BYTES);
    }
}

/* The cell that an address is in. Of huge blocks only the first granule is in the page map. */
static bool cell_at(const struct look *look, uintptr_t address, struct cell *cell)
{
    const struct span *span = neb_spans_at(&look->heap, address);
    if (span == NULL || span->start > address)
        return false;
    const void *p = ptr_add(span->base, address - span->start);
    return neb_guard_cell_near(p, cell) || ((neb_cell_of(p, false, cell) || neb_cell_of(span->base, false, cell)) && cell->record != NULL);
}

/* ---- the flood ------------------------------------------------------------------------------------------------------------ */

static bool is_inside(const struct block *block, uintptr_t address)
{
    size_t offset = address - ptr_address(block->begin);
    return offset == 0 || offset < block->size;
}

/* A head was flooded from when it became one. */
static void reach(struct look *look, uintptr_t address)
{
    struct cell cell;
    if (!cell_at(look, address, &cell) || (look->taken >> state_of(&cell) & 1) == 0 || cell.record == look->source)
        return;
    struct block block = neb_block_of(&cell);
    if (!is_inside(&block, address))
        return;
    if (state_of(&cell) != HEAD)
        look->todo[look->todo_count++] = (struct stretch){block.begin, block.size};
    state_set(&cell, look->becomes);
    look->reached_blocks++;
    look->reached_bytes += block.size;
}

/* Pointers stand at multiples of their size. */
static void words_scan(struct look *look, const unsigned char *bytes, size_t count)
{
    for (size_t at = 0; at + sizeof(uintptr_t) <= count; at += sizeof(uintptr_t)) {
        uintptr_t word;
        memcpy(&word, bytes + at, sizeof word);
        if (word - look->low < look->high - look->low)
            reach(look, word);
    }
}

static void stretch_scan(struct look *look, uintptr_t start, uintptr_t end)
{
    while (start < end) {
        size_t wanted = end - start < PIECE_BYTES ? end - start : PIECE_BYTES;
        size_t got = neb_os_memory_read(&look->memory, start, look->piece, wanted);
        words_scan(look, look->piece, got);
        start = got == wanted ? start + got : (start + got) / neb_vm_page_size() * neb_vm_page_size() + neb_vm_page_size();
    }
}

/* The pages that there are. */
static void pages_scan(struct look *look, bool is_shared, uintptr_t start, uintptr_t end)
{
    while (start < end) {
        struct os_stretch there = neb_os_memory_pages(&look->memory, is_shared, start, end);
        stretch_scan(look, there.start, there.end);
        start = there.end;
    }
}

static void content_scan(struct look *look, const unsigned char *begin, size_t size)
{
    size_t gap = (size_t)(0 - ptr_address(begin)) & (sizeof(void *) - 1);
    if (size <= gap)
        return;
    if (size < DIRECT_MAX)
        words_scan(look, begin + gap, size - gap);
    else
        pages_scan(look, false, ptr_address(begin) + gap, ptr_address(begin) + size);
}

static void flood(struct look *look)
{
    while (look->todo_count > 0) {
        struct stretch stretch = look->todo[--look->todo_count];
        content_scan(look, stretch.begin, stretch.size);
    }
}

/* ---- stacks of threads that ended ------------------------------------------------------------------------------------------
 *
 * The C library keeps them for threads to come, and what ended threads left there would keep what they lost. A thread's
 * number stands in its thread-local storage, at the top of its stack: as long as it does, no other thread has the stack, nor has
 * anybody else the memory. */

struct ended {
    _Atomic uintptr_t number_at, self;
    _Atomic uint32_t number;
};

enum { ENDED_MAX = 1024 };
static struct ended ended[ENDED_MAX];
static size_t tls_bytes; /* of any thread, below its descriptor */

static uintptr_t get(const _Atomic uintptr_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

/* The thread's end. Two that meet in a place: the numbers tell that it is of no use. */
static void thread_note(void)
{
    uintptr_t at = ptr_address(&neb_hold.number);
    if (neb_hold.number == 0) /* one of too many */
        return;
    struct ended *one = &ended[(at >> 12) * UINT64_C(0x9E3779B97F4A7C15) >> 32 & (ENDED_MAX - 1)];
    atomic_store_explicit(&one->number, neb_hold.number, memory_order_relaxed);
    atomic_store_explicit(&one->self, neb_thread_self(), memory_order_relaxed);
    atomic_store_explicit(&one->number_at, at, memory_order_relaxed);
}

void neb_leaks_begin(void)
{
    neb_thread_watch_last(thread_note);
}

/* Where the stack of an ended thread ends that begins with the mapping, and its thread-local storage and descriptor stand, which the C
 * library goes on with; the mapping's start: there is none. */
static uintptr_t ended_top(const struct look *look, const struct os_map_entry *entry)
{
    for (size_t i = 0; i < ENDED_MAX; i++) {
        uintptr_t at = get(&ended[i].number_at);
        uint16_t number = 0;
        if (at >= entry->start && at < entry->end && neb_os_memory_read(&look->memory, at, &number, sizeof number) == sizeof number &&
            number == atomic_load_explicit(&ended[i].number, memory_order_relaxed))
            return get(&ended[i].self) - tls_bytes;
    }
    return entry->start;
}

/* ---- roots ----------------------------------------------------------------------------------------------------------------- */

struct roots {
    struct look *look;
    uintptr_t previous_end;
    bool previous_is_guard;
};

/* Of a mapping that begins with a stack: what is in use. */
static uintptr_t stack_begin(const struct look *look, const struct os_map_entry *entry)
{
    uintptr_t begin = entry->end;
    for (const struct os_standing *one = look->snapshot->standing; one != NULL; one = one->next) {
        if (one->stack >= entry->start && one->stack < begin)
            begin = one->stack;
        if (one->context >= entry->start && one->context < begin)
            begin = one->context;
    }
    return (begin == entry->end ? ended_top(look, entry) : begin) & ~(sizeof(void *) - 1);
}

static void range_scan(struct look *look, uintptr_t start, uintptr_t end, bool is_shared)
{
    while (start < end) {
        const struct span *skipped = neb_spans_at(&look->skipped, start);
        uintptr_t until = skipped == NULL || skipped->start > end ? end : skipped->start;
        if (start < until)
            pages_scan(look, is_shared, start, until);
        start = until < end ? skipped->end : end;
        flood(look);
    }
}

/* Shared memory is a root, but not devices, nor files that may be larger than memory. */
static bool may_hold_pointers(const struct os_map_entry *entry)
{
    static const char *const memory[] = {"/dev/zero", "/dev/shm/", "/memfd:", "/SYSV"};
    if (!entry->readable || entry->name[0] == '[')
        return entry->readable && strncmp(entry->name, "[v", 2) != 0;
    if (!entry->is_shared)
        return strncmp(entry->name, "/dev/", 5) != 0 || strcmp(entry->name, "/dev/zero") == 0;
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        if (strncmp(entry->name, memory[i], strlen(memory[i])) == 0)
            return entry->writable;
    return entry->name[0] == '\0';
}

static bool mapping_scan(void *argument, const struct os_map_entry *entry)
{
    struct roots *roots = argument;
    bool has_guard = roots->previous_is_guard && roots->previous_end == entry->start;
    uintptr_t start = entry->start;
    if (has_guard || strcmp(entry->name, "[stack]") == 0)
        start = stack_begin(roots->look, entry);
    if (may_hold_pointers(entry))
        range_scan(roots->look, start, entry->end, entry->is_shared);
    roots->previous_end = entry->end;
    roots->previous_is_guard = !entry->readable && !entry->writable;
    return true;
}

/* Blocks from before there were records: nobody knows whether they are in use. */
static void unknown_scan(void *argument, const struct cell *cell)
{
    struct look *look = argument;
    if (cell->record != NULL && state_of(cell) == RECORD_NONE) {
        content_scan(look, cell->base, cell->bytes);
        flood(look);
    }
}

static void standing_reach(struct look *look)
{
    for (const struct os_standing *one = look->snapshot->standing; one != NULL; one = one->next)
        content_scan(look, (const unsigned char *)one, sizeof *one); /* stacks that are blocks themselves */
    flood(look);
}

/* ---- what was lost --------------------------------------------------------------------------------------------------------- */

static void flood_from(struct look *look, const struct cell *cell, unsigned taken, unsigned becomes)
{
    struct block block = neb_block_of(cell);
    look->taken = taken;
    look->becomes = becomes;
    look->source = cell->record;
    look->reached_blocks = look->reached_bytes = 0;
    content_scan(look, block.begin, block.size);
    flood(look);
}

static void head_make(void *argument, const struct cell *cell)
{
    struct look *look = argument;
    if (cell->record == NULL || state_of(cell) != RECORD_LIVE)
        return;
    state_set(cell, HEAD);
    look->head_count++;
    flood_from(look, cell, 1u << RECORD_LIVE | 1u << HEAD, CARRIED);
}

static struct leak *leak_of(struct look *look, uint32_t stack)
{
    size_t at = stack * UINT64_C(0x9E3779B97F4A7C15) >> 32 & (look->leak_capacity - 1);
    while (look->leak[at].blocks != 0 && atomic_load_explicit(&cell_origin(&look->leak[at].sample)->alloc_stack, memory_order_relaxed) != stack)
        at = (at + 1) & (look->leak_capacity - 1);
    return &look->leak[at];
}

static void head_count(void *argument, const struct cell *cell)
{
    struct look *look = argument;
    if (cell->record == NULL || state_of(cell) != HEAD)
        return;
    struct leak *leak = leak_of(look, atomic_load_explicit(&cell_origin(cell)->alloc_stack, memory_order_relaxed));
    if (leak->blocks == 0)
        leak->sample = *cell;
    leak->blocks++;
    leak->bytes += neb_block_of(cell).size;
    flood_from(look, cell, 1u << CARRIED, COUNTED);
    leak->carried_blocks += look->reached_blocks;
    leak->carried_bytes += look->reached_bytes;
}

static bool is_larger(const void *a, const void *b)
{
    const struct leak *one = a, *other = b;
    return one->bytes + one->carried_bytes > other->bytes + other->carried_bytes;
}

/* The table becomes a list. Reports show blocks as they are: in use. */
static size_t leaks_sort(struct look *look)
{
    size_t count = 0;
    for (size_t at = 0; at < look->leak_capacity; at++)
        if (look->leak[at].blocks != 0)
            look->leak[count++] = look->leak[at];
    for (size_t i = 0; i < count; i++)
        state_set(&look->leak[i].sample, RECORD_LIVE);
    neb_sort(look->leak, count, sizeof *look->leak, is_larger);
    return count;
}

/* ---- the whole ---------------------------------------------------------------------------------------------------------------- */

static void *memory_take(struct look *look, size_t count, size_t bytes)
{
    size_t all = size_align_up(count * bytes + 1, neb_vm_page_size());
    void *memory = neb_vm_map(all);
    if (memory != NULL)
        neb_spans_add(&look->skipped, memory, all);
    return memory;
}

static bool spans_make(struct look *look)
{
    size_t heaps = neb_heap_id_bound();
    look->heap.capacity = look->chunk_count + look->huge_count + 1;
    look->skipped.capacity = look->heap.capacity + 2 * heaps + SPANS_OTHER; /* each heap has a tray and known stacks */
    size_t bytes = size_align_up(look->skipped.capacity * sizeof(struct span), neb_vm_page_size());
    look->skipped.span = neb_vm_map(bytes);
    if (look->skipped.span == NULL)
        return false;
    neb_spans_add(&look->skipped, look->skipped.span, bytes);
    look->heap.span = memory_take(look, look->heap.capacity, sizeof(struct span));
    if (look->heap.span == NULL)
        return false;
    look->chunk = 0;
    neb_cells_walk(cell_span, look);
    neb_guard_span(&look->heap);
    for (size_t i = 0; i < look->heap.count; i++)
        neb_spans_add(&look->skipped, look->heap.span[i].base, look->heap.span[i].end - look->heap.span[i].start);
    neb_guard_record_spans(&look->skipped);
    neb_quarantine_spans(&look->skipped);
    for (uint32_t id = 0; id < heaps; id++)
        neb_stack_spans(neb_heap_by_id(id), &look->skipped);
    return true;
}

static bool look_begin(struct look *look, const struct os_memory *prepared, const struct os_snapshot *snapshot)
{
    memset(look, 0, sizeof *look);
    look->memory = *prepared;
    look->snapshot = snapshot;
    look->low = UINTPTR_MAX;
    cells_walk(look, cell_count);
    if (look->live == 0 || !neb_os_memory_open(&look->memory) || !spans_make(look))
        return false;
    look->todo = memory_take(look, look->live, sizeof *look->todo);
    look->piece = memory_take(look, 1, PIECE_BYTES);
    neb_spans_sort(&look->skipped);
    neb_spans_sort(&look->heap);
    return look->todo != NULL && look->piece != NULL;
}

static bool lost_find(struct look *look)
{
    struct roots roots = {look, 0, false};
    look->taken = 1u << RECORD_LIVE;
    look->becomes = REACHED;
    standing_reach(look);
    cells_walk(look, unknown_scan);
    (void)neb_os_maps_walk(mapping_scan, &roots);
    if (roots.previous_end == 0) /* not one mapping: everything would look lost */
        return false;
    cells_walk(look, head_make);
    look->leak_capacity = (size_t)1 << bits_log2_ceil(2 * look->head_count + 2);
    look->leak = memory_take(look, look->leak_capacity, sizeof *look->leak);
    return look->leak != NULL;
}

static int copy_look(void *argument, const struct os_snapshot *snapshot)
{
    struct look look;
    neb_locks_reset_all();
    if (!look_begin(&look, argument, snapshot) || !lost_find(&look))
        return look.live == 0 ? LEAKS_NONE : LEAKS_UNKNOWN;
    if (look.head_count == 0)
        return LEAKS_NONE;
    cells_walk(&look, head_count);
    size_t count = leaks_sort(&look);
    return neb_report_leaks(look.leak, count, snapshot->unasked) ? LEAKS_SAID : LEAKS_NONE;
}

static NEB_NOINLINE enum leaks process_look(void)
{
    struct os_memory memory;
    neb_os_memory_prepare(&memory);
    neb_locks_take_all();
    int answer = neb_os_snapshot(copy_look, &memory);
    neb_locks_give_all();
    neb_os_memory_close(&memory);
    if (answer >= 0 && answer != LEAKS_UNKNOWN)
        return (enum leaks)answer;
    neb_os_complain(answer == SNAPSHOT_REFUSED ? "leaks: the system refuses a copy of the process; nobody looked for them"
                                               : "leaks: the copy of the process could not be looked through; nothing is known of them");
    return LEAKS_UNKNOWN;
}

/* What calls of ours left below would stand in the gaps of the frames to come, and keep lost blocks. */
static NEB_NOINLINE void stack_clean(void)
{
    unsigned char below[16384];
    memset(below, 0, sizeof below);
    __asm__ volatile("" : : "r"(below) : "memory");
}

enum leaks neb_leaks_look(void)
{
    tls_bytes = neb_thread_tls_bytes();
    stack_clean();
    return process_look();
}
