/* inbox.c - the inbox in C11: two producers push a batch each while the owner drains and closes.
 *
 *   producer: inbox_push --> head -> batch -> batch --> inbox_take_all: the owner, which reads the contents
 *
 * Shows      every batch is taken once or given back; contents written before the push are read without a race
 * Sync       I1: push releases, take_all acquires; the CAS of a second push continues the first's release
 *                sequence, so the exchange acquires from every producer in the chain
 *            Open, close, and the look that meets CLOSED are relaxed: nothing is handed over. A producer that is
 *            refused may still see an entry of a slab that was given up for a moment, and is refused again */
#include "model.h"

struct batch {
    struct batch *next;
    int content; /* plain on purpose */
};

#if defined(MUTANT_PUSH_RELAXED)
#define PUSH_ORDER memory_order_relaxed
#else
#define PUSH_ORDER memory_order_release
#endif
#if defined(MUTANT_TAKE_RELAXED)
#define TAKE_ORDER memory_order_relaxed
#else
#define TAKE_ORDER memory_order_acquire
#endif
static struct batch closed; /* its address is the distinguished value; never read */
static struct batch batch[2];
static _Atomic(struct batch *) head;
static int taken[2], given_back[2];

static int inbox_push(struct batch *b)
{
    struct batch *old = atomic_load_explicit(&head, memory_order_relaxed); /* only compared and linked */
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
    } while (!atomic_compare_exchange_weak_explicit(&head, &old, b, PUSH_ORDER, /* I1 */
                                                    memory_order_relaxed));
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
    atomic_store_explicit(&head, &closed, memory_order_relaxed);
    return 1;
#else
    struct batch *none = NULL;
    return atomic_compare_exchange_strong_explicit(&head, &none, &closed, memory_order_relaxed,
                                                   memory_order_relaxed);
#endif
}

static void produce(int i)
{
    batch[i].content = i;
    if (!inbox_push(&batch[i]))
        given_back[i]++;
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
    do
        inbox_drain();
    while (!inbox_close()); /* again at most once for each producer */
    return unused;
}

int main(void)
{
    static void *(*const body[])(void *) = {producer_0, owner, producer_1};
    for (int scene = 0; scene < SCENES; scene++) {
        atomic_store_explicit(&head, NULL, memory_order_relaxed);
        for (int i = 0; i < 2; i++)
            taken[i] = given_back[i] = 0;
        threads_run(body, 3);
        for (int i = 0; i < 2; i++)
            MUST(taken[i] + given_back[i] == 1);
        MUST(atomic_load_explicit(&head, memory_order_relaxed) == &closed);
    }
    return 0;
}
