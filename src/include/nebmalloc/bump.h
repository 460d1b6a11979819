/* bump.h - arenas: allocation adds to a pointer, and everything goes at once.
 *
 *   [segment: ####### used ####### | cur ... free ... end]   [older segments]   [kept for reuse]
 *
 * Use one for data that dies together: the tables of a compiler, the nodes of a document, a frame of a game.
 *
 *     neb_bump *arena = neb_bump_create(NULL);
 *     struct node *node = neb_bump_new(arena, struct node);
 *     ...
 *     neb_bump_destroy(arena);
 *
 * Units       bytes everywhere
 * Alignment   16, or what is asked for: a power of two
 * Threads     an arena belongs to one thread at a time, unless it was made with NEB_BUMP_SHARED: then any thread may
 *             allocate from it, while mark, restore, reset and destroy need all others to keep away
 * Errors      NULL and errno = ENOMEM: no memory, size beyond PTRDIFF_MAX, count * size overflows, or the limit;
 *             misuse (an alignment that is no power of two, a checkpoint that is gone or of another arena) writes one
 *             line that names the call and the arena, and aborts
 * Complexity  allocation O(1), a new segment now and then; reset O(1), destroy O(segments)
 * free()      must not be called on this memory; under the library it says so and aborts
 * Source      the idea is as old as Ross's AED free storage package (1967); Hanson's "Fast allocation and
 *             deallocation of memory based on object lifetimes" (1990) is the classic text */
#ifndef NEBMALLOC_BUMP_H
#define NEBMALLOC_BUMP_H

#include <nebmalloc/private/base.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    NEB_BUMP_FIXED = 1,      /* never grows beyond the first segment */
    NEB_BUMP_SHARED = 2,     /* any thread may allocate; each call is then an atomic addition */
    NEB_BUMP_FILL_ALLOC = 4, /* fresh memory is filled with 0xA5 */
    NEB_BUMP_FILL_FREE = 8,  /* what restore and reset release is filled with 0x5A: they cost O(bytes) then */
    NEB_BUMP_STRICT = 16     /* reaching the limit is an error that aborts, not NULL */
};

/* All zero is a good choice. */
struct neb_bump_options {
    size_t initial_bytes;      /* first segment; 0: one of the source's own size (64 KiB with the library) */
    size_t segment_bytes_max;  /* growth stops there; 0: 4 MiB. Single objects may be larger */
    size_t limit_bytes;        /* all segments together; 0: none */
    uint32_t growth_percent;   /* of a segment by the next; 0: 200, doubling; 100: all the same */
    uint32_t flags;            /* NEB_BUMP_* */
    void *memory;              /* begin in the caller's memory, which must outlive the arena; NULL: don't */
    size_t memory_bytes;       /* at least 1024 with neb_bump_create, 128 with neb_bump_init */
    const char *name;          /* for messages; must outlive the arena */
};

struct neb_bump {
    neb_arena arena;
    uint32_t shared_lock, is_created;
    neb_segment *shared_segment; /* NEB_BUMP_SHARED: atomic; the newest segment */
    neb_arena shared;            /* the arena proper then; the window of the one above stays empty */
    void *reserved[4];
};

/* A new arena; options NULL: the defaults. NULL and errno = ENOMEM without memory or when options->memory is too small.
 * Any thread. O(1). */
NEB_API neb_bump *neb_bump_create(const neb_bump_options *options)
{
    return neb_ops_()->bump_create(options);
}

/* The same in the caller's struct; without options->memory it takes none before the first allocation. False and
 * errno = ENOMEM as above. End it with neb_bump_finish. */
NEB_API bool neb_bump_init(neb_bump *bump, const neb_bump_options *options)
{
    return neb_ops_()->bump_init(bump, options);
}

/* Gives all memory back, that of the arena too. NULL is allowed. */
NEB_API void neb_bump_destroy(neb_bump *bump)
{
    if (bump != NULL)
        bump->arena.ops->bump_destroy(bump, true);
}

/* The counterpart of neb_bump_init. */
NEB_API void neb_bump_finish(neb_bump *bump)
{
    bump->arena.ops->bump_destroy(bump, false);
}

/* size bytes, aligned to 16; contents undefined. size 0 is a valid, unique pointer. */
__attribute__((malloc, alloc_size(2), assume_aligned(16), warn_unused_result))
NEB_API void *neb_bump_alloc(neb_bump *bump, size_t size)
{
    neb_arena *arena = &bump->arena;
    unsigned char *p = arena->cur;
    size_t bytes = (size + 15) & ~(size_t)15;
    if (NEB_LIKELY_(size - 1 < NEB_SIZE_MAX_ && neb_fits_(p, arena->end, bytes))) {
        arena->cur = p + bytes;
        return p;
    }
    return arena->ops->arena_alloc(arena, size, 16, "neb_bump_alloc");
}

/* The same with an alignment: any power of two. */
__attribute__((malloc, alloc_size(3), alloc_align(2), warn_unused_result))
NEB_API void *neb_bump_alloc_aligned(neb_bump *bump, size_t alignment, size_t size)
{
    return bump->arena.ops->arena_alloc(&bump->arena, size, alignment, "neb_bump_alloc_aligned");
}

/* The same, zeroed. */
__attribute__((malloc, alloc_size(2), assume_aligned(16), warn_unused_result))
NEB_API void *neb_bump_alloc_zero(neb_bump *bump, size_t size)
{
    void *p = neb_bump_alloc(bump, size);
    return p == NULL ? NULL : memset(p, 0, size);
}

/* count * size bytes; the product is checked. */
__attribute__((malloc, alloc_size(2, 3), assume_aligned(16), warn_unused_result))
NEB_API void *neb_bump_alloc_array(neb_bump *bump, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return bump->arena.ops->arena_alloc(&bump->arena, SIZE_MAX, 16, "neb_bump_alloc_array");
    return neb_bump_alloc(bump, bytes);
}

/* A copy of bytes. */
__attribute__((malloc, alloc_size(3), warn_unused_result))
NEB_API void *neb_bump_memdup(neb_bump *bump, const void *data, size_t size)
{
    void *p = neb_bump_alloc(bump, size);
    return p == NULL ? NULL : memcpy(p, data, size);
}

/* A copy of a string. */
__attribute__((malloc, warn_unused_result))
NEB_API char *neb_bump_strdup(neb_bump *bump, const char *string)
{
    return (char *)neb_bump_memdup(bump, string, strlen(string) + 1);
}

/* Makes the object at p, of old_size bytes, size bytes large: in place if it is the last one and there is room (O(1)),
 * or when it shrinks; else by a copy (O(old_size)), whose original stays until the arena's end. NULL as in alloc: the
 * object is unchanged. p NULL: a new object. Not for NEB_BUMP_SHARED in place. */
__attribute__((alloc_size(4), warn_unused_result))
NEB_API void *neb_bump_resize(neb_bump *bump, void *p, size_t old_size, size_t size)
{
    return bump->arena.ops->arena_resize(&bump->arena, p, old_size, size, "neb_bump_resize");
}

/* A checkpoint: everything allocated after it goes by neb_bump_restore, as often as wanted, until the arena is
 * restored to an older one. O(1). It takes 32 bytes of the arena if something was allocated since the last. */
NEB_API neb_mark neb_bump_mark(neb_bump *bump)
{
    return bump->arena.ops->arena_mark(&bump->arena, "neb_bump_mark");
}

/* Back to a checkpoint; segments are kept for reuse. O(1), plus one step for each newer checkpoint that this ends. A
 * checkpoint that is gone, or of another arena: message and abort. */
NEB_API void neb_bump_restore(neb_bump *bump, neb_mark mark)
{
    bump->arena.ops->arena_restore(&bump->arena, &mark, "neb_bump_restore");
}

/* Releases every object and checkpoint; memory is kept for reuse. O(1). */
NEB_API void neb_bump_reset(neb_bump *bump)
{
    bump->arena.ops->bump_reset(bump);
}

/* O(1). */
NEB_API neb_arena_stats neb_bump_stats(const neb_bump *bump)
{
    neb_arena_stats stats;
    bump->arena.ops->arena_stats(&bump->arena, &stats);
    return stats;
}

/* An object, or an array, of a type. */
#define neb_bump_new(bump, type) \
    ((type *)(__alignof__(type) <= 16 ? neb_bump_alloc(bump, sizeof(type)) \
                                    : neb_bump_alloc_aligned(bump, __alignof__(type), sizeof(type))))
#define neb_bump_new_array(bump, type, count) ((type *)neb_bump_alloc_array(bump, count, sizeof(type)))

#ifdef __cplusplus
}
#endif

#include <nebmalloc/private/engine.h>

#endif
