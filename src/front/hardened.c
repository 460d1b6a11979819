/* hardened.c - see hardened.h. */
#include "front/hardened.h"

#include "check/check.h"
#include "check/guard.h"
#include "front/alloc.h"
#include "heap/heap.h"
#include "heap/slab.h"
#include <string.h>

/* The thread's heap, busy; NULL: the level is another one, or the thread has no heap of its own to work in now. */
static struct heap *enter(void)
{
    struct tls *tls = &neb_tls;
    if (POLICY_EVERY_CALL_SLOW || !check_is_of_states() || tls->state != THREAD_SLOW)
        return NULL;
    tls->is_busy = true;
    atomic_signal_fence(memory_order_seq_cst);
    return tls->aside;
}

static void leave(void)
{
    atomic_signal_fence(memory_order_seq_cst);
    neb_tls.is_busy = false;
}

/* The state of the block that begins at p; NULL: none does, or it is not kept. Where a slab is one granule p says where it begins. */
NEB_INLINE _Atomic uint8_t *state_at(const void *p, const struct size_class *class)
{
    const struct chunk *chunk = page_map_chunk(p);
    unsigned granule = chunk_granule_of(p);
    size_t offset = ptr_address(p) % GRANULE_BYTES;
    if (NEB_UNLIKELY(size_class_is_big(class))) {
        offset += (size_t)(granule - chunk->head[granule]) << GRANULE_SHIFT;
        granule = chunk->head[granule];
    }
    size_t index = size_class_index(class, offset);
    _Atomic uint8_t *states = chunk->slab[granule].records;
    return NEB_LIKELY(index * class->size == offset && index < class->capacity && states != NULL) ? &states[index] : NULL;
}

static void *alloc_from(struct heap *heap, size_t room)
{
    unsigned class_index = size_class_of(room);
    void *block = bin_pop(&heap->bin[class_index]);
    if (NEB_UNLIKELY(block == NULL))
        return NULL;
    _Atomic uint8_t *state = state_at(block, &neb_size_class[class_index]);
    if (NEB_LIKELY(state != NULL))
        atomic_store_explicit(state, RECORD_LIVE, memory_order_release); /* R2 */
    return block;
}

void *neb_hardened_alloc(size_t size)
{
    if (size >= SMALL_MAX || (POLICY_GUARD && neb_guard_is_wanted))
        return NULL;
    struct heap *heap = enter();
    if (heap == NULL)
        return NULL;
    void *block = alloc_from(heap, size + 1);
    leave();
    return block;
}

/* A block that is not LIVE stays as it is. */
static bool state_release(_Atomic uint8_t *state)
{
    uint8_t live = RECORD_LIVE;
    return atomic_compare_exchange_strong_explicit(state, &live, RECORD_RELEASED, memory_order_acq_rel, memory_order_relaxed); /* K1 */
}

/* p is kept back; what waits longest comes into the magazine, which has room. Big blocks do not wait: they are much memory. */
NEB_INLINE void give(struct heap *heap, unsigned class_index, void *p)
{
    struct waiting *waiting = &heap->waiting[class_index];
    void *next = p;
    if (NEB_LIKELY(!size_class_is_big(&neb_size_class[class_index]))) {
        next = waiting->block[waiting->next];
        waiting->block[waiting->next] = p;
        waiting->next = (uint8_t)(waiting->next + 1 == HARDEN_WAITING ? 0 : waiting->next + 1);
    }
    if (NEB_LIKELY(next != NULL))
        *++heap->bin[class_index].top = next;
}

void neb_hardened_wait(struct heap *heap, unsigned class_index, void *p)
{
    struct bin *bin = &heap->bin[class_index];
    if (POLICY_EVERY_CALL_SLOW || !check_is_of_states() || *bin->top != p)
        return;
    bin->top--;
    give(heap, class_index, p);
}

/* Of the bin for p; larger than any where p lies in no slab of the heap. */
static size_t offset_of(struct heap *heap, const void *p)
{
    size_t offset = window_load(&heap->window, p) ^ heap->tag;
    if (NEB_LIKELY(offset <= ENTRY_OFFSET_MASK) || heap->window.count == atomic_load_explicit(&neb_window_count, memory_order_relaxed))
        return offset; /* a count only: window_copy orders */
    heap->window = window_copy();
    return window_load(&heap->window, p) ^ heap->tag;
}

static bool free_to(struct heap *heap, void *p)
{
    size_t offset = offset_of(heap, p);
    if (NEB_UNLIKELY(offset > ENTRY_OFFSET_MASK))
        return false;
    struct bin *bin = heap_bin_at(heap, offset);
    unsigned class_index = size_class_of_offset(offset);
    _Atomic uint8_t *state = state_at(p, &neb_size_class[class_index]);
    if (NEB_UNLIKELY(state == NULL || bin->top == bin->limit || !state_release(state)))
        return false;
    give(heap, class_index, p);
    return true;
}

/* The block is free already, but nobody else can take it before the thread leaves its heap. */
static NEB_NOINLINE void wipe(const struct heap *heap, void *p)
{
    memset(p, 0, neb_size_class[entry_class(window_load(&heap->window, p))].size);
}

bool neb_hardened_free(void *p)
{
    struct heap *heap = enter();
    if (heap == NULL)
        return false;
    bool done = free_to(heap, p);
    if (NEB_UNLIKELY(check_has(CHECK_FILL)) && done)
        wipe(heap, p);
    leave();
    return done;
}
