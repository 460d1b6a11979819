/* state.h - what every recorded call reads: whether, and how.
 *
 * The page reads as zero in every child of fork, however the fork was made (MADV_WIPEONFORK), so that a child never
 * writes into its parent's file: to it, the mode is off. Where the kernel does not do that, the fork handler does.
 *
 * Sync  T1: the mode is published after everything that it needs */
#ifndef NEB_TRACE_STATE_H
#define NEB_TRACE_STATE_H

#include "base/attr.h"
#include "base/ptr.h"
#include "trace/format.h"
#include <stdatomic.h>
#include <stdbool.h>

enum {
    STATE_BYTES = 65536, /* the largest page size: the kernel wipes whole pages */
    FILTER_BITS = 15,
    FILTER_SHIFT = 10, /* neighbours share a slot: their frees look at the same cache line */
    FILTER_FULL = UINT8_MAX
};

struct trace_state {
    _Atomic uint32_t watch;     /* session << 8 | enum nbt_mode << 1 while a mode is on; and 1, if some allocations are to be guarded */
    _Atomic uint32_t is_shared; /* more than one lane is or was in use: what they share is counted with atomic operations */
    _Atomic uint32_t session;   /* 1 to 255: which of them a block's record belongs to; 0: none */
    _Atomic uint32_t depth;     /* frames kept */
    _Atomic uint64_t epoch;
    _Atomic uint64_t now_ns;    /* since the file's start; refreshed every 10 ms and at every pulse */
    _Atomic uint64_t start_ns;
    _Atomic uint64_t sample_bytes;
    _Atomic uint64_t generation; /* of libraries: what was learned about addresses before it changed is not believed */
    NEB_ALIGNED(64) _Atomic uint64_t live_bytes, peak_bytes, peak_number, peak_ns; /* modes sample and profile */
    NEB_ALIGNED(64) _Atomic uint64_t untracked_frees;
    /* Mode sample: how many sampled blocks have addresses that fall into each slot. Nearly all frees see a 0 there, and look
     * no further. A slot that is full stays so. */
    NEB_ALIGNED(64) _Atomic uint8_t filter[1 << FILTER_BITS];
};

union trace_page {
    struct trace_state state;
    unsigned char bytes[STATE_BYTES];
};

extern NEB_HIDDEN union trace_page neb_trace_page;
extern NEB_HIDDEN uint32_t neb_trace_guards; /* 1 or 0; written once, before there are threads */

NEB_INLINE uint32_t trace_watch(void)
{
    return atomic_load_explicit(&neb_trace_page.state.watch, memory_order_relaxed); /* whoever goes on acquires it: T1 */
}

NEB_INLINE uint32_t watch_mode(uint32_t watch)
{
    return watch / 2 % 128;
}

/* Without the session. */
NEB_INLINE uint8_t watch_bits(uint32_t watch)
{
    return (uint8_t)watch;
}

NEB_INLINE uint32_t trace_mode(void)
{
    return watch_mode(trace_watch());
}

/* A mode: of the session that state.session says. */
NEB_INLINE void trace_mode_set(uint32_t mode)
{
    struct trace_state *state = &neb_trace_page.state;
    uint32_t session = mode == NBT_MODE_OFF ? 0 : atomic_load_explicit(&state->session, memory_order_relaxed);
    atomic_store_explicit(&state->watch, session << 8 | 2 * mode | neb_trace_guards, memory_order_release); /* T1 */
}

/* Before there are threads. */
NEB_INLINE void trace_guards_set(bool guards)
{
    neb_trace_guards = guards;
    trace_mode_set(trace_mode());
}

NEB_INLINE bool trace_is_on(void)
{
    return NEB_UNLIKELY(trace_watch() > 1);
}

/* Whether some allocations are to be guarded. */
NEB_INLINE bool trace_has_guards(void)
{
    return (trace_watch() & 1) != 0;
}

/* And nothing is recorded. */
NEB_INLINE bool trace_only_guards(void)
{
    return NEB_LIKELY(trace_watch() == 1);
}

NEB_INLINE _Atomic uint8_t *trace_filter_slot(const void *p)
{
    return &neb_trace_page.state.filter[(ptr_address(p) >> FILTER_SHIFT) % (1u << FILTER_BITS)];
}

/* Whether the block can have a record at all; in mode sample few have. */
NEB_INLINE bool trace_may_know(uint32_t watch, const void *p)
{
    return (watch_bits(watch) | 1) != (2 * NBT_MODE_SAMPLE | 1) ||
           atomic_load_explicit(trace_filter_slot(p), memory_order_relaxed) != 0;
}

#endif
