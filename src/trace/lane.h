/* lane.h - what one thread at a time records: its events, its counts, the stacks that it remembers.
 *
 *   enter: which lane -> busy -> (the session's first time: begin it)      leave: not busy
 *
 * A signal handler that allocates while its thread records finds the lane busy: its call is served, and counted as dropped. A
 * thread that has given its lane up (late destructors) shares one with its like, under a lock. Where a thread has no lane of its
 * own, it is the thread that is busy (neb_hold.lane_busy).
 *
 * In mode trace a lane appends to a chunk of its own, and publishes each event by the chunk's length. A new chunk
 * knows nothing of the one before.
 *
 * Ownership  a lane: the thread between enter and leave; busy: written by its thread alone; counts: read by any
 * Locks      LOCK_TRACE_SHARED (late threads), LOCK_TRACE_LANES, then those of the file and metadata
 * Failure    NULL: not recorded, counted as dropped where there is a lane to count in
 * Sync       A1: busy is set before the mode is looked at again; who ends a session clears the mode, then passes a
 *            barrier through all threads, then waits until none is busy */
#ifndef NEB_TRACE_LANE_H
#define NEB_TRACE_LANE_H

#include "os/lock.h"
#include "trace/block.h"
#include "trace/capture.h"
#include "trace/format.h"
#include "trace/state.h"
#include <stdatomic.h>

#define LANE_NOT_BEGUN UINT32_MAX /* no mode is watched by this */

struct lane_counts {
    _Atomic uint64_t allocs; /* also the next allocation's number */
    _Atomic uint64_t frees, reallocs, alloc_bytes, freed_bytes, failed, dropped, events;
    _Atomic uint64_t frees_remote; /* mode profile; of blocks that another lane allocated */
};

struct lane {
    uint32_t id;
    uint32_t session; /* that it was begun for */
    uint32_t watch;   /* trace_watch() as it was then; LANE_NOT_BEGUN */
    _Atomic uint8_t busy;
    uint8_t is_shared;
    uint32_t until_pulse;
    struct block_window window;
    /* Mode sample: bytes before the next one; 0: not drawn yet. What is left of it serves the next session: the process has no memory. */
    uint64_t until_sample;
    uint64_t random;
    struct lane *next;    /* all of them, or those that wait for a thread */
    struct lane *next_unused;
    struct lane_counts counts;
    struct lane_counts before; /* what they were when the thread took it over; LOCK_TRACE_LANES */
    bool has_thread;           /* LOCK_TRACE_LANES */
    /* mode trace */
    struct nbt_chunk *chunk;
    unsigned char *at, *end;
    size_t chunk_bytes;
    uint64_t epoch, time_ns, remote_number, dropped_told;
    uint32_t stack;
    uint32_t size[NBT_SIZE_SLOTS];
    struct stack_cache stacks;
};

/* The calling thread's, begun or not; NULL: it has none. */
extern NEB_HIDDEN _Thread_local struct lane *neb_lane_own __attribute__((tls_model("initial-exec")));

/* Mode sample, where no allocations are guarded: whether the next sample lies behind this allocation, of which nothing then needs to be told: neither the
 * lane is entered nor a function called. A signal that comes in between may cost a sample's distance some bytes, no more. */
NEB_INLINE bool lane_skips(uint32_t watch, size_t size)
{
    struct lane *lane = neb_lane_own;
    size_t bytes = size + (size == 0);
    if (watch_bits(watch) != 2 * NBT_MODE_SAMPLE || lane == NULL || lane->until_sample <= bytes)
        return false;
    lane->until_sample -= bytes;
    return true;
}

NEB_COLD struct lane *neb_lane_dropped(void);
NEB_NOINLINE struct lane *neb_lane_enter_slow(void);
NEB_COLD void neb_lane_leave_shared(void);

/* The calling thread's lane, in which it may record until lane_leave; NULL: it may not. */
NEB_INLINE struct lane *lane_enter(void)
{
    struct lane *lane = neb_lane_own;
    if (NEB_UNLIKELY(lane == NULL))
        return neb_lane_enter_slow();
    if (NEB_UNLIKELY(atomic_load_explicit(&lane->busy, memory_order_relaxed) != 0)) /* a signal came */
        return neb_lane_dropped();
    atomic_store_explicit(&lane->busy, 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst); /* A1 */
    if (NEB_UNLIKELY(trace_watch() != lane->watch))
        return neb_lane_enter_slow();
    return lane;
}

/* Of the session that the lane was entered for. */
NEB_INLINE uint32_t lane_mode(const struct lane *lane)
{
    return watch_mode(lane->watch);
}

NEB_INLINE void lane_leave(struct lane *lane)
{
    atomic_store_explicit(&lane->busy, 0, memory_order_release); /* A1 */
    if (NEB_UNLIKELY(lane->is_shared))
        neb_lane_leave_shared();
}

/* The thread's end: what it records from then on goes through the shared lane. */
void neb_lane_end(void);

/* Events; mode trace. An allocation's number is taken after its event is written. */
void neb_lane_alloc(struct lane *lane, uint32_t stack, size_t size, size_t alignment);
void neb_lane_free(struct lane *lane, const struct block_birth *birth);
void neb_lane_realloc(struct lane *lane, const struct block_birth *old, uint32_t stack, size_t size, bool has_moved);
void neb_lane_failed(struct lane *lane, uint32_t stack, size_t size);

/* The next allocation's number; read by any, written by the lane. */
NEB_INLINE uint64_t lane_number(const struct lane *lane)
{
    return atomic_load_explicit(&lane->counts.allocs, memory_order_relaxed);
}

NEB_INLINE void lane_number_take(struct lane *lane)
{
    counter_add(&lane->counts.allocs, 1); /* who knows the block knows this */
}

/* Where a block comes from: the number of its allocation in full, and its age in allocations of its lane. */
struct lane_origin {
    uint64_t number, age;
    bool is_remote; /* of another lane than the one that asks */
};
struct lane *neb_lane_by_id(uint32_t id);

/* Of a block, when this is its lane's next number. */
NEB_INLINE uint64_t lane_age(const struct block_birth *birth, uint64_t next)
{
    enum { SHIFT = 64 - BLOCK_NUMBER_BITS };
    return (next - birth->number) << SHIFT >> SHIFT; /* next is at least what it was at the block's birth */
}

/* Records have the lower bits of the number only: a block's age tells the rest. */
NEB_INLINE struct lane_origin lane_origin(const struct lane *lane, const struct block_birth *birth)
{
    const struct lane *its = NEB_LIKELY(birth->lane == lane->id) ? lane : neb_lane_by_id(birth->lane);
    uint64_t next = lane_number(its), age = lane_age(birth, next);
    return (struct lane_origin){next - age, age, its != lane};
}

/* After something was recorded: now and then the clock is looked at and the epoch counts up. */
NEB_INLINE void lane_tick(struct lane *lane);
void neb_lane_pulse(struct lane *lane);

NEB_INLINE void lane_tick(struct lane *lane)
{
    if (NEB_UNLIKELY(--lane->until_pulse == 0))
        neb_lane_pulse(lane);
}

struct lane_totals {
    uint64_t allocs, frees, reallocs, alloc_bytes, freed_bytes, failed, dropped, events;
};
/* Over all lanes of this session. Any thread. */
void neb_lanes_total(struct lane_totals *totals);

/* Text at a time; NBT_MARKS. */
bool neb_lanes_mark(const char *text);

/* Before the mode is published; after it was cleared: false if a thread is in the middle of recording and stays there. */
void neb_lanes_begin(void);
bool neb_lanes_wait(void);
/* Completes what lanes wrote. is_quiet: neb_lanes_wait said so. */
void neb_lanes_finish(bool is_quiet);
/* In the child of a fork: only the calling thread is left. */
void neb_lanes_forget(void);

#endif
