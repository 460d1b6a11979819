/* heap.h - everything one thread owns.
 *
 *   bin[class]    what the fast paths read: 1.3 KB, most of it never touched
 *   bin:   top ---> newest entry of the magazine; below the oldest stands NULL
 *          limit -> its last slot; its first while the magazine is wary (magazine.h)
 *   pool[class]   the cold half: magazine, slabs, counters
 *   outbox        blocks of other heaps' slabs, gathered into batches
 *   inbox         batches from other threads
 *
 * malloc's fast path looks into the heap by tls.source, free's by tls.heap. After some slow frees source is neb_heap_none, so that the next few
 * mallocs are slow as well: if they come at once the watch ends, if one comes late what is idle goes back to the system (upkeep.h). So a
 * program that rests, and only now and then allocates a block that is at hand, is noticed at no cost for the fast path.
 *
 * A thread begins with neb_heap_none, whose bins are all empty and full at once, so that its first call is a slow
 * one without a test for it. Threads without a heap of their own (too young to deserve one, or so late in their
 * exit that they gave it up) share neb_heap_shared under a lock.
 *
 * Invariant  heap structures are never unmapped, and keep their id
 * Ownership  the thread whose tls.heap names the heap; the shared heap: who holds its lock; inbox: any thread;
 *            counters: written by the owner, read by any
 * Locks      LOCK_SHARED_HEAP, LOCK_HEAP_TABLE */
#ifndef NEB_HEAP_HEAP_H
#define NEB_HEAP_HEAP_H

#include "heap/chunk.h"
#include "heap/inbox.h"
#include "os/lock.h"
#include "policy/policy.h"

struct bin {
    void **top;
    void **limit;
};

/* Written by the owner alone with relaxed stores (statistics order nothing), read by any. */
struct pool_counts {
    _Atomic uint64_t taken, returned; /* blocks out of and back into slabs; taken - returned: in use or in magazines */
    _Atomic uint64_t slabs_made, slabs_released;
    _Atomic uint64_t refills, flushes, grown; /* slow calls; doublings of the magazine */
    _Atomic uint64_t claims, adopted, abandoned; /* slabs claimed by a free, taken from and put on the list */
    _Atomic uint64_t allocs, frees;          /* every call, where the policy counts them */
    _Atomic uint64_t held; /* blocks in the magazine at the last slow call */
};

struct pool {
    struct list_node partial; /* owned slabs with free blocks: those with bits first, then bump arenas */
    struct list_node full;    /* owned slabs whose blocks are all in use or in a magazine */
    void **magazine;          /* slot 0 is the NULL; NULL before the first use */
    uint8_t order;            /* the magazine is an array of 2^order bytes */
    int8_t streak;            /* refills in a row, or, negative, flushes; 0: neither came yet */
    uint8_t is_active;        /* refilled or flushed since the last sweep */
    uint8_t burst;            /* frees of other heaps' blocks, up to BURST_FREES, since the magazine had fewer entries than at the one before */
    uint16_t burst_count;     /* those at the last one */
    uint8_t is_emptied;       /* by a sweep, and since then it got no magazine and no block back: there is nothing to look for */
    uint8_t wary;             /* frees into a new magazine that are still to be looked at; until then its bin is closed (magazine.h) */
    uint16_t wary_limit;      /* entries that may be used while it is closed */
    int32_t balance;          /* blocks that came by refills since the last turn from flushing to refilling, less those flushed */
    struct pool_counts counts;
};

struct outbox_slot {
    uint32_t owner;
    uint32_t bytes;
    struct batch *batch;
};

/* Where allocation is hardened: the newest freed blocks of a class, which serve again only after as many others were freed. */
struct waiting {
    void *block[HARDEN_WAITING];
    uint8_t next; /* the oldest */
};

struct heap_counts {
    _Atomic uint64_t blocks_sent, batches_sent, batches_applied, blocks_lost;
};

struct heap {
    uint32_t tag; /* id << ENTRY_OFFSET_BITS: XOR an entry of mine and the bin's offset is left */
    uint32_t id;
    struct window window; /* refreshed by the slow path of free */
    NEB_ALIGNED(16) struct bin bin[CLASS_COUNT];
    /* cold from here on */
    uint32_t slow_calls, swept_ms;
    uint32_t watched, woken_ms; /* how many mallocs are watched, if none comes late; when one came late */
    uint64_t random; /* where allocation is hardened: state of the sequence that picks blocks; 0: not begun */
    void *known_stacks; /* check/stack.c's; NULL: none */
    bool known_are_busy;
    struct tray *tray;  /* check/quarantine.c's; NULL: none */
    struct batch *spare;
    uint32_t spare_count;
    struct heap *next_vacant; /* LOCK_HEAP_TABLE */
    uint32_t parked_ms;
    struct outbox_slot outbox[OUTBOX_SLOTS];
    struct heap_counts counts;
    NEB_ALIGNED(64) struct inbox inbox;
    NEB_ALIGNED(64) struct pool pool[CLASS_COUNT];
    NEB_ALIGNED(64) struct waiting waiting[CLASS_COUNT];
};
_Static_assert(offsetof(struct heap, bin) == BIN_FIRST_OFFSET, "the tables of size_class.c know where bins begin");
_Static_assert(sizeof(struct bin) == BIN_BYTES, "and how large they are");

enum thread_state {
    THREAD_YOUNG,
    THREAD_HAS_HEAP,
    THREAD_SLOW,      /* it has a heap, set aside: its fast paths do not see it (the option harden) */
    THREAD_ENDED,
    THREAD_AMBIENT,   /* malloc comes from a scope: the heap is set aside */
    THREAD_IN_HANDLER /* of a signal that interrupted the allocator: so is it here */
};

struct tls {
    struct heap *heap;
    struct heap *source;           /* heap, or neb_heap_none while the next malloc is watched */
    struct heap *aside;            /* what it was before it was set aside */
    uintptr_t handler_frame;       /* THREAD_IN_HANDLER: where on the stack the handler begins */
    uint32_t handler_depth;        /* bytes of an alternate signal stack below that; 0: it is the thread's stack */
    unsigned state : 8;
    unsigned aside_state : 4;       /* THREAD_AMBIENT: what it was before */
    unsigned interrupted_state : 4; /* THREAD_IN_HANDLER: what it was before */
    unsigned slow_calls : 8;       /* up to YOUNG_CALLS */
    unsigned is_busy : 8;          /* inside a slow path, where the heap is not whole */
};
_Static_assert(sizeof(struct tls) <= 40, "static thread-local storage is scarce for libraries loaded late");

extern NEB_HIDDEN _Thread_local struct tls neb_tls __attribute__((tls_model("initial-exec")));
extern NEB_HIDDEN struct heap neb_heap_none, neb_heap_shared;

NEB_INLINE struct heap *heap_current(void)
{
    return neb_tls.heap;
}

/* Where the fast paths take blocks. */
NEB_INLINE struct heap *heap_source(void)
{
    return neb_tls.source;
}

/* The thread's own, which its fast paths may not see; NULL: it has none now. */
NEB_INLINE struct heap *heap_own(void)
{
    const struct tls *tls = &neb_tls;
    return tls->state == THREAD_HAS_HEAP ? tls->heap : tls->state == THREAD_SLOW ? tls->aside : NULL;
}

/* The next mallocs of the thread, if it has a heap. */
NEB_INLINE void heap_watch(void)
{
    struct heap *heap = POLICY_EVERY_CALL_SLOW ? NULL : heap_own();
    if (heap == NULL)
        return;
    if (heap->watched < WATCHED_BUSY)
        heap->watched = WATCHED_BUSY;
    neb_tls.source = &neb_heap_none;
}

/* After a slow free. */
NEB_INLINE void heap_watch_some(const struct heap *heap)
{
    if (heap->slow_calls % WATCH_EVERY == 0 || heap->slow_calls < WATCH_FIRST)
        heap_watch();
}

/* Whether a malloc may be slow only because it is watched. */
NEB_INLINE bool heap_is_watched(const struct heap *heap)
{
    return !POLICY_EVERY_CALL_SLOW && heap->watched != 0;
}

NEB_INLINE struct bin *heap_bin_at(struct heap *heap, size_t offset)
{
    return (struct bin *)(void *)ptr_add(heap, offset);
}

/* The entry of a slab without owner. */
NEB_INLINE uint32_t class_entry(unsigned class_index)
{
    return (uint32_t)(BIN_FIRST_OFFSET + BIN_BYTES * class_index);
}

/* The class of a pooled entry, whoever owns the slab. */
NEB_INLINE unsigned entry_class(uint32_t entry)
{
    return size_class_of_offset(entry & ENTRY_OFFSET_MASK);
}

NEB_INLINE void counter_add(_Atomic uint64_t *counter, uint64_t amount)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + amount, memory_order_relaxed);
}

NEB_INLINE size_t bin_count(const struct heap *heap, unsigned class_index)
{
    const struct pool *pool = &heap->pool[class_index];
    return pool->magazine == NULL ? 0 : (size_t)(heap->bin[class_index].top - pool->magazine);
}

/* The heap to work in, for slow paths: the thread's own, made now if it deserves one, else the shared one with its
 * lock held. Never NULL. */
struct heap *neb_heap_enter(void);
/* The same for who takes blocks: a thread without a heap gets one that is parked (vacant.h). */
struct heap *neb_heap_enter_to_take(void);
void neb_heap_leave(struct heap *heap);
/* Takes the heap out of the fast paths' sight, so that every call is a slow one (ambient scopes, front/scope.c), and
 * back. The slow paths still find it. */
void neb_heap_set_aside(bool aside);
/* Once, before there are threads: from now on every call of every thread is a slow one, which picks blocks at random. */
void neb_heap_harden(void);
bool neb_heap_is_hardened(void);
/* A number below bound, which is at least 1, that cannot be guessed from outside. Owner only. */
size_t neb_heap_random(struct heap *heap, size_t bound);
/* The thread's end: its heap is vacant; what comes later goes through the shared heap. */
void neb_heap_end(void);

/* ---- signal handlers --------------------------------------------------------------------------------------------------
 *
 * A handler that interrupted the allocator is, for its time, a thread of its own: neb_heap_none is its heap, so that
 * every call is a slow one, and the slow paths use the shared heap. What the interrupted call was doing with the
 * thread's heap waits, as another thread's half-done call would; locks it cannot hold (os/signal.h).
 *
 * A handler that interrupted anything else uses the thread's heap as the interrupted code does.
 *
 * Where a handler could not be put off although the thread holds locks (a fault within the allocator, abort), it is
 * served from the emergency region (heap/emergency.h), and what it frees is lost. */
struct interruption {
    struct heap *heap;
    uintptr_t frame;
    uint32_t depth;
    bool is_first;
};
/* context: what the kernel gave to the handler; frame: an address of its stack frame. False: the allocator was not
 * interrupted, nothing is to be resumed. */
bool neb_heap_interrupt(struct interruption *interruption, const void *context, uintptr_t frame);
void neb_heap_resume(const struct interruption *interruption);
/* For slow paths. A handler that was left by a jump is still in force: its frame tells. What is below the frame of a
 * handler on the thread's stack, or on the alternate stack, is a handler's; a call from elsewhere ends it. The heap
 * comes back, but for one that was left in the middle of a slow path, which is never used again. */
NEB_COLD void neb_heap_end_left_handler(void);

/* Whether taking a lock could wait for the interrupted code. */
NEB_INLINE bool heap_is_in_emergency(void)
{
    return NEB_UNLIKELY(neb_tls.state == THREAD_IN_HANDLER) && neb_hold.locks != 0 && !neb_hold.all;
}

/* NULL for an id that was never given out, and for the shared heap's until a thread needs it. Any thread, no locks. */
struct heap *neb_heap_by_id(uint32_t id);
uint32_t neb_heap_id_bound(void); /* every id is below */
bool neb_heap_others_exist(void); /* more than one heap is or was alive at the same time */

/* Once per process, before there are threads: asks to be told of each thread's end. */
void neb_heap_watch_threads(bool can_watch);

#endif
