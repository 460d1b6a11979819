/* lane.c - see lane.h. */
#include "trace/lane.h"

#include "base/bits.h"
#include "heap/meta.h"
#include "os/clock.h"
#include "os/env.h"
#include "os/lock.h"
#include "os/process.h"
#include "os/thread.h"
#include "os/worker.h"
#include "trace/output.h"
#include "trace/state.h"
#include "trace/varint.h"
#include <string.h>

enum { SHARED_ID = 0, EVENT_BYTES_MAX = 6 * VARINT_BYTES_MAX, WAIT_MS_MAX = 1000 };

_Thread_local struct lane *neb_lane_own __attribute__((tls_model("initial-exec")));

static struct lane shared_lane = {.id = SHARED_ID, .watch = LANE_NOT_BEGUN, .is_shared = 1};
static struct lane *_Atomic by_id[LANES_MAX + 1] = {&shared_lane}; /* lanes are never unmapped */
static struct lane *_Atomic all = &shared_lane; /* written under LOCK_TRACE_LANES */
static struct lane *unused;      /* LOCK_TRACE_LANES */
static uint32_t lane_count;      /* LOCK_TRACE_LANES; the next id */
static uint32_t begun_count;     /* LOCK_TRACE_LANES; lanes of this session */
static struct output_stream threads = {.kind = NBT_THREADS}, marks = {.kind = NBT_MARKS};

static struct trace_state *state(void)
{
    return &neb_trace_page.state;
}

static uint64_t now_ns(void)
{
    return atomic_load_explicit(&state()->now_ns, memory_order_relaxed);
}

struct lane *neb_lane_by_id(uint32_t id)
{
    return atomic_load_explicit(&by_id[id], memory_order_acquire);
}

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed); /* statistics order nothing */
}

/* ---- threads on lanes ---------------------------------------------------------------------------------------------------- */

enum thread_operation { THREAD_BEGINS = 1, THREAD_ENDS = 2, THREAD_COUNTS = 4 };

static unsigned char *count_put(unsigned char *at, const _Atomic uint64_t *now, const _Atomic uint64_t *before)
{
    return varint_put(at, get(now) - get(before));
}

static unsigned char *counts_put(unsigned char *at, const struct lane_counts *now, const struct lane_counts *before)
{
    at = count_put(at, &now->allocs, &before->allocs);
    at = count_put(at, &now->alloc_bytes, &before->alloc_bytes);
    at = count_put(at, &now->frees, &before->frees);
    at = count_put(at, &now->freed_bytes, &before->freed_bytes);
    return count_put(at, &now->frees_remote, &before->frees_remote);
}

/* LOCK_TRACE_LANES is held. */
static void thread_write(const struct lane *lane, enum thread_operation operation)
{
    unsigned char record[8 * VARINT_BYTES_MAX], framed[9 * VARINT_BYTES_MAX], *at = record;
    char name[16];
    at = varint_put(at, operation);
    at = varint_put(at, lane->id);
    at = varint_put(at, now_ns());
    if (operation == THREAD_BEGINS) {
        neb_os_thread_name(name);
        at = varint_put(at, lane->is_shared ? 0 : neb_os_thread_id());
        at = bytes_put(at, lane->is_shared ? "(late)" : name, strlen(lane->is_shared ? "(late)" : name));
    } else if (operation == THREAD_COUNTS) {
        at = counts_put(at, &lane->counts, &lane->before);
    }
    size_t bytes = (size_t)(at - record);
    (void)neb_output_append(&threads, framed, (size_t)(bytes_put(framed, record, bytes) - framed));
}

/* The thread has the lane from now on. LOCK_TRACE_LANES is held. */
static void thread_begin(struct lane *lane)
{
    thread_write(lane, THREAD_BEGINS);
    memcpy(&lane->before, &lane->counts, sizeof lane->before); /* nobody counts meanwhile */
    lane->has_thread = true;
}

/* Who reads the events of mode trace counts them itself; mode sample knows only of samples. LOCK_TRACE_LANES is held. */
static void thread_count(struct lane *lane)
{
    const struct nbt_file *file = neb_output_first();
    if (lane->has_thread && file != NULL && file->mode == NBT_MODE_PROFILE)
        thread_write(lane, THREAD_COUNTS);
    lane->has_thread = false;
}

static struct lane *lane_make_locked(void)
{
    struct lane *lane = unused;
    if (lane != NULL) {
        unused = lane->next_unused;
        return lane;
    }
    if (lane_count == LANES_MAX || (lane = neb_meta_take(sizeof *lane, 64)) == NULL)
        return NULL;
    lane->id = ++lane_count;
    lane->watch = LANE_NOT_BEGUN;
    lane->next = atomic_load_explicit(&all, memory_order_relaxed); /* lock held */
    atomic_store_explicit(&by_id[lane->id], lane, memory_order_release); /* before any block names it */
    atomic_store_explicit(&all, lane, memory_order_release); /* whoever sums finds it whole */
    return lane;
}

/* From the second lane of a session on, what lanes share is counted with atomic operations: the first one must not be
 * in the middle of a change when that begins. */
static void sharing_begin_locked(const struct lane *except)
{
    if (++begun_count != 2)
        return;
    atomic_store_explicit(&state()->is_shared, 1, memory_order_relaxed); /* the barrier publishes it */
    bool passed = neb_os_barrier_all();
    for (unsigned ms = 0; ms < WAIT_MS_MAX; ms++) {
        bool busy = false;
        for (const struct lane *lane = atomic_load_explicit(&all, memory_order_relaxed); lane != NULL; lane = lane->next)
            busy |= lane != except && atomic_load_explicit(&lane->busy, memory_order_acquire) != 0;
        if (!busy && (passed || ms > 0))
            return;
        neb_os_sleep_ms(1);
    }
}

static void counts_clear(struct lane_counts *counts)
{
    memset(counts, 0, sizeof *counts);
}

/* The lane's first call in this session: all is new. False: the session is over. */
static NEB_COLD bool lane_begin(struct lane *lane)
{
    neb_lock_take(&neb_locks[LOCK_TRACE_LANES]);
    uint32_t watch = trace_watch();
    if (watch_mode(watch) == NBT_MODE_OFF) {
        neb_lock_give(&neb_locks[LOCK_TRACE_LANES]);
        return false;
    }
    lane->chunk = NULL;
    lane->at = lane->end = NULL;
    lane->chunk_bytes = LANE_CHUNK_BYTES_FIRST;
    lane->until_pulse = PULSE_EVENTS;
    lane->random = neb_clock_ns() ^ (uint64_t)lane->id << 48;
    lane->epoch = atomic_load_explicit(&state()->epoch, memory_order_relaxed);
    lane->time_ns = now_ns();
    lane->dropped_told = 0;
    counts_clear(&lane->counts);
    lane->session = watch >> 8;
    lane->watch = watch;
    thread_begin(lane);
    sharing_begin_locked(lane);
    neb_lock_give(&neb_locks[LOCK_TRACE_LANES]);
    return true;
}

static NEB_COLD struct lane *lane_take(void)
{
    if (neb_hold.lane_ended) {
        neb_lock_take(&neb_locks[LOCK_TRACE_SHARED]);
        return &shared_lane;
    }
    neb_lock_take(&neb_locks[LOCK_TRACE_LANES]);
    struct lane *lane = lane_make_locked();
    if (lane != NULL && lane->session == atomic_load_explicit(&state()->session, memory_order_relaxed))
        thread_begin(lane); /* it was another thread's in this session */
    neb_lock_give(&neb_locks[LOCK_TRACE_LANES]);
    if (lane != NULL)
        atomic_store_explicit(&lane->busy, 1, memory_order_relaxed); /* before a signal handler can find it */
    atomic_signal_fence(memory_order_seq_cst);
    neb_lane_own = lane;
    if (lane != NULL)
        (void)neb_thread_watch(); /* refused: the lane stays with it when the thread ends */
    return lane;
}

/* The lane of a thread that had none, or the shared one, which the thread then is busy with. */
static struct lane *lane_find(void)
{
    if (atomic_load_explicit(&neb_hold.lane_busy, memory_order_relaxed) != 0) /* a signal came */
        return neb_lane_dropped();
    atomic_store_explicit(&neb_hold.lane_busy, 1, memory_order_relaxed);
    struct lane *lane = lane_take();
    if (lane == NULL || !lane->is_shared)
        atomic_store_explicit(&neb_hold.lane_busy, 0, memory_order_relaxed);
    return lane;
}

static struct lane *lane_enter_new(void)
{
    struct lane *lane = neb_lane_own;
    if (lane == NULL && (lane = lane_find()) == NULL)
        return NULL;
    atomic_store_explicit(&lane->busy, 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst); /* A1 */
    uint32_t watch = trace_watch();
    bool is_on = watch_mode(watch) != NBT_MODE_OFF;
    if (is_on && lane->session == watch >> 8) {
        lane->watch = watch;
    } else if (!is_on || !lane_begin(lane)) {
        lane_leave(lane);
        return NULL;
    }
    return lane;
}

struct lane *neb_lane_enter_slow(void)
{
    int saved = neb_os_error();
    struct lane *lane = lane_enter_new();
    neb_os_set_error(saved);
    return lane;
}

struct lane *neb_lane_dropped(void)
{
    if (neb_lane_own != NULL) /* not by a plain store: the call that this one interrupted may be counting, too */
        atomic_fetch_add_explicit(&neb_lane_own->counts.dropped, 1, memory_order_relaxed);
    return NULL;
}

void neb_lane_leave_shared(void)
{
    neb_lock_give(&neb_locks[LOCK_TRACE_SHARED]);
    atomic_store_explicit(&neb_hold.lane_busy, 0, memory_order_relaxed);
}

void neb_lane_end(void)
{
    struct lane *lane = neb_lane_own;
    neb_hold.lane_ended = true;
    if (lane == NULL)
        return;
    atomic_store_explicit(&neb_hold.lane_busy, 1, memory_order_relaxed); /* signal handlers: no more of this lane */
    neb_lane_own = NULL;
    neb_lock_take(&neb_locks[LOCK_TRACE_LANES]);
    if (trace_mode() != NBT_MODE_OFF && lane->session == atomic_load_explicit(&state()->session, memory_order_relaxed)) {
        thread_count(lane);
        thread_write(lane, THREAD_ENDS);
    }
    neb_capture_forget(&lane->stacks);
    lane->next_unused = unused;
    unused = lane;
    neb_lock_give(&neb_locks[LOCK_TRACE_LANES]);
    atomic_store_explicit(&neb_hold.lane_busy, 0, memory_order_relaxed);
}

/* ---- events -------------------------------------------------------------------------------------------------------------- */

/* The lane knows of the chunk no longer than it is mapped: a fork may come at any moment, and its child unmaps what lanes
 * know of. */
static void chunk_seal(struct lane *lane)
{
    struct nbt_chunk *chunk = lane->chunk;
    lane->chunk = NULL;
    atomic_signal_fence(memory_order_seq_cst);
    if (chunk != NULL)
        neb_output_seal(chunk);
}

/* Each chunk stands alone. */
static bool chunk_renew(struct lane *lane)
{
    chunk_seal(lane);
    lane->epoch = atomic_load_explicit(&state()->epoch, memory_order_relaxed);
    lane->chunk = neb_output_begin(NBT_EVENTS, lane->chunk_bytes, lane->id, lane_number(lane), lane->epoch);
    lane->at = lane->end = NULL;
    if (lane->chunk == NULL)
        return false;
    lane->time_ns = lane->chunk->time_ns;
    lane->at = neb_output_payload(lane->chunk);
    lane->end = lane->at + neb_output_room(lane->chunk);
    if (lane->chunk_bytes < LANE_CHUNK_BYTES_MAX)
        lane->chunk_bytes *= 4;
    lane->stack = 0;
    lane->remote_number = 0;
    memset(lane->size, 0, sizeof lane->size);
    return true;
}

static uint64_t code(enum nbt_event event, uint64_t value)
{
    return value << 2 | event;
}

static void stamp_put(struct lane *lane, uint64_t epoch)
{
    uint64_t now = now_ns();
    if (now < lane->time_ns)
        now = lane->time_ns;
    lane->at = varint_put(lane->at, code(NBT_OTHER, NBT_STAMP));
    lane->at = varint_put(lane->at, epoch - lane->epoch);
    lane->at = varint_put(lane->at, now - lane->time_ns);
    lane->epoch = epoch;
    lane->time_ns = now;
}

static void dropped_put(struct lane *lane, uint64_t dropped)
{
    lane->at = varint_put(lane->at, code(NBT_OTHER, NBT_DROPPED));
    lane->at = varint_put(lane->at, dropped - lane->dropped_told);
    lane->dropped_told = dropped;
}

/* Room for one event, after a stamp if it is due; NULL: there is none. */
static unsigned char *event_begin(struct lane *lane)
{
    enum { ROOM = 3 * EVENT_BYTES_MAX };
    if (NEB_UNLIKELY((size_t)(lane->end - lane->at) < ROOM) && !chunk_renew(lane))
        return NULL;
    uint64_t epoch = atomic_load_explicit(&state()->epoch, memory_order_relaxed);
    uint64_t dropped = atomic_load_explicit(&lane->counts.dropped, memory_order_relaxed);
    if (NEB_UNLIKELY(lane->epoch != epoch))
        stamp_put(lane, epoch);
    if (NEB_UNLIKELY(dropped != lane->dropped_told))
        dropped_put(lane, dropped);
    return lane->at;
}

static void event_end(struct lane *lane, unsigned char *at)
{
    lane->at = at;
    neb_output_commit(lane->chunk, (size_t)(at - neb_output_payload(lane->chunk)));
    counter_add(&lane->counts.events, 1);
}

static uint64_t stack_distance(struct lane *lane, uint32_t stack)
{
    uint64_t distance = zigzag((uint64_t)stack - lane->stack);
    lane->stack = stack;
    return distance;
}

/* Sizes beyond 32 bits are not remembered. */
static bool size_is_known(struct lane *lane, uint32_t stack, size_t size)
{
    uint32_t *slot = &lane->size[stack % NBT_SIZE_SLOTS];
    bool is_known = *slot == size;
    *slot = size <= UINT32_MAX ? (uint32_t)size : 0;
    return is_known;
}

void neb_lane_alloc(struct lane *lane, uint32_t stack, size_t size, size_t alignment)
{
    unsigned char *at = event_begin(lane);
    if (at == NULL)
        return;
    uint64_t distance = stack_distance(lane, stack);
    bool is_known = size_is_known(lane, stack, size);
    if (NEB_UNLIKELY(alignment > 16)) {
        at = varint_put(at, code(NBT_OTHER, NBT_ALLOC_ALIGNED));
        at = varint_put(at, distance);
        at = varint_put(at, size);
        at = varint_put(at, bits_log2_floor(alignment));
    } else if (is_known) {
        at = varint_put(at, code(NBT_ALLOC, distance));
    } else {
        at = varint_put(at, code(NBT_ALLOC_SIZED, distance));
        at = varint_put(at, size);
    }
    event_end(lane, at);
}

static unsigned char *remote_put(struct lane *lane, unsigned char *at, uint32_t its_lane, uint64_t number)
{
    at = varint_put(at, its_lane);
    at = varint_put(at, zigzag(number - lane->remote_number));
    lane->remote_number = number;
    return at;
}

void neb_lane_free(struct lane *lane, const struct block_birth *birth)
{
    unsigned char *at = event_begin(lane);
    if (at == NULL)
        return;
    struct lane_origin origin = lane_origin(lane, birth);
    if (NEB_UNLIKELY(origin.is_remote)) {
        at = varint_put(at, code(NBT_OTHER, NBT_FREE_REMOTE));
        at = remote_put(lane, at, birth->lane, origin.number);
    } else {
        at = varint_put(at, code(NBT_FREE, origin.age - 1));
    }
    event_end(lane, at);
}

void neb_lane_realloc(struct lane *lane, const struct block_birth *old, uint32_t stack, size_t size, bool has_moved)
{
    unsigned char *at = event_begin(lane);
    if (at == NULL)
        return;
    struct lane_origin origin = lane_origin(lane, old);
    at = varint_put(at, code(NBT_OTHER, origin.is_remote ? NBT_REALLOC_REMOTE : NBT_REALLOC));
    at = origin.is_remote ? remote_put(lane, at, old->lane, origin.number) : varint_put(at, origin.age - 1);
    at = varint_put(at, stack_distance(lane, stack));
    at = varint_put(at, (uint64_t)size << 1 | has_moved);
    (void)size_is_known(lane, stack, size);
    event_end(lane, at);
}

void neb_lane_failed(struct lane *lane, uint32_t stack, size_t size)
{
    unsigned char *at = event_begin(lane);
    if (at == NULL)
        return;
    at = varint_put(at, code(NBT_OTHER, NBT_FAILED));
    at = varint_put(at, stack_distance(lane, stack));
    event_end(lane, varint_put(at, size));
}

void neb_lane_pulse(struct lane *lane)
{
    lane->until_pulse = PULSE_EVENTS;
    atomic_store_explicit(&state()->now_ns, neb_clock_ns() - atomic_load_explicit(&state()->start_ns, memory_order_relaxed),
                          memory_order_relaxed); /* a time; two threads at once store nearly the same */
    atomic_fetch_add_explicit(&state()->epoch, 1, memory_order_relaxed); /* orders nothing by itself: see README.md */
}

/* ---- all of them ---------------------------------------------------------------------------------------------------------- */

static struct lane *lanes_first(void)
{
    return atomic_load_explicit(&all, memory_order_acquire);
}

static void totals_add(struct lane_totals *totals, const struct lane_counts *counts)
{
    totals->allocs += get(&counts->allocs);
    totals->frees += get(&counts->frees);
    totals->reallocs += get(&counts->reallocs);
    totals->alloc_bytes += get(&counts->alloc_bytes);
    totals->freed_bytes += get(&counts->freed_bytes);
    totals->failed += get(&counts->failed);
    totals->dropped += get(&counts->dropped);
    totals->events += get(&counts->events);
}

void neb_lanes_total(struct lane_totals *totals)
{
    memset(totals, 0, sizeof *totals);
    for (const struct lane *lane = lanes_first(); lane != NULL; lane = lane->next)
        if (lane->session == atomic_load_explicit(&state()->session, memory_order_relaxed))
            totals_add(totals, &lane->counts);
}

bool neb_lanes_mark(const char *text)
{
    enum { TEXT_MAX = NBT_TEXT_BYTES };
    unsigned char record[TEXT_MAX + VARINT_BYTES_MAX], framed[TEXT_MAX + 2 * VARINT_BYTES_MAX];
    size_t length = strnlen(text, TEXT_MAX);
    unsigned char *at = varint_put(record, now_ns());
    memcpy(at, text, length);
    at += length;
    size_t bytes = (size_t)(at - record);
    neb_lock_take(&neb_locks[LOCK_TRACE_LANES]);
    bool written = neb_output_append(&marks, framed, (size_t)(bytes_put(framed, record, bytes) - framed));
    neb_lock_give(&neb_locks[LOCK_TRACE_LANES]);
    return written;
}

void neb_lanes_begin(void)
{
    threads.chunk = marks.chunk = NULL;
    begun_count = 0;
    atomic_store_explicit(&state()->is_shared, 0, memory_order_relaxed); /* the mode publishes it: T1 */
}

bool neb_lanes_wait(void)
{
    bool passed = neb_os_barrier_all(); /* A1 */
    for (unsigned ms = 0; ms < WAIT_MS_MAX; ms++) {
        bool busy = false;
        for (const struct lane *lane = lanes_first(); lane != NULL; lane = lane->next)
            busy |= lane != neb_lane_own && atomic_load_explicit(&lane->busy, memory_order_acquire) != 0; /* A1 */
        if (!busy)
            return passed;
        neb_os_sleep_ms(1);
    }
    return false;
}

void neb_lanes_finish(bool is_quiet)
{
    neb_lock_take(&neb_locks[LOCK_TRACE_LANES]);
    for (struct lane *lane = lanes_first(); lane != NULL; lane = lane->next) {
        if (is_quiet)
            chunk_seal(lane);
        if (lane->session == atomic_load_explicit(&state()->session, memory_order_relaxed))
            thread_count(lane);
    }
    neb_output_finish(&threads);
    neb_output_finish(&marks);
    neb_lock_give(&neb_locks[LOCK_TRACE_LANES]);
}

void neb_lanes_forget(void)
{
    unused = NULL;
    for (struct lane *lane = lanes_first(); lane != NULL; lane = lane->next) {
        neb_output_drop(&lane->chunk);
        lane->session = 0;
        lane->watch = LANE_NOT_BEGUN;
        if (lane != neb_lane_own) /* which may be busy: the fork was a signal handler's */
            atomic_store_explicit(&lane->busy, 0, memory_order_relaxed);
        if (lane != neb_lane_own && !lane->is_shared) {
            neb_capture_forget(&lane->stacks);
            lane->next_unused = unused;
            unused = lane;
        }
    }
    neb_output_drop(&threads.chunk);
    neb_output_drop(&marks.chunk);
}
