/* check.h - blocks that are looked at: what is put around them, remembered of them, and asked of every call.
 *
 *   cell   | front: canary | the program's bytes: filled or zero | slack: canary |      record out of line (heap/record.h)
 *
 *   alloc  room -> (the heap gives a cell) -> dress                        NONE, RELEASED -> LIVE
 *   free   release: state, canaries, kind, size -> quarantine or the heap  LIVE -> FREED (-> RELEASED)
 *          expired: the quarantine is too large; contents are verified     FREED -> RELEASED
 *
 * Features are chosen once, before there are threads: all of them by the checked policy, some by the option harden. With
 * none, nothing here is called. The front takes cells from the heap and gives them back: this room never does.
 *
 * Invariant  of several frees of one block exactly one goes on, from whichever threads they come (K1)
 * Ownership  a cell: by its record's state; LIVE: the program, FREED: the quarantine, else the heap
 * Locks      LOCK_QUARANTINE, LOCK_STACKS; none while anything is reported
 * Failure    an error is reported; whether the process goes on is the option on_error
 * Sync       K1: LIVE -> FREED by compare-and-swap; what the allocating thread wrote is released with LIVE */
#ifndef NEB_CHECK_CHECK_H
#define NEB_CHECK_CHECK_H

#include "base/attr.h"
#include "heap/record.h"
#include "policy/policy.h"
#include "policy/tuning.h"
#include "unwind/step.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum check_feature {
    CHECK_STATE = 1,      /* exact state of every block at every call */
    CHECK_CANARY = 2,     /* bytes around each block, verified when it is freed and when it leaves the quarantine */
    CHECK_FILL = 4,       /* fresh and freed blocks are filled */
    CHECK_QUARANTINE = 8, /* freed blocks wait before they serve again, and are verified when they do */
    CHECK_ORIGIN = 16,    /* stacks and threads of allocation and free, kind of allocation, sizes that are stated */
    CHECK_LARGE = 32      /* without a quarantine: freed large blocks wait there all the same, most out of reach (hide.h) */
};

enum on_error { ON_ERROR_ABORT, ON_ERROR_REPORT, ON_ERROR_STOP };

struct check_options {
    uint32_t features;
    enum on_error on_error;
    unsigned fill_alloc, fill_free; /* bytes; FILL_NOTHING */
    size_t quarantine_bytes;
    unsigned stack_depth;
    bool random_canaries;
    bool watches_threads; /* every thread's end is to be told (os/thread.h), not only of those with a heap */
};
enum { FILL_NOTHING = 256 };

extern NEB_HIDDEN struct check_options neb_check;

/* Whether one of these is on. The checked policy has them all, once it has begun, but the one that stands in for the quarantine: no test. */
NEB_INLINE bool check_has(unsigned features)
{
    if (POLICY_ORIGIN)
        return features != CHECK_LARGE;
    return features != CHECK_ORIGIN && (neb_check.features & features) != 0;
}

/* Nothing stands around blocks, small ones are not kept back, and of them nothing is remembered but their states. */
NEB_INLINE bool check_is_of_states(void)
{
    return (neb_check.features & (CHECK_STATE | CHECK_CANARY | CHECK_QUARANTINE | CHECK_ORIGIN)) == CHECK_STATE;
}

NEB_INLINE bool check_is_on(void)
{
    return NEB_UNLIKELY(neb_check.features != 0);
}

/* Once, before there are threads. */
void neb_check_enable(const struct check_options *options);

/* ---- allocation -------------------------------------------------------------------------------------------------------- */

enum family { FAMILY_MALLOC, FAMILY_NEW, FAMILY_NEW_ARRAY };
enum content { CONTENT_FILL, CONTENT_CLEAR, CONTENT_IS_ZERO };

enum { FRONT_MIN = 16 }; /* bytes: what malloc aligns to */

/* Bytes before a block so aligned, the canary. */
NEB_INLINE size_t check_front(size_t alignment)
{
    if (!check_has(CHECK_CANARY))
        return 0;
    return alignment > FRONT_MIN ? alignment : FRONT_MIN;
}

/* Bytes to ask the heap for, aligned as the block is to be. size <= PTRDIFF_MAX; may exceed it. */
NEB_INLINE size_t check_room(size_t size, size_t alignment)
{
    return check_front(alignment) + size + 1;
}

/* Makes the cell that begins at raw a block. place: where the program asked for it. NULL: no memory; the cell is still the caller's. */
void *neb_check_dress(void *raw, size_t size, size_t alignment, enum family family, enum content content, const struct place *place);

/* A block that is in use gets this size where it is, between canaries: if it was let to, there is room, and it does not shrink to less
 * than half of its cell. False: it has to move. The first time it always has to, so that whoever kept the old address is found out. */
bool neb_check_resize(void *p, size_t size, const struct place *place);
/* A block that realloc made, with a cell that may be larger than asked for. */
void neb_check_let_resize(void *p);

/* ---- free ------------------------------------------------------------------------------------------------------------------ */

struct check_call {
    const char *name; /* "free", "realloc", "operator delete", ... */
    enum family family;
    bool has_size, has_alignment;
    size_t size, alignment;
    const struct place *place; /* where the program called */
};

enum check_answer {
    CHECK_UNDRESSED, /* not a block of this room's: the heap has to judge it */
    CHECK_GIVE,      /* *raw goes back to the heap now: it does not wait */
    CHECK_DONE,      /* it waits in quarantine, or an error was reported */
    CHECK_TIDY       /* it waits, and some of those that wait are to go back (neb_check_expired) */
};

enum check_answer neb_check_release(void *p, const struct check_call *call, void **raw);
/* What nearly all calls are: a plain free of a pool's block. UNDRESSED also for any other block. */
enum check_answer neb_check_release_small(void *p, const struct place *place, void **raw);
/* Cells that left the quarantine, verified, to be given to the heap; how many. 0: none has to, or the system refuses to make accessible
 * what is oldest, which waits again, as the newest. any: without regard to the quarantine's size, for trimming and when memory is
 * short. */
size_t neb_check_expired(void *raw[QUARANTINE_BATCH], bool any);
/* How many blocks wait in quarantine, those on other threads' trays too. */
size_t neb_check_waiting(void);
/* Bytes of a block in use; what else p is, is reported. False: undressed, or reported. */
bool neb_check_size(const void *p, const char *call, size_t *size);
/* Whether p is a block of this room's, in use or not. */
bool neb_check_knows(const void *p);

/* What a cell of the heap is to the program: whether it is in use and, if it is dressed, which bytes of it. */
bool neb_check_view(void *raw, void **begin, size_t *size);

/* The end of the process: what lies in quarantine and all live blocks' canaries are verified. */
void neb_check_finish(void);
/* In the child of a fork: its thread is another, while blocks that were made before keep theirs. */
void neb_check_child(void);

#endif
