/* meta.c - see meta.h. */
#include "heap/meta.h"

#include "base/panic.h"
#include "base/ptr.h"
#include "os/lock.h"
#include "os/vm.h"
#include "policy/tuning.h"
#include <stdbool.h>
#include <string.h>

enum { ORDER_MIN = 8, ORDER_MAX = 20, ARRAY_ALIGNMENT = 1 << ORDER_MIN };

struct free_array {
    struct free_array *next;
};

static unsigned char *region;     /* the rest of the newest region */
static size_t region_bytes;
static size_t taken_bytes;
static struct free_array *free_arrays[ORDER_MAX + 1];

/* A region of at least bytes, with an inaccessible page on each side. What was left of the old one is given up. */
static bool region_renew(size_t bytes)
{
    size_t page = neb_vm_page_size();
    size_t usual = region == NULL ? META_REGION_BYTES_FIRST : META_REGION_BYTES;
    size_t size = bytes > usual ? size_align_up(bytes, page) : usual;
    unsigned char *base = neb_vm_map(size + 2 * page);
    if (base == NULL)
        return false;
    (void)neb_vm_guard(base, page);
    (void)neb_vm_guard(base + page + size, page);
    region = base + page;
    region_bytes = size;
    return true;
}

static void *take_locked(size_t bytes, size_t alignment)
{
    size_t padding = region == NULL ? 0 : ptr_offset(ptr_align_up(region, alignment), region);
    if (region_bytes < bytes + padding) {
        if (!region_renew(bytes))
            return NULL;
        padding = 0; /* a region begins at a page */
    }
    unsigned char *base = region + padding;
    region = base + bytes;
    region_bytes -= padding + bytes;
    taken_bytes += bytes;
    return base;
}

void *neb_meta_take(size_t bytes, size_t alignment)
{
    neb_lock_take(&neb_locks[LOCK_META]);
    void *base = take_locked(bytes, alignment);
    neb_lock_give(&neb_locks[LOCK_META]);
    return base;
}

static void *array_take(unsigned order, bool *is_fresh)
{
    CHECK(order >= ORDER_MIN && order <= ORDER_MAX);
    neb_lock_take(&neb_locks[LOCK_META]);
    struct free_array *array = free_arrays[order];
    void *base = array;
    *is_fresh = array == NULL;
    if (array != NULL)
        free_arrays[order] = array->next;
    else
        base = take_locked((size_t)1 << order, ARRAY_ALIGNMENT);
    neb_lock_give(&neb_locks[LOCK_META]);
    return base;
}

void *neb_meta_array_take(unsigned order)
{
    bool is_fresh;
    return array_take(order, &is_fresh);
}

void *neb_meta_array_take_zeroed(unsigned order, size_t bytes)
{
    bool is_fresh;
    void *base = array_take(order, &is_fresh);
    if (!is_fresh)
        memset(base, 0, bytes);
    return base;
}

void neb_meta_array_give(void *array, unsigned order)
{
    struct free_array *free_array = array;
    neb_lock_take(&neb_locks[LOCK_META]);
    free_array->next = free_arrays[order];
    free_arrays[order] = free_array;
    neb_lock_give(&neb_locks[LOCK_META]);
}

size_t neb_meta_bytes(void)
{
    neb_lock_take(&neb_locks[LOCK_META]);
    size_t bytes = taken_bytes;
    neb_lock_give(&neb_locks[LOCK_META]);
    return bytes;
}
