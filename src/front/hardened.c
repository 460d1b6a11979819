/* hardened.c - see hardened.h. */
#include "front/hardened.h"

#include "heap/chunk.h"
#include "heap/upkeep.h"
#include <errno.h>
#include <string.h>

/* NULL: no block begins at p, or its state is not kept. Where a slab is several granules, the chunk says where it begins. */
static _Atomic uint8_t *state_of(const void *p)
{
    const struct slab *slab = slab_of(p);
    size_t index = slab_block_index(slab, p);
    _Atomic uint8_t *states = slab->records;
    return index == SIZE_MAX || states == NULL ? NULL : &states[index];
}

static void window_refresh(struct heap *heap)
{
    if (heap->window.count != atomic_load_explicit(&neb_window_count, memory_order_relaxed)) /* a count only: window_copy orders */
        heap->window = window_copy();
}

static void wake(struct heap *heap)
{
    int saved = errno;
    neb_heap_wake(heap);
    errno = saved;
}

void *neb_hardened_alloc_rest(struct heap *heap, size_t size)
{
    struct bin *bin = &heap->bin[size_class_of(size + 1)];
    if (heap_is_watched(heap) && bin_newest(bin) != NULL) /* else the long way does it */
        wake(heap);
    void *block = bin_pop(bin); /* none, if the pool was idle */
    _Atomic uint8_t *state = block == NULL ? NULL : state_of(block);
    window_refresh(heap);
    if (state != NULL)
        atomic_store_explicit(state, RECORD_LIVE, memory_order_release); /* R2 */
    hardened_leave();
    return block;
}

/* Big blocks do not wait: they are much memory. */
static void give(struct heap *heap, unsigned class_index, void *p)
{
    struct bin *bin = &heap->bin[class_index];
    if (size_class_is_big(&neb_size_class[class_index]))
        *++bin->top = p;
    else
        hardened_give(bin, &heap->waiting[class_index], p);
}

void neb_hardened_wait(struct heap *heap, unsigned class_index, void *p)
{
    struct bin *bin = &heap->bin[class_index];
    if (POLICY_EVERY_CALL_SLOW || !neb_states_are_in_window || *bin->top != p)
        return;
    bin->top--;
    give(heap, class_index, p);
}

static bool free_to(struct heap *heap, void *p)
{
    size_t offset = window_load(&heap->window, p) ^ heap->tag;
    if (offset > ENTRY_OFFSET_MASK)
        return false;
    const struct bin *bin = heap_bin_at(heap, offset);
    unsigned class_index = size_class_of_offset(offset);
    _Atomic uint8_t *state = state_of(p);
    if (state == NULL || bin->top == bin->limit || !hardened_release(state))
        return false;
    if (check_has(CHECK_FILL)) /* nobody else can take it before the thread leaves its heap */
        memset(p, 0, neb_size_class[class_index].size);
    give(heap, class_index, p);
    return true;
}

bool neb_hardened_free_rest(struct heap *heap, void *p)
{
    window_refresh(heap);
    bool done = free_to(heap, p);
    hardened_leave();
    return done;
}

void *neb_hardened_alloc(size_t size)
{
    struct heap *heap;
    void *block = hardened_alloc(size, &heap);
    return block != NULL || heap == NULL ? block : neb_hardened_alloc_rest(heap, size);
}

bool neb_hardened_free(void *p)
{
    struct heap *heap;
    return hardened_free(p, &heap) || (heap != NULL && neb_hardened_free_rest(heap, p));
}
