/* base.h - what the four allocators of the opt-in API share; included by their headers, not by programs.
 *
 *   program: fast path inline, on the public struct          cold path
 *      neb_scope_alloc(s, 64) --- window has room ---> done
 *                             \-- otherwise ---------> s->arena.ops->arena_alloc(...)
 *                                                        |                 |
 *                       library present: its table neb_ops_2         absent: the table of engine.h, on malloc
 *
 * A program that includes these headers needs to link nothing: the one symbol it refers to is weak. It is looked for
 * when an object is made, and the object keeps the table it found, so that both kinds work in one process. With
 * -DNEB_LINKED (pkg-config says so) the symbol is strong and the fallback isn't compiled.
 *
 * The cold path of both is one source, engine.h, hence the same semantics.
 *
 * Law  integers never become pointers here; arithmetic on untyped memory stands in neb_at_ and neb_up_ only
 * ABI  the structs' fields named below the line "read by fast paths" keep their places for good; new ones take the
 *      reserved words. NEB_ABI changes when that can't be kept, and with it the symbol's name. */
#ifndef NEBMALLOC_BASE_H
#define NEBMALLOC_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEB_VERSION_MAJOR 0
#define NEB_VERSION_MINOR 1
#define NEB_VERSION_PATCH 0
#define NEB_ABI 2u

#if !defined(__GNUC__)
#error "nebmalloc's headers need gcc or clang"
#endif

/* The library compiles these headers with another linkage, and so exports every function for other languages. */
#ifndef NEB_API
#define NEB_API static inline __attribute__((unused))
#endif
#define NEB_INTERNAL_ static inline __attribute__((unused))
#define NEB_ENGINE_ __attribute__((unused)) static
#define NEB_LIKELY_(x) __builtin_expect(!!(x), 1)
#define NEB_UNLIKELY_(x) __builtin_expect(!!(x), 0)

#if defined(__has_feature)
#define NEB_HAS_FEATURE_(x) __has_feature(x)
#else
#define NEB_HAS_FEATURE_(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || NEB_HAS_FEATURE_(address_sanitizer)
#define NEB_ASAN_ 1
#else
#define NEB_ASAN_ 0
#endif
#if NEB_HAS_FEATURE_(memory_sanitizer)
#define NEB_MSAN_ 1
#else
#define NEB_MSAN_ 0
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct neb_arena neb_arena;
typedef struct neb_segment neb_segment;
typedef struct neb_scope neb_scope;
typedef struct neb_bump neb_bump;
typedef struct neb_bump_options neb_bump_options;
typedef struct neb_pool neb_pool;
typedef struct neb_pool_options neb_pool_options;
typedef struct neb_pool_stats neb_pool_stats;
typedef struct neb_stack neb_stack;
typedef struct neb_stack_options neb_stack_options;
typedef struct neb_thread neb_thread;
typedef struct neb_memory_stats neb_memory_stats;
typedef struct neb_block_info neb_block_info;

/* A point in a scope, bump arena or stack: a value, to be copied freely. Its fields are private. */
typedef struct neb_mark {
    const neb_arena *arena;
    uint64_t arena_serial, serial;
    void *record;
    unsigned char *cur, *tail_end;
    unsigned char *spare_cur, *spare_end;
    neb_segment *newest;
    size_t closed_bytes;
    unsigned char *top;
} neb_mark;

/* What is known of a scope, bump arena or stack. Bytes. */
typedef struct neb_arena_stats {
    size_t used_bytes;      /* between start and top, padding included */
    size_t used_bytes_peak; /* most that was seen when usage went down or a segment was added */
    size_t reserved_bytes;  /* segments in use; a scope begins in the room of the one around it, which is not counted */
    size_t kept_bytes;      /* segments that wait for reuse (bump arenas and stacks) */
    size_t segments;
    uint64_t slow_allocs;   /* calls that did not fit the window; in checked and tool modes: all; NEB_BUMP_SHARED: 0 */
    uint64_t restores;      /* releases to a mark, resets */
} neb_arena_stats;

typedef void (*neb_defer_function)(void *argument);
typedef void (*neb_visit_function)(void *argument, void *block, size_t bytes);

/* One table for each implementation: the library's, and the fallback of engine.h. Entries are only ever appended. */
typedef struct neb_ops {
    uint32_t abi, bytes; /* NEB_ABI; sizeof(struct neb_ops) of whoever made it */
    uint32_t flags;      /* NEB_OPS_* */
    uint32_t reserved;
    const char *name; /* "nebmalloc release", ..., "malloc" */
    /* memory */
    void *(*memory_take)(size_t bytes, size_t *got, unsigned kind);
    void (*memory_give)(void *memory, size_t bytes);
    void (*segments_give)(neb_segment *newest, neb_segment *oldest, size_t count, size_t bytes, unsigned kind);
    neb_thread *(*thread)(void);         /* the calling thread's; NULL: no memory */
    void (*ambient)(neb_scope *scope);   /* malloc comes from this scope from now on; NULL: from the heap */
    /* arenas of all kinds */
    void *(*arena_alloc)(neb_arena *arena, size_t size, size_t alignment, const char *call);
    void *(*arena_resize)(neb_arena *arena, void *p, size_t old_size, size_t size, const char *call);
    neb_mark (*arena_mark)(neb_arena *arena, const char *call);
    void (*arena_restore)(neb_arena *arena, const neb_mark *mark, const char *call);
    void (*arena_stats)(const neb_arena *arena, neb_arena_stats *stats);
    /* scopes */
    neb_scope *(*scope_enter)(const char *name, unsigned flags);
    neb_scope *(*scope_innermost)(void);
    void (*scope_leave)(neb_scope *scope, const char *call);
    void (*scope_leave_through)(neb_scope *scope);
    bool (*scope_defer)(neb_scope *scope, neb_defer_function function, void *argument);
    size_t (*scope_size)(void *p, const char *call);
    /* bump arenas */
    bool (*bump_init)(neb_bump *bump, const neb_bump_options *options);
    neb_bump *(*bump_create)(const neb_bump_options *options);
    void (*bump_reset)(neb_bump *bump);
    void (*bump_destroy)(neb_bump *bump, bool is_created);
    /* pools */
    neb_pool *(*pool_create)(const neb_pool_options *options);
    void *(*pool_alloc)(neb_pool *pool);
    void (*pool_free)(neb_pool *pool, void *block);
    void (*pool_destroy)(neb_pool *pool);
    size_t (*pool_visit)(neb_pool *pool, neb_visit_function visit, void *argument);
    void (*pool_stats)(neb_pool *pool, neb_pool_stats *stats);
    /* stacks */
    neb_stack *(*stack_create)(const neb_stack_options *options);
    bool (*stack_init)(neb_stack *stack, const neb_stack_options *options);
    void *(*stack_push)(neb_stack *stack, size_t size, size_t alignment);
    void (*stack_pop)(neb_stack *stack, void *p);
    bool (*stack_is_empty)(const neb_stack *stack);
    neb_mark (*stack_mark)(neb_stack *stack);
    neb_mark (*stack_frame_begin)(neb_stack *stack);
    void (*stack_restore)(neb_stack *stack, const neb_mark *mark, const char *call);
    void (*stack_frame_end)(neb_stack *stack, const neb_mark *mark, uint32_t depth);
    void (*stack_finish)(neb_stack *stack, bool is_created);
    /* the process */
    bool (*memory_stats)(neb_memory_stats *stats, bool of_thread);
    size_t (*memory_trim)(void);
    bool (*memory_visit)(bool (*visit)(void *argument, const neb_block_info *block), void *argument);
    bool (*memory_name)(void *memory, size_t bytes, const char *name);
} neb_ops;

enum {
    NEB_OPS_CHECKED = 1, /* every allocation is looked at, ended memory is kept out of reach */
    NEB_OPS_LIBRARY = 2  /* free(), realloc() and malloc_usable_size() know the memory */
};

enum { NEB_KIND_SCOPE_ = 1, NEB_KIND_BUMP_, NEB_KIND_POOL_, NEB_KIND_STACK_ };

/* What one thread has: the library keeps more behind it. */
struct neb_thread {
    neb_scope *innermost; /* open scopes, by their field outer */
    neb_scope *unused;    /* structs for the next ones */
    neb_segment *blocks;  /* in which these structs lie */
    uint64_t serial;      /* tells threads apart in messages */
    uint64_t scopes;      /* entered so far */
    neb_segment *root;    /* whose room the outermost scope begins with, so that small ones take no segment */
    unsigned char *root_cur, *root_end;
};

/* Begins every piece of memory that an arena has. */
struct neb_segment {
    neb_segment *older, *newer;
    size_t bytes;       /* the whole piece */
    size_t flags;       /* NEB_SEGMENT_* of engine.h */
    size_t total_bytes; /* of this one and all older ones of the arena */
    size_t ordinal;     /* of this one in the arena, from 1 */
    size_t used;        /* NEB_BUMP_SHARED: atomic; bytes of objects */
    void *reserved;
};


/* What scopes, bump arenas and stacks have in common: the tail of their newest segment, in which allocation adds to a
 * pointer. */
struct neb_arena {
    /* read by fast paths */
    unsigned char *cur; /* all that is allocated lies below */
    unsigned char *end; /* of what fast paths may take; equal to cur where every call has to be a slow one */
    const neb_ops *ops;
    /* private */
    unsigned char *tail_end;
    unsigned char *spare_cur, *spare_end; /* a second tail (scopes) */
    unsigned char *data;                  /* where the newest segment's objects begin */
    unsigned char *home;                  /* where those of the oldest begin, if not right behind its head */
    neb_segment *newest, *oldest, *kept;
    void *last_mark;
    const char *name;
    size_t closed_bytes, peak_bytes; /* used in older segments; most seen */
    size_t segment_count, segment_bytes, kept_bytes;
    size_t next_bytes, step_max_bytes, limit_bytes;
    uint64_t serial, mark_serial;
    uint64_t slow_allocs, restores;
    uint32_t growth_percent;
    uint16_t flags;
    uint8_t kind, bias; /* bias: 8 where a header word stands before objects, else 0 */
    void *reserved[2];
};

/* ---- private helpers -------------------------------------------------------------------------------------------------- */

NEB_INTERNAL_ uintptr_t neb_address_(const volatile void *p)
{
    return (uintptr_t)p;
}

NEB_INTERNAL_ unsigned char *neb_at_(void *base, size_t bytes)
{
    return (unsigned char *)base + bytes;
}

/* The lowest pointer at or above p with this alignment. */
NEB_INTERNAL_ unsigned char *neb_up_(unsigned char *p, size_t alignment)
{
    return p + ((size_t)(0 - neb_address_(p)) & (alignment - 1));
}

NEB_INTERNAL_ size_t neb_between_(const volatile void *from, const volatile void *to)
{
    return (size_t)(neb_address_(to) - neb_address_(from));
}

/* Whether so many bytes, at most NEB_SIZE_MAX_ and so without wrapping round, lie between two pointers: one comparison
 * with memory where `end` stands there. */
#define NEB_SIZE_MAX_ ((size_t)PTRDIFF_MAX / 2)
NEB_INTERNAL_ bool neb_fits_(const void *cur, const void *end, size_t bytes)
{
    return neb_address_(cur) + bytes <= neb_address_(end);
}

NEB_INTERNAL_ bool neb_is_power_(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* Something that no two living threads share, at the price of one instruction where the machine has one. */
NEB_INTERNAL_ uintptr_t neb_thread_word_(void);

/* Objects of one size, a multiple of 8 and no larger, may follow each other in a scope without words: run.h. */
enum { NEB_RUN_SIZE_MAX_ = 256 };

/* The word before other objects of a scope: the size, whether it was freed, and a part of its address, so that what is
 * no object is seen. */
#define NEB_WORD_SIZE_ ((UINT64_C(1) << 43) - 1)
#define NEB_WORD_FREED_ (UINT64_C(1) << 43)
#define NEB_WORD_MAGIC_ (UINT64_C(0xA) << 44)

NEB_INTERNAL_ uint64_t neb_word_of_(const void *p, size_t size)
{
    return (NEB_WORD_MAGIC_ + size) + ((uint64_t)neb_address_(p) << 44); /* p's lowest four bits are zero */
}

NEB_INTERNAL_ uint64_t *neb_word_at_(void *p)
{
    return (uint64_t *)(void *)((unsigned char *)p - 8);
}

/* The library's table where the process has the library, else that of the fallback. */
NEB_INTERNAL_ const neb_ops *neb_ops_(void);

/* ---- finding the table -------------------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
NEB_INTERNAL_ uintptr_t neb_thread_word_(void)
{
    uintptr_t word;
    __asm__("mov %%fs:0, %0" : "=r"(word));
    return word;
}
#elif defined(__aarch64__)
NEB_INTERNAL_ uintptr_t neb_thread_word_(void)
{
    uintptr_t word;
    __asm__("mrs %0, tpidr_el0" : "=r"(word));
    return word;
}
#else
NEB_INTERNAL_ uintptr_t neb_thread_word_(void)
{
    static __thread char here;
    return (uintptr_t)&here;
}
#endif

#if defined(NEB_LINKED)

extern const neb_ops neb_ops_2;
NEB_INTERNAL_ const neb_ops *neb_ops_(void)
{
    return &neb_ops_2;
}

#else

extern const neb_ops neb_ops_2 __attribute__((weak));

/* Defined by engine.h. */
NEB_ENGINE_ const neb_ops *neb_ops_find_(void);

NEB_INTERNAL_ const neb_ops *neb_ops_(void)
{
    static const neb_ops *found;
    const neb_ops *ops = __atomic_load_n(&found, __ATOMIC_ACQUIRE);
    if (ops == NULL) {
        ops = neb_ops_find_();
        __atomic_store_n(&found, ops, __ATOMIC_RELEASE);
    }
    return ops;
}

#endif

#ifdef __cplusplus
}
#endif

#endif
