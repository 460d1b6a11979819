/* nebmalloc.h - the allocator asked about itself, and the whole opt-in API in one include.
 *
 * Without the library each call answers from the C library as far as that knows: figures from mallinfo2 where there is
 * one, trimming by malloc_trim; visiting is not possible then.
 *
 * Threads  any; what other threads do meanwhile may or may not be counted */
#ifndef NEBMALLOC_NEBMALLOC_H
#define NEBMALLOC_NEBMALLOC_H

#include <nebmalloc/private/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes and blocks. For one thread: live and cached ones in the calling thread's slabs alone, which may hold blocks
 * that others allocated; what threads share (large blocks, mappings) is 0. Fields are only ever appended. */
struct neb_memory_stats {
    size_t bytes;                         /* set by the caller: sizeof(neb_memory_stats) */
    uint64_t live_bytes, live_blocks;     /* with the program, in sizes of blocks */
    uint64_t cached_bytes, cached_blocks; /* free, in magazines */
    uint64_t large_bytes, large_blocks;   /* live ones above 64 KiB; contained in live */
    uint64_t mapped_bytes, mapped_bytes_peak;
    uint64_t free_resident_bytes;         /* free and still backed by memory */
    uint64_t metadata_bytes;
    uint64_t region_bytes, regions;       /* memory of scopes, bump arenas, pools and stacks */
    uint64_t refills, flushes;            /* slow calls */
    uint64_t threads;                     /* heaps in use or kept for the next thread */
};

enum { NEB_BLOCK_SMALL, NEB_BLOCK_LARGE, NEB_BLOCK_HUGE };

struct neb_block_info {
    void *block;
    size_t bytes;  /* usable */
    uint32_t kind; /* NEB_BLOCK_* */
    uint32_t reserved;
};

/* "0.1.0 release", "0.1.0 checked", ... or "0.1.0 malloc" without the library. Never NULL. O(1). */
NEB_API const char *neb_version(void)
{
    return neb_ops_()->name;
}

/* Whether the library is there: preloaded or linked. O(1). */
NEB_API bool neb_is_active(void)
{
    return (neb_ops_()->flags & NEB_OPS_LIBRARY) != 0;
}

/* The whole process; stats->bytes says how much the caller has room for. False: not known. O(heaps). */
NEB_API bool neb_memory_stats_get(neb_memory_stats *stats)
{
    return neb_ops_()->memory_stats(stats, false);
}

/* The calling thread's heap. False: not known, or the thread has none yet. O(1). */
NEB_API bool neb_thread_stats_get(neb_memory_stats *stats)
{
    return neb_ops_()->memory_stats(stats, true);
}

/* Gives free memory back to the system; the bytes given (without the library: 0 or 1). O(free memory). */
NEB_API size_t neb_memory_trim(void)
{
    return neb_ops_()->memory_trim();
}

/* Calls visit for every block of malloc that is live, until it returns false; no other thread may allocate or free
 * meanwhile, nor may visit. Blocks that lie in other threads' magazines are visited too. False: ended by visit, or not
 * possible (errno = ENOSYS). O(memory). */
NEB_API bool neb_memory_visit(bool (*visit)(void *argument, const neb_block_info *block), void *argument)
{
    return neb_ops_()->memory_visit(visit, argument);
}

/* Gives the whole pages inside a range a name in /proc/self/maps (Linux 5.17 and up). False: no whole page, or the
 * kernel does not do that (errno says which). O(1). */
NEB_API bool neb_memory_name(void *memory, size_t bytes, const char *name)
{
    return neb_ops_()->memory_name(memory, bytes, name);
}

#ifdef __cplusplus
}
#endif

#include <nebmalloc/bump.h>
#include <nebmalloc/pool.h>
#include <nebmalloc/scope.h>
#include <nebmalloc/stack.h>

#endif
