/* span.pml - the page map of a slab of two granules. The first granule's entry says who owns the slab; the
 * second's follows and may lag. free looks at the entry of the block's own granule and trusts it only if it
 * says "mine"; in all other cases the first granule's entry decides.
 *
 *   claim           compare-and-swap on the first, then the second
 *   detach          the second, THEN the first: whoever claims the slab next may release it, and its granules
 *   release         both, then the granules are given back; any order of the two
 *   large block     takes the granules for something else, and relies on its entries
 *
 * G1  when h finds OWNED(h) in the second entry, the slab is its own                              block_place
 * G2  nobody writes entries of granules that he does not have                              large, fresh
 * G3  as P1, P3, P4: bitmaps by the owner only, no block twice, no release while a block is out
 */
#define FREE 0
#define OWNERLESS 1
#define OWNED(h) ((h) + 2)
#define LARGE 9
#define HEAPS 3
#ifndef OPERATIONS
#define OPERATIONS 3
#endif

byte first = OWNERLESS, second = OWNERLESS; /* the two entries */
bit taken = 1;                              /* the granules */
byte live = 3;                              /* block 0 is in the first granule, block 1 in the second */
byte bits;                                  /* free bitmap */
byte inbox[HEAPS];

inline slab_detach()
{
#ifdef MUTANT_DETACH_FIRST_GRANULE_FIRST
    first = OWNERLESS;
    second = OWNERLESS
#else
    second = OWNERLESS;
    first = OWNERLESS
#endif
}

inline slab_release()
{
    d_step {
        assert(live == 0 && (inbox[0] | inbox[1] | inbox[2]) == 0); /* G3 */
        assert(first == OWNED(h));
        bits = 0;
#ifdef MUTANT_RELEASE_LEAVES_SECOND
        skip
    }
#else
        second = FREE
    }
#endif
    first = FREE;
    taken = 0
}

/* block b (a set of one) of a slab that is mine */
inline block_place()
{
    d_step {
        assert(first == OWNED(h) && !(bits & b)); /* G1, G3 */
        bits = bits | b;
        done = 1
    }
    if
    :: bits == 3 -> slab_release()
    :: else
    fi
}

inline block_free()
{
    done = 0;
    do
    :: done -> break
    :: !done ->
        e = (b == 1 -> first : second);
        assert(e != FREE && e != LARGE);
        if
        :: e == OWNED(h) -> block_place()
        :: e != OWNED(h) ->
#ifndef MUTANT_SECOND_GRANULE_DECIDES
            e = first;
#endif
            if
            :: e == OWNED(h) -> block_place()
            :: e == OWNERLESS ->
                d_step {
#ifdef MUTANT_SECOND_GRANULE_DECIDES
                    if
                    :: b == 1 && first == OWNERLESS -> first = OWNED(h)
                    :: b == 2 && second == OWNERLESS -> second = OWNED(h)
                    :: else -> e = FREE
                    fi
#else
                    if
                    :: first == OWNERLESS -> first = OWNED(h)
                    :: else -> e = FREE /* another was faster */
                    fi
#endif
                }
                if
                :: e == OWNERLESS ->
                    second = OWNED(h);
                    block_place()
                :: e == FREE
                fi
            :: e >= OWNED(0) && e != OWNED(h) ->
                d_step {
                    inbox[e - OWNED(0)] = inbox[e - OWNED(0)] | b;
                    done = 1
                }
            fi
        fi
    od;
    done = 0;
    b = 0;
    e = 0
}

inline inbox_drain()
{
    do
    :: atomic {
            inbox[h] != 0;
            b = (inbox[h] & 1 -> 1 : 2);
            inbox[h] = inbox[h] & ~b
        }
        block_free()
    :: inbox[h] == 0 -> break
    od
}

/* malloc of a small block: own bits, or the granules as a fresh slab */
inline slab_alloc()
{
    if
    :: first == OWNED(h) && bits ->
        d_step {
            b = (bits & 1 -> 1 : 2);
            bits = bits & ~b;
            live = live | b
        }
        b = 0;
        if
        :: bits == 0 -> slab_detach()
        :: true
        fi
    :: atomic { !taken -> taken = 1; assert(first == FREE && second == FREE) } /* G2 */
        bits = 2;
        first = OWNED(h);
        second = OWNED(h);
        live = live | 1
    :: atomic { taken && !(first == OWNED(h) && bits) -> skip }
    fi
}

/* malloc and free of a large block */
inline large()
{
    if
    :: atomic { !taken -> taken = 1; assert(first == FREE && second == FREE) } /* G2 */
        first = LARGE;
        second = LARGE;
        d_step {
            assert(first == LARGE && second == LARGE); /* G2 */
            first = FREE;
            second = FREE
        }
        taken = 0
    :: atomic { taken -> skip }
    fi
}

proctype heap(byte h)
{
    byte b, e, ops;
    bit done;
    do
    :: ops == OPERATIONS -> break
    :: ops < OPERATIONS ->
        ops++;
        if
        :: slab_alloc()
        :: large()
        :: atomic { live -> b = (live & 1 -> 1 : 2); live = live & ~b }
            block_free()
        :: atomic { live == 3 -> b = 2; live = 1 }
            block_free()
        :: inbox_drain()
        fi
    od
}

init
{
    atomic {
        run heap(0);
        run heap(1);
        run heap(2)
    }
}
