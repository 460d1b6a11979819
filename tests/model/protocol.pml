/* protocol.pml - the ownership protocol of slabs, as Promela; included by the scenarios.
 *
 *                  free of a block, pop from the list (compare-and-swap)
 *         OWNERLESS ----------------------------------------------> OWNED(h)
 *             ^                                                      |   |  ^
 *             '-- detach (no bit free), abandon (partial: listed) ---'   |  |
 *           FREE <------------ release (every bit set) ------------------'  |
 *             '--------------- fresh slab -----------------------------------'
 *
 * A step between two scheduling points makes one access to what other heaps can reach (a map entry, an
 * inbox, a lock); what a heap alone may touch (its magazine, its outboxes, the bitmaps of slabs that it
 * owns) is joined to it, and so is what a lock protects to the step that gives the lock back.
 * Blocks are numbers, sets of blocks are bit masks: magazines, batches and inboxes have no order here, so
 * every order that an implementation might keep is covered. An inbox is one word here; inbox.pml has it
 * pointer by pointer. A bump arena counts as free bits: both are seen by the owner only.
 *
 * Invariants; a block is at one of these places: a bitmap (of a FREE slab too), the program, a magazine, an
 * outbox, an inbox, or for some steps the hands (`work`) of a heap.
 *   P1 once     no block is at two places                                          monitor, block_place
 *   P2 kept     no block is nowhere; when every thread has ended each one is with the program, or in the
 *               bitmap of a slab that can be found again: free, listed, or full     check_at_rest
 *   P3 pinned   no block of a FREE slab is anywhere but in its bitmap, and no free meets a FREE slab
 *                                                                       slab_release, slab_fresh, route
 *   P4 writer   a bitmap is read and written by the heap that the entry names       wherever bits[] is used
 *   P5 owner    the entry names the one heap that has the slab in its pools; a slab that is given up,
 *               released or given out is in no list                                monitor, slab_*
 *   P6 ends     no deadlock, and (runs with -DNP) no endless retry: every run ends
 *   P7 closed   a heap whose inbox is closed owns nothing and holds nothing        monitor
 *
 * A scenario defines SLABS, PER_SLAB, BATCH, MAGAZINE, perhaps SHARED, includes this file, and runs threads.
 * MUTANT_* options (README.md has the table) break one rule each; spin must then fail.
 */

#define HEAPS 3
#define THREADS 3
#define FREE 0
#define OWNERLESS 1
#define OWNED(h) ((h) + 2)
#define OWNER(e) ((e)-2)
#define BLOCKS (SLABS * PER_SLAB)
#define FULL ((1 << PER_SLAB) - 1)
#define BIT(n) (1 << (n))
#define SLAB(b) ((b) / PER_SLAB)
#define SLOT(b) (BIT((b) % PER_SLAB))
#define CLOSED 128 /* BLOCKS must stay below 8 */
#define BLOCKS_OF(s) (FULL << ((s)*PER_SLAB))
#define SEVERAL(set) ((set) & ((set)-1))

#if SLABS > 2 || BLOCKS > 7
#error "the monitor is written for 2 slabs, sets for 7 blocks"
#endif
#ifndef SHARED
#define SHARED 9 /* number of the shared heap: none here */
#endif
#ifndef KEEP_FULL
#define KEEP_FULL 1 /* an owner may keep a slab without free bits; 0: it always detaches it */
#endif
#ifndef KEEP_UNUSED
#define KEEP_UNUSED 0 /* 1: an owner may keep a slab all of whose blocks are free; it releases it at its exit */
#endif
#ifndef TRIM
#define TRIM 0 /* 1: a heap may take a slab from the list without need, to give it up again (a purge) */
#endif
#ifndef GIVE_UP
#define GIVE_UP 1 /* a heap may abandon a slab while it lives; 0: at its exit only */
#endif

/* what other heaps can reach */
byte entry[SLABS];    /* the page map */
byte inbox[HEAPS];    /* set of blocks, or CLOSED */
bit listed[SLABS];    /* slab is in the list of ownerless partial slabs; written under list_lock */
byte list_lock;       /* 0, or OWNED(holder) */
bit taken[SLABS];     /* granules are out of the chunk allocator */
bit shared_lock;      /* whoever uses the shared heap holds it */
byte live;            /* set of blocks that the program has */

/* one heap's own */
byte bits[SLABS];     /* the slab's free bitmap: the owner's; of a FREE slab all are set */
byte owned[HEAPS];    /* set of the slabs in the heap's pools */
byte magazine[HEAPS]; /* set of blocks */
byte outbox[HEAPS * HEAPS]; /* [from * HEAPS + to], set of blocks */

byte ended; /* threads that are through */

#define OUTBOX(h, o) outbox[(h)*HEAPS + (o)]
#define OUTBOXES_OF(h) (OUTBOX(h, 0) | OUTBOX(h, 1) | OUTBOX(h, 2))

/* ---- looks at everything, for invariants only ------------------------------------------------------------ */

#define OUTBOX_ANY (OUTBOXES_OF(0) | OUTBOXES_OF(1) | OUTBOXES_OF(2))
#define OUTBOX_SUM                                                                                            \
    (outbox[0] + outbox[1] + outbox[2] + outbox[3] + outbox[4] + outbox[5] + outbox[6] + outbox[7] + outbox[8])
#define IN(h) (inbox[h] & ~CLOSED)
#define IN_ANY (IN(0) | IN(1) | IN(2))
#define MAGAZINE_ANY (magazine[0] | magazine[1] | magazine[2])
#define OUTSIDE (live | MAGAZINE_ANY | OUTBOX_ANY | IN_ANY)
#define OUTSIDE_SUM                                                                                           \
    (live + magazine[0] + magazine[1] + magazine[2] + OUTBOX_SUM + IN(0) + IN(1) + IN(2))
#if SLABS == 1
#define BITS_ANY (bits[0])
#else
#define BITS_ANY (bits[0] | (bits[1] << PER_SLAB))
#endif

/* P1: sets are disjoint exactly when their sum is their union */
#define ONCE (OUTSIDE_SUM + BITS_ANY == (OUTSIDE | BITS_ANY))

/* P5 */
#define POOLS(s) (((owned[0] >> (s)) & 1) + 2 * ((owned[1] >> (s)) & 1) + 4 * ((owned[2] >> (s)) & 1))
#define AGREED_ON(s)                                                                                          \
    ((entry[s] >= OWNED(0) && POOLS(s) == BIT(OWNER(entry[s]))) || (entry[s] < OWNED(0) && POOLS(s) == 0))
#if SLABS == 1
#define AGREED (AGREED_ON(0))
#else
#define AGREED (AGREED_ON(0) && AGREED_ON(1))
#endif

/* P7 */
#define SHUT(h) (inbox[h] != CLOSED || (owned[h] | magazine[h] | OUTBOXES_OF(h)) == 0)

/* Blocked for ever unless an invariant fails: it sees every state and adds none. */
active proctype monitor()
{
end:
    atomic {
        !(ONCE && AGREED && SHUT(0) && SHUT(1) && SHUT(2));
        assert(ONCE);
        assert(AGREED);
        assert(SHUT(0) && SHUT(1) && SHUT(2))
    }
}

/* ---- small parts ------------------------------------------------------------------------------------------- */

mtype = { nothing, give_back, claim, unlink, push };
#ifdef MUTANT_REFILL_KEEPS_SLAB_OVER_DRAIN
byte current; /* one for all threads will do: the mutant shows soon */
#endif

/* b = any member of a set that is not empty */
inline pick(set)
{
    b = 0;
    do
    :: (set) & BIT(b) -> break
    :: (set) >> (b + 1) -> b++ /* this one, or a later one */
    od
}

inline list_lock_take()
{
    atomic {
        list_lock == 0;
        list_lock = OWNED(h)
    }
}

inline list_lock_give()
{
    assert(list_lock == OWNED(h));
    list_lock = 0
}

/* ---- slabs ------------------------------------------------------------------------------------------------- */

#ifdef MUTANT_RELEASE_IGNORES_BATCHES
/* counts what sits in batches as free already */
#define RELEASABLE(s) ((bits[s] | (((OUTBOX_ANY | IN_ANY) >> ((s)*PER_SLAB)) & FULL)) == FULL)
#else
#define RELEASABLE(s) (bits[s] == FULL)
#endif

/* Every bit is set: the entry first; the granules are still to be given back (todo). */
inline slab_release(s)
{
    assert(entry[s] == OWNED(h));                                         /* P4 */
    assert((OUTSIDE & BLOCKS_OF(s)) == 0 && (work & BLOCKS_OF(s)) == 0); /* P3 */
    assert(!listed[s]);                                                  /* P5 */
#ifdef MUTANT_GRANULES_BACK_BEFORE_ENTRY
    taken[s] = 0;
#else
    owned[h] = owned[h] & ~BIT(s);
    entry[s] = FREE;
#endif
    todo = give_back
}

inline slab_give_back(s)
{
    d_step {
        assert(list_lock != OWNED(h)); /* P6: the chunk lock is taken alone */
#ifdef MUTANT_GRANULES_BACK_BEFORE_ENTRY
        owned[h] = owned[h] & ~BIT(s);
        entry[s] = FREE;
#else
        taken[s] = 0;
#endif
        todo = nothing
    }
}

/* A slab of which no bit is free; a part of a step. */
inline slab_detach(s)
{
    assert(entry[s] == OWNED(h) && bits[s] == 0); /* P4 */
    assert(!listed[s]);                           /* P5 */
    owned[h] = owned[h] & ~BIT(s);
    entry[s] = OWNERLESS
}

/* Gives up one slab: a partial one is found again through the list, a full one through its blocks. */
inline slab_abandon(s)
{
    if
    :: atomic { bits[s] == 0 -> slab_detach(s) }
#ifdef MUTANT_ABANDON_LINKS_LATE
    :: d_step {
            bits[s] != 0;
            owned[h] = owned[h] & ~BIT(s);
            entry[s] = OWNERLESS
        }
        list_lock_take();
        d_step {
            listed[s] = 1;
            list_lock_give()
        }
#elif defined(MUTANT_ABANDON_ENTRY_AFTER_UNLOCK)
    :: bits[s] != 0 ->
        list_lock_take();
        d_step {
            listed[s] = 1;
            list_lock_give()
        }
        d_step {
            owned[h] = owned[h] & ~BIT(s);
            entry[s] = OWNERLESS
        }
#else
    :: atomic {
            bits[s] != 0 && list_lock == 0;
            list_lock = OWNED(h)
        }
        d_step {
            assert(entry[s] == OWNED(h) && !listed[s]); /* P4, P5 */
#ifndef MUTANT_ABANDON_WITHOUT_LIST
            listed[s] = 1;
#endif
#ifndef MUTANT_ABANDON_KEEPS_IN_POOL
            owned[h] = owned[h] & ~BIT(s);
#endif
            entry[s] = OWNERLESS;
            list_lock_give()
        }
#endif
    fi
}

#if SLABS == 1
#define LIST_ANY (listed[0])
#define LIST_SET (listed[0])
#else
#define LIST_ANY (listed[0] || listed[1])
#define LIST_SET (listed[0] + 2 * listed[1])
#endif

/* An ownerless partial slab from the list: pop and compare-and-swap under the lock. When a free has claimed
 * it meanwhile it is only dropped from the list. The look outside the lock may be stale. */
inline list_pop()
{
    if
    :: atomic { LIST_ANY -> skip }
        list_lock_take();
#ifdef MUTANT_POP_CLAIMS_AFTER_UNLOCK
        atomic {
            if
            :: LIST_ANY -> pick(LIST_SET); e = b; listed[e] = 0
            :: else -> e = SLABS
            fi;
            b = 0;
            list_lock_give()
        }
        if
        :: e < SLABS ->
            d_step {
                if
                :: entry[e] == OWNERLESS ->
                    assert(POOLS(e) == 0 && bits[e] != 0);
                    entry[e] = OWNED(h);
                    owned[h] = owned[h] | BIT(e)
                :: else
                fi
            }
        :: else
        fi;
        e = 0
#else
        atomic {
            if
            :: LIST_ANY ->
                pick(LIST_SET);
                listed[b] = 0;
                if
#ifdef MUTANT_POP_WITHOUT_CAS
                :: true ->
#else
                :: entry[b] == OWNERLESS ->
#endif
                    assert(POOLS(b) == 0); /* P5 */
                    assert(bits[b] != 0);  /* P2: only partial slabs are listed */
                    entry[b] = OWNED(h);
                    owned[h] = owned[h] | BIT(b)
#ifndef MUTANT_POP_WITHOUT_CAS
                :: else
#endif
                fi
            :: else
            fi;
            b = 0;
            list_lock_give()
        }
#endif
    :: atomic { !LIST_ANY -> skip }
    fi
}

/* A step between any two operations: gives up one of the slabs, if there is one. */
inline give_up_one()
{
    if
    :: true
#if GIVE_UP
    :: atomic { owned[h] -> pick(owned[h]) }
        slab_abandon(b);
        b = 0
#endif
    fi
}

/* ---- routing of freed blocks --------------------------------------------------------------------------------- */

#if MAGAZINE == 1
#define MAGAZINE_IS_FULL (magazine[h] != 0)
#else
#define MAGAZINE_IS_FULL SEVERAL(magazine[h])
#endif

#if BATCH == 1
#define BATCH_IS_FULL(o) (1)
#else
#define BATCH_IS_FULL(o) SEVERAL(OUTBOX(h, o))
#endif

/* Block b of a slab that is mine goes into the magazine or the bitmap; the last bit releases the slab. */
inline block_place()
{
    work = work & ~BIT(b);
    todo = nothing;
    assert(!(BITS_ANY & BIT(b)) && !(OUTSIDE & BIT(b))); /* P1: a double free would show here */
    if
    :: (keep & BIT(b)) && !MAGAZINE_IS_FULL -> magazine[h] = magazine[h] | BIT(b)
    :: else ->
        assert(entry[SLAB(b)] == OWNED(h)); /* P4 */
        bits[SLAB(b)] = bits[SLAB(b)] | SLOT(b);
        if
        :: RELEASABLE(SLAB(b)) -> slab_release(SLAB(b))
#if KEEP_UNUSED
        :: RELEASABLE(SLAB(b))
#endif
        :: !RELEASABLE(SLAB(b))
        fi
    fi;
    keep = keep & ~BIT(b)
}

/* The look at a block's entry: todo says what is to be done next. */
inline block_look()
{
    pick(work);
    e = entry[SLAB(b)];
    assert(e != FREE); /* P3 */
    if
#ifdef MUTANT_FLUSH_TRUSTS_OWNER
    :: !(keep & BIT(b)) -> block_place() /* it was mine when it came into the magazine */
#elif defined(MUTANT_DRAIN_TRUSTS_PUSHER)
    :: stage == 1 -> block_place() /* whoever pushed it saw that it is mine */
#endif
    :: e == OWNED(h) -> block_place()
    :: e == OWNERLESS -> todo = claim
    :: e >= OWNED(0) && e != OWNED(h) ->
        work = work & ~BIT(b);
        keep = keep & ~BIT(b);
        assert(!(BITS_ANY & BIT(b)) && !(OUTSIDE & BIT(b))); /* P1 */
        OUTBOX(h, OWNER(e)) = OUTBOX(h, OWNER(e)) | BIT(b);
        if
        :: BATCH_IS_FULL(OWNER(e)) -> todo = push
        :: !BATCH_IS_FULL(OWNER(e))
        :: !BATCH_IS_FULL(OWNER(e)) -> todo = push /* its slot is wanted for another owner */
        fi
    fi
}

/* The entry said OWNERLESS a step ago. When another was faster: look again. */
inline block_claim()
{
    atomic {
        todo = nothing;
        if
#ifdef MUTANT_CLAIM_WITHOUT_CAS
        :: true ->
#else
        :: entry[SLAB(b)] == OWNERLESS ->
#endif
            assert(POOLS(SLAB(b)) == 0); /* P5 */
            entry[SLAB(b)] = OWNED(h);
            owned[h] = owned[h] | BIT(SLAB(b));
#ifdef MUTANT_CLAIM_LEAVES_LINK
            block_place()
#else
            if
            :: listed[SLAB(b)] -> todo = unlink /* a look without the lock: atomic in C, not the last word */
            :: else -> block_place()
            fi
#endif
#ifndef MUTANT_CLAIM_WITHOUT_CAS
        :: else
#endif
        fi
    }
    if
    :: todo == unlink ->
        list_lock_take();
        atomic {
            listed[SLAB(b)] = 0; /* when a popper was faster it is 0 already */
            list_lock_give();
            block_place()
        }
    :: else
    fi
}

/* The batch for heap o leaves the outbox; if o is gone its blocks are in my hands again. A part of a step. */
inline batch_push(o)
{
    todo = nothing;
    if
    :: inbox[o] != CLOSED -> inbox[o] = inbox[o] | OUTBOX(h, o)
    :: inbox[o] == CLOSED ->
#if !defined(MUTANT_PUSH_DROPS_ON_CLOSED) && !defined(MUTANT_PUSH_RETRIES_ON_CLOSED)
        work = work | OUTBOX(h, o)
#else
        skip
#endif
    fi;
#ifdef MUTANT_PUSH_RETRIES_ON_CLOSED
    if
    :: inbox[o] != CLOSED -> OUTBOX(h, o) = 0
    :: else
    fi
#else
    OUTBOX(h, o) = 0
#endif
}

inline batch_push_step(o)
{
#ifdef MUTANT_PUSH_NOT_ATOMIC
    /* looks whether it is closed, then pushes with a plain store */
    if
    :: atomic { inbox[o] != CLOSED -> skip }
        d_step {
            todo = nothing;
            inbox[o] = (inbox[o] | OUTBOX(h, o)) & ~CLOSED;
            OUTBOX(h, o) = 0
        }
    :: atomic { inbox[o] == CLOSED -> batch_push(o) }
    fi
#else
    d_step { batch_push(o) }
#endif
}

/* Routes every block of `work` to where its slab's owner of that moment wants it. One loop and no
 * recursion: the blocks of a batch that met a closed inbox are work again. */
inline route()
{
    do
    :: work == 0 -> break
    :: work != 0 ->
        atomic { block_look() }
        if
        :: todo == claim -> block_claim()
        :: todo == push ->
            batch_push_step(OWNER(e))
        :: todo == nothing || todo == give_back
        fi;
        if
        :: todo == give_back -> slab_give_back(SLAB(b))
        :: todo == nothing
        fi
    od;
    keep = 0;
    b = 0;
    e = 0
}

/* Freed "as if by the owner": into the magazine while there is room, or all into bitmaps. A part of a step.
 * (The empty look and the exchange are one step: only this heap ever empties the inbox.) */
inline inbox_take_all()
{
    assert(inbox[h] != CLOSED);
    work = work | inbox[h];
    inbox[h] = 0;
    if
    :: keep = work
    :: keep = 0
    fi
}

/* ---- free ---------------------------------------------------------------------------------------------------- */

/* Any subset that is not empty: whatever a real magazine takes for its older half. */
inline magazine_flush_some()
{
    b = 0;
    do
    :: b < BLOCKS && (magazine[h] & BIT(b)) && (work & ~keep || SEVERAL(magazine[h] & ~(BIT(b) - 1))) -> b++
    :: b < BLOCKS && (magazine[h] & BIT(b)) -> work = work | BIT(b); b++
    :: b < BLOCKS && !(magazine[h] & BIT(b)) -> b++
    :: b == BLOCKS -> break
    od;
    b = 0;
    magazine[h] = magazine[h] & ~work
}

/* free(p) of any block that the program has; the entry is looked at inside route. */
inline heap_free()
{
    atomic {
        if
        :: live ->
            pick(live);
            live = live & ~BIT(b);
            work = BIT(b);
            keep = BIT(b);
            if
            :: MAGAZINE_IS_FULL -> magazine_flush_some()
            :: else
            fi;
            b = 0
        :: else
        fi
    }
    route();
#if TRIM
    if
    :: true
    :: list_pop()
    fi;
#endif
    give_up_one()
}

/* ---- malloc -------------------------------------------------------------------------------------------------- */

/* e = an own slab with free bits, or SLABS */
inline own_partial()
{
    e = 0;
    do
    :: e == SLABS -> break
    :: e < SLABS && (owned[h] & BIT(e)) && bits[e] != 0 -> break
    :: e < SLABS && !((owned[h] & BIT(e)) && bits[e] != 0) -> e++
    od
}

/* The bits of slab e, one or all, into the magazine; when none is left detach it or keep it. */
inline slab_take_bits()
{
    assert(entry[e] == OWNED(h) && bits[e] != 0); /* P4 */
    if
#if MAGAZINE > 1
    :: SEVERAL(bits[e]) ->
        magazine[h] = magazine[h] | (bits[e] << (e * PER_SLAB));
        bits[e] = 0
#endif
    :: true -> /* the lowest */
        magazine[h] = magazine[h] | ((bits[e] & ~(bits[e] - 1)) << (e * PER_SLAB));
        bits[e] = bits[e] & (bits[e] - 1)
    fi;
    if
    :: bits[e] == 0 -> slab_detach(e)
#if KEEP_FULL
    :: bits[e] == 0
#endif
    :: bits[e] != 0
    fi
}

/* Block from the magazine to the program; any may be on top. A part of a step. */
inline magazine_pop()
{
    pick(magazine[h]);
    magazine[h] = magazine[h] & ~BIT(b);
    assert(!(BITS_ANY & BIT(b)) && !(OUTSIDE & BIT(b))); /* P1 */
    live = live | BIT(b);
    b = 0
}

/* Granules from the chunk allocator under its lock (one step), then the entry. */
inline slab_fresh()
{
    d_step {
        e = 0;
        do
        :: e == SLABS -> break
        :: e < SLABS && !taken[e] -> break
        :: e < SLABS && taken[e] -> e++
        od;
        if
        :: e < SLABS ->
            taken[e] = 1;
            assert(entry[e] == FREE && !listed[e]);                               /* P5 */
            assert((OUTSIDE & BLOCKS_OF(e)) == 0 && bits[e] == FULL)              /* P3 */
        :: else
        fi
    }
    if
    :: e < SLABS ->
        d_step {
            owned[h] = owned[h] | BIT(e);
            entry[e] = OWNED(h)
        }
    :: else
    fi;
    e = 0
}

/* malloc in the order of a refill: own bits, inbox, list, fresh. When everything is out it returns NULL. */
inline heap_alloc()
{
    do
    :: stage == 5 -> break
    :: stage < 5 ->
        atomic {
            if
            :: magazine[h] ->
                magazine_pop();
                stage = 5
            :: else ->
                own_partial();
                if
#ifdef MUTANT_DETACH_BEFORE_LAST_BIT
                :: e < SLABS && !SEVERAL(bits[e]) ->
                    owned[h] = owned[h] & ~BIT(e);
                    entry[e] = OWNERLESS;
                    b = e;
                    stage = 6
                :: e < SLABS && SEVERAL(bits[e]) ->
#else
                :: e < SLABS ->
#endif
                    slab_take_bits();
                    magazine_pop();
                    stage = 5
                :: else -> stage++
                fi;
                e = 0
            fi;
            if
            :: stage == 1 && inbox[h] == 0 -> stage = 2
            :: stage == 1 && inbox[h] != 0 -> inbox_take_all()
            :: else
            fi
        }
        if
        :: stage == 1 ->
#ifdef MUTANT_REFILL_KEEPS_SLAB_OVER_DRAIN
            current = SLABS;
            if
            :: atomic { owned[h] -> pick(owned[h]); current = b }
            :: atomic { owned[h] == 0 -> skip }
            fi;
#endif
            route();
#ifdef MUTANT_REFILL_KEEPS_SLAB_OVER_DRAIN
            if
            :: atomic { current < SLABS && bits[current] != 0 -> e = current; slab_take_bits() }
            :: atomic { current == SLABS || bits[current] == 0 -> skip }
            fi;
            e = 0
#endif
        :: stage == 2 -> list_pop()
        :: stage == 3 -> slab_fresh()
        :: stage == 4 -> stage = 5
#ifdef MUTANT_DETACH_BEFORE_LAST_BIT
        :: atomic { stage == 6 -> magazine[h] = magazine[h] | (bits[b] << (b * PER_SLAB)) }
            atomic {
                bits[b] = 0;
                magazine_pop();
                stage = 5
            }
#endif
        :: stage == 5
        fi
    od;
    stage = 0
}

/* ---- threads start and end ------------------------------------------------------------------------------------ */

/* A heap structure is taken into use: the inbox is opened before anything can be owned. */
inline heap_start()
{
    d_step {
        assert(inbox[h] == CLOSED);
        assert(owned[h] == 0 && magazine[h] == 0 && OUTBOXES_OF(h) == 0);
        inbox[h] = 0
    }
}

/* Routes everything that a heap holds: ends only when magazine, hands and outboxes are empty together. */
inline heap_route_all()
{
    do
    ::
        atomic {
            inbox_take_all();
            keep = 0;
            work = work | magazine[h];
            magazine[h] = 0
        }
        route();
#ifdef MUTANT_EXIT_DRAINS_LAST
        outboxes_push();
        route();
        d_step {
            work = inbox[h];
            inbox[h] = 0
        }
        route();
        break
#else
        outboxes_push();
        if
        :: work == 0 -> break
        :: work != 0 /* a batch met a closed inbox */
        fi
#endif
    od
}

inline outboxes_push()
{
    do
    :: atomic { OUTBOX(h, 0) -> batch_push(0) }
    :: atomic { OUTBOX(h, 1) -> batch_push(1) }
    :: atomic { OUTBOX(h, 2) -> batch_push(2) }
    :: atomic { OUTBOXES_OF(h) == 0 -> break }
    od
}

inline slabs_abandon_all()
{
    do
    :: atomic { owned[h] == 0 -> break }
    :: atomic {
            owned[h] != 0;
            pick(owned[h]);
#ifdef MUTANT_EXIT_FORGETS_FULL
            if
            :: bits[b] == 0 -> owned[h] = owned[h] & ~BIT(b) /* it is in no list of partial slabs */
            :: else
            fi
#endif
#if KEEP_UNUSED
            if
            :: bits[b] == FULL -> slab_release(b)
            :: else
            fi
#endif
        }
        if
        :: todo == give_back -> slab_give_back(b)
#ifdef MUTANT_EXIT_FORGETS_FULL
        :: atomic { todo == nothing && !(owned[h] & BIT(b)) -> skip }
        :: atomic { todo == nothing && (owned[h] & BIT(b)) -> skip }
            slab_abandon(b)
#else
        :: todo == nothing -> slab_abandon(b)
#endif
        fi
    od;
    b = 0
}

/* stage = 1 when the inbox is closed */
inline inbox_close()
{
    d_step {
        if
#ifdef MUTANT_EXIT_CLOSES_BLINDLY
        :: true -> inbox[h] = CLOSED; stage = 1
#else
        :: inbox[h] == 0 -> inbox[h] = CLOSED; stage = 1
        :: else
#endif
        fi
    }
}

/* Nothing that can claim a slab or fill an outbox stands between the abandoning and the close. */
inline heap_exit()
{
    do
    ::
        heap_route_all();
#ifdef MUTANT_EXIT_CLOSES_FIRST
        inbox_close();
        slabs_abandon_all();
#else
        slabs_abandon_all();
        inbox_close();
#endif
        if
        :: stage == 1 -> break
        :: stage == 0
        fi
    od;
    stage = 0
}

/* ---- the shared heap -------------------------------------------------------------------------------------------- */

/* For a thread without a heap of its own: too young, or ended. The lock is taken before any other. */
inline shared_enter()
{
    atomic {
#ifndef MUTANT_SHARED_WITHOUT_LOCK
        !shared_lock;
#endif
        shared_lock = 1
    }
}

/* P2, when every thread has ended. The program may still have blocks. */
inline check_at_rest()
{
    d_step {
        assert(list_lock == 0 && !shared_lock);
        assert((owned[0] | owned[1] | owned[2] | MAGAZINE_ANY | OUTBOX_ANY | IN_ANY) == 0);
        b = 0;
        do
        :: b == SLABS -> break
        :: b < SLABS && !taken[b] ->
            assert(entry[b] == FREE && !listed[b] && bits[b] == FULL);
            assert((live & BLOCKS_OF(b)) == 0);
            b++
        :: b < SLABS && taken[b] ->
            assert(entry[b] == OWNERLESS);
            assert(((live >> (b * PER_SLAB)) & FULL) + bits[b] == FULL);
            assert(listed[b] == (bits[b] != 0)); /* what is full is found through its blocks */
#if !KEEP_UNUSED
            assert(bits[b] != FULL);
#endif
            b++
        od;
        b = 0
    }
}

/* ---- a thread ------------------------------------------------------------------------------------------------- */

mtype = { is_young, has_heap, is_late };
#ifdef MUTANT_LATE_FREE_WITH_OLD_HEAP
#define IN_SHARED (phase == is_young)
#else
#define IN_SHARED (phase != has_heap)
#endif
#define CALLS_LEFT (phase == has_heap -> allocs + frees + any : (phase == is_young -> young : late))

/* young:  calls before it has a heap, made in the shared one
 * allocs, frees, any: mallocs, frees, and calls of either kind, in any order
 * again:  1: after its exit another thread takes over the heap structure, allocates once, and exits
 * late:   frees after the exit, made in the shared heap
 * One loop, so that each operation is expanded once. */
proctype thread(byte id, young, allocs, frees, any, again, late)
{
    byte h, work, keep, b, e, stage; /* h: the heap in use; work: blocks in its hands; keep: those of them that */
    mtype todo = nothing;            /* may go into the magazine; the others are 0 between operations */
    mtype phase = has_heap;
    bit is_free;

    if
    :: young ->
        phase = is_young;
        h = SHARED
    :: !young ->
        h = id;
        if
        :: atomic { inbox[id] == CLOSED -> heap_start() }
        :: atomic { inbox[id] != CLOSED -> skip }
        fi
    fi;
    do
    :: CALLS_LEFT ->
        if
        :: phase == is_young -> young--; is_free = 0
        :: phase == is_young -> young--; is_free = 1
        :: phase == is_late -> late--; is_free = 1
        :: phase == has_heap && allocs -> allocs--; is_free = 0
        :: phase == has_heap && frees -> frees--; is_free = 1
        :: phase == has_heap && any -> any--; is_free = 0
        :: phase == has_heap && any -> any--; is_free = 1
        fi;
#if SHARED < HEAPS
        if
        :: IN_SHARED -> shared_enter()
        :: !IN_SHARED
        fi;
#endif
        if
        :: is_free ->
            is_free = 0;
            heap_free()
        :: !is_free -> heap_alloc()
        fi;
#if SHARED < HEAPS
        if
        :: IN_SHARED -> shared_lock = 0
        :: !IN_SHARED
        fi
#endif
    :: !CALLS_LEFT && phase == is_young && id == SHARED -> break /* never has its own */
    :: !CALLS_LEFT && phase == is_young && id != SHARED ->
        phase = has_heap;
        h = id;
        heap_start()
    :: !CALLS_LEFT && phase == has_heap ->
        heap_exit();
        if
        :: again ->
            again = 0;
            allocs = 1;
#ifndef MUTANT_RESTART_LEAVES_CLOSED
            heap_start()
#endif
        :: !again && late ->
            phase = is_late;
#ifndef MUTANT_LATE_FREE_WITH_OLD_HEAP
            h = SHARED
#endif
        :: !again && !late -> break
        fi
    :: !CALLS_LEFT && phase == is_late -> break
    od;
    atomic {
        ended++;
        stage = (ended == THREADS)
    }
    if
    :: stage == 1 -> /* the last one looks at what is left; what the shared heap has is not lost */
        stage = 0;
#if SHARED < HEAPS
        h = SHARED;
        shared_enter();
        heap_route_all();
        slabs_abandon_all();
        shared_lock = 0;
#endif
        check_at_rest()
    :: stage == 0
    fi
}
