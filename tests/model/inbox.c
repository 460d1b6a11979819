/* inbox.c - the inbox in C11: two producers push a batch each while the owner drains and closes.
 *
 *   producer: inbox_push --> head -> batch -> batch --> inbox_take_all: the owner, which reads the contents
 *
 * Shows      every batch is taken once or given back; contents written before the push are read without a race
 * Sync       I1: push releases, take_all acquires; the CAS of a second push continues the first's release
 *                sequence, so the exchange acquires from every producer in the chain
 *            I2: close releases what the owner did before, a push that meets CLOSED acquires it: the producer
 *                then sees the entries of the slabs that were given up, and does not come back for ever */
#include "model.h"

struct batch {
    struct batch *next;
    int content; /* plain on purpose */
};

#if defined(MUTANT_PUSH_WITHOUT_RELEASE)
#define PUSH_ORDER memory_order_acquire
#else
#define PUSH_ORDER memory_order_release
#endif
#if defined(MUTANT_TAKE_RELAXED)
#define TAKE_ORDER memory_order_relaxed
#else
#define TAKE_ORDER memory_order_acquire
#endif
#if defined(MUTANT_CLOSE_RELAXED)
#define CLOSE_ORDER memory_order_relaxed
#else
#define CLOSE_ORDER memory_order_release
#endif

static struct batch closed; /* its address is the distinguished value; never read */
static struct batch batch[2];
static _Atomic(struct batch *) head;
static int slabs_owned; /* plain: what the owner gives up before it closes */
static int taken[2], given_back[2];

static int inbox_push(struct batch *b)
{
    struct batch *old = atomic_load_explicit(&head, memory_order_acquire); /* I2 */
    do {
        if (old == &closed)
            return 0;
#ifndef MUTANT_PUSH_LINKS_LATE
        b->next = old;
#endif
#ifdef MUTANT_PUSH_STORES
        WIDEN();
        atomic_store_explicit(&head, b, PUSH_ORDER);
        return 1;
#endif
    } while (!atomic_compare_exchange_weak_explicit(&head, &old, b, PUSH_ORDER,  /* I1 */
                                                    memory_order_acquire /* I2 */));
#ifdef MUTANT_PUSH_LINKS_LATE
    b->next = old;
#endif
    return 1;
}

static void inbox_drain(void)
{
    struct batch *b = atomic_exchange_explicit(&head, NULL, TAKE_ORDER); /* I1 */
    for (; b != NULL; b = b->next)
        taken[b->content]++;
}

static int inbox_close(void)
{
#ifdef MUTANT_CLOSE_STORES
    WIDEN();
    atomic_store_explicit(&head, &closed, CLOSE_ORDER);
    return 1;
#else
    struct batch *none = NULL;
    return atomic_compare_exchange_strong_explicit(&head, &none, &closed, CLOSE_ORDER /* I2 */,
                                                   memory_order_relaxed);
#endif
}

static void produce(int i)
{
    batch[i].content = i;
    if (!inbox_push(&batch[i])) {
        MUST(slabs_owned == 0); /* I2 */
        given_back[i]++;
    }
}

static void *producer_0(void *unused)
{
    produce(0);
    return unused;
}

static void *producer_1(void *unused)
{
    produce(1);
    return unused;
}

static void *owner(void *unused)
{
    do {
        inbox_drain();
        slabs_owned = 0;
    } while (!inbox_close()); /* at most once for each producer */
    return unused;
}

int main(void)
{
    static void *(*const body[])(void *) = {producer_0, owner, producer_1};
    for (int scene = 0; scene < SCENES; scene++) {
        atomic_store_explicit(&head, NULL, memory_order_relaxed);
        slabs_owned = 1;
        for (int i = 0; i < 2; i++)
            taken[i] = given_back[i] = 0;
        threads_run(body, 3);
        for (int i = 0; i < 2; i++)
            MUST(taken[i] + given_back[i] == 1);
        MUST(atomic_load_explicit(&head, memory_order_relaxed) == &closed);
    }
    return 0;
}
