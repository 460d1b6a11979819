/* size.c - how large a block is; see alloc.h and alloc_inner.h.
 *
 * Law        the size is the whole block's, whatever was asked for; of guarded and dressed blocks it is what was asked for
 *            what begins no block is reported; that a block is free, only as far as it costs little to know */
#include "front/alloc_inner.h"
#include "front/loader.h"
#include "front/region.h"
#include "heap/emergency.h"
#include "heap/fault.h"
#include "heap/large.h"
#include "heap/magazine.h"
#include "heap/slab.h"

/* From p to the end of its block; 0: p is not the beginning of a block. */
static size_t block_size(const void *p, uint32_t entry)
{
    if (entry == ENTRY_EMERGENCY)
        return neb_emergency_usable(p);
    if (!entry_is_pooled(entry))
        return neb_large_usable(p, entry);
    const struct slab *slab = slab_of(p);
    return slab_block_index(slab, p) == SIZE_MAX ? 0 : neb_size_class[slab->class_index].size;
}

NEB_SELDOM size_t neb_size_any(const void *p, uint32_t entry, const char *call)
{
    if (NEB_UNLIKELY(entry_is_region(entry)))
        return neb_region_usable(p, entry, call);
    size_t size = block_size(p, entry);
    if (NEB_UNLIKELY(size == 0) && !(entry == ENTRY_NONE && (size = neb_loader_size(p)) != 0))
        neb_fault_invalid(call, p);
    return size;
}

/* The size of a block that the program goes on using. It is free in spite of that when its slab is mine and its bit is
 * set, or it is one of the newest entries of the magazine. Whoever owns another slab may be changing it at this moment,
 * so of those only the beginnings of blocks are looked at. */
size_t neb_size_live(const void *p, uint32_t entry, const char *call)
{
    if (!entry_is_pooled(entry))
        return neb_size_any(p, entry, call);
    const struct slab *slab = slab_of(p);
    const struct heap *heap = heap_current();
    enum slab_answer answer = is_mine(heap, entry)                     ? neb_slab_look(slab, p)
                              : slab_block_index(slab, p) == SIZE_MAX ? SLAB_NOT_A_BLOCK
                                                                      : SLAB_OK;
    if (answer == SLAB_ALREADY_FREE || (answer == SLAB_OK && is_mine(heap, entry) && neb_magazine_knows(heap, slab->class_index, p, FREED_LOOKS)))
        neb_fault_freed(call, p);
    if (answer != SLAB_OK)
        neb_fault_invalid(call, p);
    return neb_size_class[slab->class_index].size;
}

/* The size of a block whose caller only asks, as many do before each free: the page map and the address must do, since
 * the slab's descriptor is a line that nothing else here would read. Of free blocks it knows the newest or, where the magazine is wary, all in it. */
static size_t asked_size(const void *p, uint32_t entry, const char *call)
{
    if (!entry_is_pooled(entry))
        return neb_size_any(p, entry, call);
    unsigned class_index = entry_class(entry);
    const struct size_class *class = &neb_size_class[class_index];
    if (size_class_is_wide(class))
        return neb_size_live(p, entry, call);
    if (NEB_UNLIKELY(!size_class_is_begin(class, ptr_address(p) % GRANULE_BYTES)))
        neb_fault_invalid(call, p);
    if (NEB_UNLIKELY(neb_magazine_knows(heap_current(), class_index, p, 1)))
        neb_fault_freed(call, p);
    return class->size;
}

/* Of the loader's blocks no byte more than the program knows of. */
NEB_SELDOM size_t neb_usable_size(const void *p)
{
    uint32_t entry = page_map_load(p);
    if (p == NULL || (entry == ENTRY_NONE && neb_loader_owns(p)))
        return 0;
    size_t size;
    if (is_guarded(p, entry))
        return neb_guard_size(p, "malloc_usable_size", &size) ? size : 0;
    if (check_is_on() && neb_check_knows(p))
        return neb_check_size(p, "malloc_usable_size", &size) ? size : 0;
    return asked_size(p, entry, "malloc_usable_size");
}
