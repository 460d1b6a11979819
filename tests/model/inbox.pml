/* inbox.pml - the inbox pointer by pointer: a stack of batches, many producers, one owner.
 *
 *   push      old = head; CLOSED? give the batch back : batch.next = old; CAS(head, old, batch) or again
 *   take_all  first = exchange(head, NULL), then walk the links
 *   close     CAS(head, NULL, CLOSED), by the owner at its exit; when it fails: take_all and again
 *   open      head = NULL, by the thread that takes the heap structure over
 *
 * Every read and every write of a link or the head is a step of its own. Batches are few and go round: a
 * taken one may be pushed again at once, by any producer, so that a head may change and change back (ABA)
 * between a producer's look and its CAS.
 *
 * I1  a batch that was pushed is taken once, and whole chains are (no batch is walked that is not pushed)
 * I2  nothing is pushed to a closed inbox, and nothing is in one
 * I3  at the end every batch is free or was given back to its producer; every run ends (-DNP)
 */
#ifndef BATCHES
#define BATCHES 3
#endif
#ifndef PUSHES
#define PUSHES 2
#endif
#ifndef LIVES
#define LIVES 2 /* how often the owner opens and closes */
#endif
#ifndef PRODUCERS
#define PRODUCERS 3
#endif
#define NIL 0
#define CLOSED 7 /* batches are 1 to BATCHES */

mtype = { idle, filling, pushed, walked };

byte head = CLOSED;
byte next[BATCHES + 1];
mtype where[BATCHES + 1] = idle; /* ghost */
byte given_back, through;        /* ghosts */

inline batch_get()
{
    atomic {
        if
        :: where[1] == idle -> n = 1
        :: where[2] == idle -> n = 2
#if BATCHES > 2
        :: where[3] == idle -> n = 3
#endif
        fi;
        where[n] = filling;
        next[n] = CLOSED /* nonsense on purpose */
    }
}

inline batch_push()
{
    do
    ::
        old = head;
        if
        :: old == CLOSED ->
            d_step {
                where[n] = idle;
                given_back++
            }
            break
        :: old != CLOSED
        fi;
#ifdef MUTANT_PUSH_STORES
        next[n] = old;
        d_step {
            head = n;
            where[n] = pushed
        }
        break
#else
#ifndef MUTANT_PUSH_LINKS_LATE
        next[n] = old;
#endif
        d_step {
            if
            :: head == old ->
                assert(head != CLOSED); /* I2 */
                head = n;
                where[n] = pushed;
                done = 1
            :: else
            fi
        }
        if
        :: done ->
#ifdef MUTANT_PUSH_LINKS_LATE
            next[n] = old;
#endif
            break
        :: !done
        fi
#endif
    od;
    n = 0;
    old = 0;
    done = 0
}

inline inbox_take_all()
{
#ifdef MUTANT_TAKE_IN_TWO_STEPS
    first = head;
    head = NIL;
#else
    d_step {
        first = head;
        head = NIL
    }
#endif
    assert(first != CLOSED); /* I2: only the owner closes */
    do
    :: first == NIL -> break
    :: first != NIL ->
        assert(first <= BATCHES && where[first] == pushed); /* I1 */
#ifdef MUTANT_WALK_READS_LINK_LATE
        where[first] = idle; /* recycled, and then its link is read */
        first = next[first]
#else
        link = next[first];
        where[first] = idle;
        first = link
#endif
    od;
    link = 0
}

proctype producer()
{
    byte n, old, count;
    bit done;
    do
    :: count == PUSHES -> break
    :: count < PUSHES ->
        count++;
        batch_get();
        batch_push()
    od;
    through++
}

proctype owner()
{
    byte first, link, lives;
    bit done;
    do
    :: lives == LIVES -> break
    :: lives < LIVES ->
        lives++;
        head = NIL;
        do
        :: done -> break
        :: !done ->
            inbox_take_all();
            d_step {
#ifdef MUTANT_CLOSE_STORES
                head = CLOSED;
                done = 1
#else
                if
                :: head == NIL ->
                    head = CLOSED;
                    done = 1
                :: else
                fi
#endif
            }
        od;
        done = 0
    od;
    through++
}

init
{
    atomic {
        run owner();
        run producer();
        run producer();
#if PRODUCERS > 2
        run producer()
#endif
    }
    through == PRODUCERS + 1;
    d_step {
        assert(head == CLOSED);
        assert(where[1] == idle && where[2] == idle); /* I3 */
#if BATCHES > 2
        assert(where[3] == idle)
#endif
    }
}
