/* tray.pml - a thread's tray before the quarantine's ring: one adds, others empty it under the lock.
 *
 *   add       held[count] = block, count + 1; full? pass on. Full before, and still after passing on: into the ring
 *   pass on   under the lock: empty; all of it came into the ring? taken = count = 0
 *   empty     under the lock: held[taken] into the ring, taken + 1, while taken < count and the ring has places
 *   leave     under the lock: one block out of the ring
 *
 * Every read and every write of the tray is a step of its own.
 *
 * T1  a block comes into the ring once, and only what was added does
 * T2  at the end every block left: nothing is lost in a tray; every run ends (-DNP)
 */
#ifndef TRAY
#define TRAY 2
#endif
#ifndef BLOCKS
#define BLOCKS 4
#endif
#ifndef PLACES
#define PLACES 3 /* of the ring */
#endif
#ifndef GATHERS
#define GATHERS 2 /* how often each of the others empties the tray */
#endif

mtype = { out, on_tray, in_ring, gone };

byte held[TRAY];
byte count, taken, places;
bit lock;
mtype where[BLOCKS + 1] = out; /* ghost */
byte through;                  /* ghost */

inline lock_take()
{
    atomic {
        lock == 0;
        lock = 1
    }
}

inline into_ring(block)
{
    d_step {
        assert(where[block] == on_tray); /* T1 */
        where[block] = in_ring
    }
}

inline tray_empty()
{
    end = count;
    do
    :: taken < end && places < PLACES ->
        places++;
        b = held[taken];
        into_ring(b);
#ifndef MUTANT_GATHER_LEAVES_TAKEN
        taken++
#else
        if
        :: mine -> taken++
        :: !mine -> end-- /* it looks at no more than there are */
        fi
#endif
    :: !(taken < end && places < PLACES) -> break
    od;
    b = 0;
    end = 0
}

inline tray_pass_on()
{
    lock_take();
    tray_empty();
#ifdef MUTANT_RESET_AFTER_UNLOCK
    lock = 0;
#endif
    if
#ifdef MUTANT_RESET_WITH_BLOCKS_LEFT
    :: true ->
#else
    :: taken == count ->
#endif
        taken = 0;
        count = 0
#ifndef MUTANT_RESET_WITH_BLOCKS_LEFT
    :: taken != count
#endif
    fi;
    lock = 0
}

inline ring_leave()
{
    d_step {
        b = 1;
        do
        :: b <= BLOCKS && where[b] != in_ring -> b++
        :: else -> break
        od;
        if
        :: b <= BLOCKS ->
            where[b] = gone;
            places--
        :: else
        fi;
        b = 0
    }
}

proctype owner()
{
    byte next, n, b, end;
    bit mine = 1;
    do
    :: next == BLOCKS -> break
    :: next < BLOCKS ->
        next++;
        n = count;
        if
        :: n == TRAY ->
            tray_pass_on();
            n = count
        :: n < TRAY
        fi;
        if
        :: n == TRAY ->
            lock_take();
            d_step {
                if
                :: places < PLACES ->
                    places++;
                    where[next] = in_ring
                :: else -> where[next] = gone /* refused: it does not wait */
                fi
            }
            lock = 0
        :: n < TRAY ->
#ifdef MUTANT_COUNT_BEFORE_BLOCK
            count = n + 1;
            d_step {
                held[n] = next;
                where[next] = on_tray
            }
#else
            d_step {
                held[n] = next;
                where[next] = on_tray
            }
            count = n + 1;
#endif
            if
            :: n + 1 == TRAY -> tray_pass_on()
            :: n + 1 < TRAY
            fi
        fi;
        n = 0
    od;
    through++
}

proctype other()
{
    byte rounds, b, end;
    bit mine = 0;
    do
    :: rounds == GATHERS -> break
    :: rounds < GATHERS ->
        rounds++;
        lock_take();
        tray_empty();
        lock = 0;
        if
        :: lock_take();
            ring_leave();
            lock = 0
        :: true
        fi
    od;
    through++
}

init
{
    byte b, end;
    bit mine = 0;
    atomic {
        run owner();
        run other();
        run other()
    }
    through == 3;
    lock_take();
    do
    :: taken == count -> break
    :: taken != count ->
        tray_empty();
        ring_leave()
    od;
    do
    :: places == 0 -> break
    :: places != 0 -> ring_leave()
    od;
    lock = 0;
    d_step {
        b = 1;
        do
        :: b <= BLOCKS ->
            assert(where[b] == gone); /* T2 */
            b++
        :: else -> break
        od
    }
}
