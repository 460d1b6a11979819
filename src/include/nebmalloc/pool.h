/* pool.h - blocks of one size: allocated and freed in any order, by any thread, destroyed all at once.
 *
 *   slab:  [state: one 32-bit word a block] [block 0][block 1][block 2] ...       each slab twice as large as the last
 *   state: a place in the magazine, or the number of the next free block: nothing stands inside a free block
 *
 *   magazine: up to 1024 free blocks --- taken and put without a lock ---> the owner: the thread that mostly uses the pool
 *   shared list of free blocks      --- under a lock -------------------> all others
 *
 * A pool is biased towards one thread: its owner allocates and frees without an atomic read-modify-write; the first that
 * uses it inline, later ones by a call. Who is owner changes by itself when another thread does all the work, or when the
 * others have run out of blocks while the owner has some (membarrier(2) makes that safe); up to 16 different threads in
 * the life of a pool. Where the kernel lacks it, every call takes the lock.
 *
 * Invariant  a block is in the magazine exactly if its state names a place in use that holds it, so that taking one writes
 *            no state: its place is out of use from then on, or another block's
 *
 *     neb_pool *pool = neb_pool_create_for(struct particle);
 *     struct particle *p = neb_pool_alloc(pool);
 *     neb_pool_free(pool, p);
 *
 * Units       bytes; blocks
 * Alignment   16, or what was asked for at creation: a power of two up to 64 KiB
 * Threads     any thread may allocate and free, also blocks of others; create, destroy, visit: nobody else meanwhile. In
 *             the child of fork a pool may be used if no other thread was inside one of its calls
 * signals     a handler must not call these functions for a pool that the thread it interrupted uses: that call may be
 *             half done, so that a block would be lost or be given out twice, or hold the lock, and the handler would wait
 *             for ever. It may read and write blocks, and leave one to be freed later. A pool that this thread uses in
 *             handlers only, one at a time, is good for that while it has free blocks: a new slab takes memory, which a
 *             handler must not
 * Errors      NULL and errno = ENOMEM: no memory, or the limit. Misuse (a block freed twice; a pointer that is no block
 *             of the pool, or inside one; an alignment that is no power of two; a block size beyond 64 MiB) writes one
 *             line that names the call and the objects, and aborts
 * Complexity  O(1); a new slab now and then; freeing looks at up to log2(blocks) slabs, of which the first holds half
 * free()      must not be called on this memory; under the library it says so and aborts
 * Source      Ross's zones (1961); the state words after Kenwright's "Fast efficient fixed-size memory pool" (2012), but
 *             out of line, and checked as Briggs and Torczon's sparse sets are (1993); biased locking after Kawachiya and Dice; index by multiplication with the odd part's
 *             inverse, which also tells exact multiples (Granlund and Montgomery, 1994) */
#ifndef NEBMALLOC_POOL_H
#define NEBMALLOC_POOL_H

#include <nebmalloc/private/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    NEB_POOL_NO_GROWTH = 1,   /* initial_blocks are all there ever are; they are taken at creation */
    NEB_POOL_ONE_LOCK = 2,    /* no owner: every call takes the lock */
    NEB_POOL_ZERO = 4,        /* blocks come zeroed */
    NEB_POOL_STRICT = 16      /* reaching the limit is an error that aborts, not NULL */
};

struct neb_pool_options {
    size_t block_bytes;    /* > 0 */
    size_t alignment;      /* 0: 16 */
    size_t initial_blocks; /* in the first slab; 0: what fits 64 KiB */
    size_t limit_blocks;   /* live at the same time; 0: no limit */
    uint32_t flags, reserved;
    const char *name;      /* for messages; must outlive the pool */
};

struct neb_pool_stats {
    size_t block_bytes; /* with padding */
    size_t live_blocks, free_blocks; /* now; exact when no other thread uses the pool meanwhile */
    size_t reserved_bytes, slabs;
    uint64_t locked_calls; /* calls that took the lock */
    uint64_t revocations;  /* times that an owner lost the pool */
};

enum { NEB_POOL_SLABS_ = 40, NEB_POOL_INDEX_BITS_ = 26, NEB_POOL_HOLDS_ = 1024, NEB_POOL_OWNERS_ = 17 };
#define NEB_POOL_STEP_ sizeof(void *)
#define NEB_POOL_FULL_ (NEB_POOL_HOLDS_ * NEB_POOL_STEP_)
#define NEB_POOL_PLACE_ UINT32_C(0xF0000000) /* above all numbers; plus a place in the magazine, in bytes */
#define NEB_POOL_NOWHERE_ (NEB_POOL_PLACE_ + (uint32_t)NEB_POOL_FULL_)
#define NEB_POOL_NIL_ UINT32_MAX
#define NEB_POOL_INDEX_MASK_ ((1u << NEB_POOL_INDEX_BITS_) - 1)

typedef struct neb_pool_slab_ {
    unsigned char *base;
    uint32_t *state;
    uint32_t handed;   /* blocks that were ever in a free list or live; atomic */
    uint32_t capacity; /* blocks */
    void *memory;
    size_t memory_bytes;
} neb_pool_slab_;

/* What the owner says: both in one store, when its call ends, as a number that is `held`. Others read both. */
typedef union neb_pool_use_ {
    struct {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        uint32_t busy, held;
#else
        uint32_t held; /* bytes of the magazine in use; means nothing while another is owner */
        uint32_t busy; /* inside a call */
#endif
    } half;
    uint64_t both; /* atomic */
} neb_pool_use_;

/* What one thread writes as owner; never another's, so that a thread that lost the pool and has not noticed yet does no
 * harm. In one cache line, and apart from the blocks' states: a processor stores twice a cycle into one line, but only
 * once into two in turn, and that is what an allocation waits for. */
typedef struct neb_pool_bias_ {
    uintptr_t thread; /* atomic: neb_thread_word_; 0: unused; constant from then on */
    neb_pool_use_ use;
    uint64_t reserved[6];
} neb_pool_bias_;

struct neb_pool {
    /* read by fast paths */
    neb_pool_bias_ *owner; /* atomic; &bias[0], which is nobody's: none */
    uint64_t inverse;  /* of that odd number, modulo 2^64 */
    size_t block_bytes;
    uint32_t shift;    /* the block size is an odd number times 2^shift */
    uint32_t newest;   /* atomic: number of the newest slab */
    neb_pool_slab_ slab[NEB_POOL_SLABS_];
    /* under the lock */
    const neb_ops *ops;
    uint32_t lock, shared_head;
    size_t shared_free, carved, limit_blocks, initial_blocks, alignment, reserved_bytes;
    uintptr_t last_word;
    uint32_t streak, flags;
    uint64_t locked_calls, revocations;
    const char *name;
    size_t last_held; /* bytes by the owner, when another thread last wanted the pool */
    void *memory;
    size_t memory_bytes;
    void *reserved[4];
    neb_pool_bias_ bias[NEB_POOL_OWNERS_];
    /* the owner's */
    void *magazine[NEB_POOL_HOLDS_ + 1]; /* atomic for others than the owner; the last is never used: NEB_POOL_NOWHERE_ */
};

/* NULL and errno = ENOMEM without memory; options that make no sense: message and abort. Any thread. O(1), with
 * NEB_POOL_NO_GROWTH O(blocks). */
NEB_API neb_pool *neb_pool_create(const neb_pool_options *options)
{
    return neb_ops_()->pool_create(options);
}

/* Gives all memory back, live blocks too. NULL is allowed. O(slabs). */
NEB_API void neb_pool_destroy(neb_pool *pool)
{
    if (pool != NULL)
        pool->ops->pool_destroy(pool);
}

/* The slab that p's block lies in, and which one it is there; NULL when no block of this pool begins at p. */
NEB_INTERNAL_ neb_pool_slab_ *neb_pool_find_(neb_pool *pool, const void *p, uint64_t *index)
{
    for (uint32_t slab = __atomic_load_n(&pool->newest, __ATOMIC_ACQUIRE);; slab--) {
        uint64_t product = (uint64_t)neb_between_(pool->slab[slab].base, p) * pool->inverse;
        *index = product >> pool->shift | product << ((64 - pool->shift) & 63);
        if (NEB_LIKELY_(*index < __atomic_load_n(&pool->slab[slab].handed, __ATOMIC_ACQUIRE)))
            return &pool->slab[slab];
        if (slab == 0)
            return NULL;
    }
}

NEB_INTERNAL_ void **neb_pool_at_(neb_pool *pool, size_t place)
{
    return (void **)(void *)neb_at_(pool->magazine, place);
}

/* Whether a block of this state is live when so many bytes of the magazine are in use. Who is not the owner read `held`
 * (acquire) before: a block that was taken and passed on to him is found in no place that he can see. */
NEB_INTERNAL_ bool neb_pool_is_live_(neb_pool *pool, const void *block, uint32_t state, size_t held)
{
    uint32_t place = state - NEB_POOL_PLACE_;
    return place <= NEB_POOL_FULL_ && (place >= held || __atomic_load_n(neb_pool_at_(pool, place), __ATOMIC_RELAXED) != block);
}

/* Puts a block on top of the magazine, of which so much is in use; neb_pool_hold_ is to count it. */
NEB_INTERNAL_ void neb_pool_put_(neb_pool *pool, void *block, uint32_t *state, size_t held)
{
    __atomic_store_n(neb_pool_at_(pool, held), block, __ATOMIC_RELAXED);
    __atomic_store_n(state, NEB_POOL_PLACE_ + (uint32_t)held, __ATOMIC_RELAXED);
}

/* Publishes what was put, and ends the owner's call. */
NEB_INTERNAL_ void neb_pool_hold_(neb_pool_bias_ *bias, size_t held)
{
    __atomic_store_n(&bias->use.both, held, __ATOMIC_RELEASE);
}

/* Ends a call that looked at nothing but what is the thread's own. */
NEB_INTERNAL_ void neb_pool_leave_(neb_pool_bias_ *bias)
{
    __atomic_store_n(&bias->use.half.busy, 0, __ATOMIC_RELAXED);
}

/* Whether the calling thread is the owner, and this its bias. It is inside then, until one of the two above; one that
 * lost the pool notices by the second look. */
NEB_INTERNAL_ bool neb_pool_enter_(neb_pool *pool, neb_pool_bias_ *bias)
{
    if (NEB_UNLIKELY_(__atomic_load_n(&bias->thread, __ATOMIC_RELAXED) != neb_thread_word_()))
        return false; /* relaxed: one's own word one has written oneself */
    __atomic_store_n(&bias->use.half.busy, 1, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST); /* whoever takes the pool away makes it a full one (membarrier) */
    if (NEB_LIKELY_(__atomic_load_n(&pool->owner, __ATOMIC_RELAXED) == bias))
        return true;
    neb_pool_leave_(bias);
    return false;
}

/* False: the magazine is empty, or another thread's. */
__attribute__((always_inline)) NEB_INTERNAL_ bool neb_pool_alloc_as_(neb_pool *pool, neb_pool_bias_ *bias, void **block)
{
    if (NEB_UNLIKELY_(!neb_pool_enter_(pool, bias)))
        return false;
    size_t held;
    if (NEB_LIKELY_(!__builtin_sub_overflow((size_t)bias->use.half.held, NEB_POOL_STEP_, &held))) { /* one instruction */
        *block = *neb_pool_at_(pool, held);
        neb_pool_hold_(bias, held);
        return true;
    }
    neb_pool_leave_(bias);
    return false;
}

/* False: the magazine is full, or another thread's, or something is wrong. */
__attribute__((always_inline)) NEB_INTERNAL_ bool neb_pool_free_as_(neb_pool *pool, neb_pool_bias_ *bias, void *block)
{
    if (NEB_UNLIKELY_(!neb_pool_enter_(pool, bias)))
        return false;
    uint64_t index;
    size_t held = bias->use.half.held;
    neb_pool_slab_ *slab = neb_pool_find_(pool, block, &index);
    if (NEB_LIKELY_(slab != NULL && held != NEB_POOL_FULL_ && neb_pool_is_live_(pool, block, slab->state[index], held))) {
        neb_pool_put_(pool, block, &slab->state[index], held);
        neb_pool_hold_(bias, held + NEB_POOL_STEP_);
        return true;
    }
    neb_pool_hold_(bias, held);
    return false;
}

/* A block; contents undefined unless NEB_POOL_ZERO. */
__attribute__((malloc, warn_unused_result))
NEB_API void *neb_pool_alloc(neb_pool *pool)
{
    void *block;
    return NEB_LIKELY_(neb_pool_alloc_as_(pool, &pool->bias[1], &block)) ? block : pool->ops->pool_alloc(pool);
}

/* Frees a block of this pool, whoever allocated it. NULL is allowed. */
NEB_API void neb_pool_free(neb_pool *pool, void *block)
{
    if (NEB_UNLIKELY_(!neb_pool_free_as_(pool, &pool->bias[1], block)))
        pool->ops->pool_free(pool, block);
}

/* Calls visit(argument, block, block size) for every live block, in order of address within a slab; visit may free the
 * block it is given. The number of blocks. O(blocks ever live). */
NEB_API size_t neb_pool_visit(neb_pool *pool, neb_visit_function visit, void *argument)
{
    return pool->ops->pool_visit(pool, visit, argument);
}

/* O(1). */
NEB_API neb_pool_stats neb_pool_get_stats(neb_pool *pool)
{
    neb_pool_stats stats;
    pool->ops->pool_stats(pool, &stats);
    return stats;
}

NEB_INTERNAL_ neb_pool *neb_pool_create_sized_(size_t bytes, size_t alignment, const char *name)
{
    neb_pool_options options = {bytes, alignment, 0, 0, 0, 0, name};
    return neb_pool_create(&options);
}

/* A pool of blocks for a type. */
#define neb_pool_create_for(type) neb_pool_create_sized_(sizeof(type), __alignof__(type), #type)

/* Typed names: NEB_POOL_TYPE(node, struct node) defines node_pool_create(), node_alloc(pool), node_free(pool, p). The
 * compiler then notices a wrong type, and a pool that was made for another one. */
#define NEB_POOL_TYPE(name, type)                                                                                      \
    typedef struct name##_pool {                                                                                       \
        neb_pool pool;                                                                                                 \
    } name##_pool;                                                                                                     \
    static inline __attribute__((unused)) name##_pool *name##_pool_create(void)                                        \
    {                                                                                                                  \
        return (name##_pool *)(void *)neb_pool_create_for(type);                                                       \
    }                                                                                                                  \
    static inline __attribute__((unused)) void name##_pool_destroy(name##_pool *pool)                                  \
    {                                                                                                                  \
        neb_pool_destroy(pool == NULL ? NULL : &pool->pool);                                                           \
    }                                                                                                                  \
    static inline __attribute__((unused, malloc, warn_unused_result)) type *name##_alloc(name##_pool *pool)            \
    {                                                                                                                  \
        return (type *)neb_pool_alloc(&pool->pool);                                                                    \
    }                                                                                                                  \
    static inline __attribute__((unused)) void name##_free(name##_pool *pool, type *block)                             \
    {                                                                                                                  \
        neb_pool_free(&pool->pool, block);                                                                             \
    }

#ifdef __cplusplus
}
#endif

#include <nebmalloc/private/engine.h>

#endif
