/* stacks.c - see stacks.h. */
#include "check/stacks.h"

#include "base/attr.h"
#include "os/lock.h"
#include "os/vm.h"
#include <stdatomic.h>
#include <string.h>

enum {
    SEGMENT_WORDS = 1 << 17, /* 1 MiB */
    SEGMENTS = 512,
    BUCKETS = 1 << 16,
    COUNT_MAX = 256
};

struct entry { /* begins at a word of a segment */
    uint32_t next;
    uint32_t count;
    uintptr_t pcs[];
};

struct tables {
    _Atomic uint32_t bucket[BUCKETS];
};

static _Atomic(struct tables *) tables;
NEB_SPARSE static _Atomic(uintptr_t *) segments[SEGMENTS];
static uint32_t words_used = 1; /* of all segments; number 0 is no stack */

static struct entry *entry_at(uint32_t number)
{
    uintptr_t *segment = atomic_load_explicit(&segments[number / SEGMENT_WORDS], memory_order_acquire); /* D1 */
    return (struct entry *)(void *)(segment + number % SEGMENT_WORDS);
}

uint64_t neb_stacks_hash(const uintptr_t *pcs, int count)
{
    uint64_t hash = (uint64_t)count;
    for (int i = 0; i < count; i++)
        hash = (hash ^ pcs[i]) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ (hash >> 32);
}

static uint32_t find(uint32_t number, uint32_t until, const uintptr_t *pcs, int count)
{
    while (number != until) {
        const struct entry *entry = entry_at(number);
        if (entry->count == (uint32_t)count && memcmp(entry->pcs, pcs, (size_t)count * sizeof *pcs) == 0)
            return number;
        number = entry->next;
    }
    return 0;
}

/* Words for an entry, all in one segment; 0: no memory. */
static uint32_t words_take_locked(uint32_t words)
{
    uint32_t number = words_used;
    if (number % SEGMENT_WORDS + words > SEGMENT_WORDS)
        number = (number / SEGMENT_WORDS + 1) * SEGMENT_WORDS;
    uint32_t segment = number / SEGMENT_WORDS;
    if (segment >= SEGMENTS)
        return 0;
    if (atomic_load_explicit(&segments[segment], memory_order_relaxed) == NULL) { /* under the lock */
        uintptr_t *memory = neb_vm_map(SEGMENT_WORDS * sizeof(uintptr_t));
        if (memory == NULL)
            return 0;
        atomic_store_explicit(&segments[segment], memory, memory_order_release); /* D1 */
    }
    words_used = number + words;
    return number;
}

static uint32_t add_locked(_Atomic uint32_t *bucket, uint32_t seen, const uintptr_t *pcs, int count)
{
    uint32_t first = atomic_load_explicit(bucket, memory_order_relaxed); /* written under the lock only */
    uint32_t number = find(first, seen, pcs, count);                    /* what came since the look without the lock */
    if (number != 0)
        return number;
    number = words_take_locked(1 + (uint32_t)count);
    if (number == 0)
        return 0;
    struct entry *entry = entry_at(number);
    entry->next = first;
    entry->count = (uint32_t)count;
    memcpy(entry->pcs, pcs, (size_t)count * sizeof *pcs);
    atomic_store_explicit(bucket, number, memory_order_release); /* D1 */
    return number;
}

static struct tables *tables_get(void)
{
    struct tables *now = atomic_load_explicit(&tables, memory_order_acquire); /* D1 */
    if (NEB_LIKELY(now != NULL))
        return now;
    neb_lock_take(&neb_locks[LOCK_STACKS]);
    now = atomic_load_explicit(&tables, memory_order_relaxed);
    if (now == NULL) {
        now = neb_vm_map(sizeof *now);
        atomic_store_explicit(&tables, now, memory_order_release); /* D1 */
    }
    neb_lock_give(&neb_locks[LOCK_STACKS]);
    return now;
}

uint32_t neb_stacks_put(const uintptr_t *pcs, int count, uint64_t hash)
{
    struct tables *now = tables_get();
    if (now == NULL || count <= 0 || count > COUNT_MAX)
        return 0;
    _Atomic uint32_t *bucket = &now->bucket[hash % BUCKETS];
    uint32_t seen = atomic_load_explicit(bucket, memory_order_acquire); /* D1 */
    uint32_t number = find(seen, 0, pcs, count);
    if (number != 0)
        return number;
    neb_lock_take(&neb_locks[LOCK_STACKS]);
    number = add_locked(bucket, seen, pcs, count);
    neb_lock_give(&neb_locks[LOCK_STACKS]);
    return number;
}

int neb_stacks_get(uint32_t number, const uintptr_t **pcs)
{
    if (number == 0)
        return 0;
    const struct entry *entry = entry_at(number);
    *pcs = entry->pcs;
    return (int)entry->count;
}

size_t neb_stacks_bytes(void)
{
    neb_lock_take(&neb_locks[LOCK_STACKS]);
    size_t bytes = words_used * sizeof(uintptr_t);
    neb_lock_give(&neb_locks[LOCK_STACKS]);
    return bytes;
}
