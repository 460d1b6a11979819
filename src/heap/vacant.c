/* vacant.c - see vacant.h. */
#include "heap/vacant.h"

#include "heap/upkeep.h"
#include "os/env.h"
#include "os/lock.h"

/* Linked by next_vacant, under the lock. */
static struct heap *parked; /* newest first */
static struct heap *empty;
static _Atomic uint32_t parked_count; /* a look without the lock may save taking it */

static void lists_lock(void)
{
    neb_lock_take(&neb_locks[LOCK_HEAP_TABLE]);
}

static void lists_unlock(void)
{
    neb_lock_give(&neb_locks[LOCK_HEAP_TABLE]);
}

static uint32_t count_parked(void)
{
    return atomic_load_explicit(&parked_count, memory_order_relaxed); /* a hint, or under the lock */
}

static void push(struct heap **list, struct heap *heap)
{
    heap->next_vacant = *list;
    *list = heap;
}

static struct heap *pop(struct heap **list)
{
    struct heap *heap = *list;
    if (heap != NULL)
        *list = heap->next_vacant;
    return heap;
}

static bool park(struct heap *heap)
{
    heap->parked_ms = neb_clock_ms();
    lists_lock();
    bool has_room = count_parked() < PARKED_HEAPS;
    if (has_room) {
        push(&parked, heap);
        atomic_fetch_add_explicit(&parked_count, 1, memory_order_relaxed);
    }
    lists_unlock();
    return has_room;
}

static void make_empty(struct heap *heap)
{
    neb_heap_give_up(heap);
    lists_lock();
    push(&empty, heap);
    lists_unlock();
}

NEB_THREADED void neb_vacant_put(struct heap *heap)
{
    if (count_parked() >= PARKED_HEAPS || !neb_heap_settle(heap) || !park(heap))
        make_empty(heap);
}

struct heap *neb_vacant_take_parked(void)
{
    if (count_parked() == 0)
        return NULL;
    lists_lock();
    struct heap *heap = pop(&parked);
    if (heap != NULL)
        atomic_fetch_sub_explicit(&parked_count, 1, memory_order_relaxed);
    lists_unlock();
    return heap;
}

struct heap *neb_vacant_take_empty(void)
{
    lists_lock();
    struct heap *heap = pop(&empty);
    lists_unlock();
    return heap;
}

/* The list's end: whoever is behind one that is old enough is older. One that was parked since the clock was read passes for old. */
static struct heap *take_old(uint32_t now_ms, uint32_t age_ms)
{
    lists_lock();
    struct heap **link = &parked;
    while (*link != NULL && now_ms - (*link)->parked_ms < age_ms)
        link = &(*link)->next_vacant;
    struct heap *old = *link;
    *link = NULL;
    for (const struct heap *heap = old; heap != NULL; heap = heap->next_vacant)
        atomic_fetch_sub_explicit(&parked_count, 1, memory_order_relaxed);
    lists_unlock();
    return old;
}

static NEB_THREADED void retire(uint32_t now_ms, uint32_t age_ms)
{
    for (struct heap *heap = take_old(now_ms, age_ms), *next; heap != NULL; heap = next) {
        next = heap->next_vacant;
        make_empty(heap);
    }
}

void neb_vacant_retire(uint32_t now_ms, uint32_t age_ms)
{
    if (NEB_UNLIKELY(count_parked() != 0))
        retire(now_ms, age_ms);
}
