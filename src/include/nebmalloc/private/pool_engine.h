/* pool_engine.h - pools: slabs, the lock, and who is owner. A part of engine.h, private. */
#ifndef NEBMALLOC_PRIVATE_POOL_ENGINE_H
#define NEBMALLOC_PRIVATE_POOL_ENGINE_H

enum {
    NEB_POOL_BATCH_ = NEB_POOL_HOLDS_ / 2, /* blocks that the owner takes at a time */
    NEB_POOL_STREAK_ = 256,       /* locked calls in a row by one thread that make it the owner */
    NEB_POOL_MEMBARRIER_ = 8,     /* MEMBARRIER_CMD_PRIVATE_EXPEDITED */
    NEB_POOL_REGISTER_ = 16       /* MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED */
};
enum { NEB_POOL_UNBIASED_ = 1 << 16, NEB_POOL_WATCHED_ = 1 << 17, NEB_POOL_FILLS_ = 1 << 18 };

NEB_ENGINE_ bool neb_pool_barrier_(int command)
{
#ifdef SYS_membarrier
    int saved = errno;
    bool is_done = syscall(SYS_membarrier, command, 0, 0) == 0;
    errno = saved;
    return is_done;
#else
    (void)command;
    return false;
#endif
}

/* size * odd == 1 modulo 2^64, by Newton's iteration: each step doubles the number of right bits. */
NEB_ENGINE_ uint64_t neb_inverse_(uint64_t odd)
{
    uint64_t inverse = odd;
    for (int i = 0; i < 5; i++)
        inverse *= 2 - odd * inverse;
    return inverse;
}

NEB_INTERNAL_ unsigned char *neb_pool_block_(const neb_pool *pool, uint32_t number)
{
    return pool->slab[number >> NEB_POOL_INDEX_BITS_].base + (size_t)(number & NEB_POOL_INDEX_MASK_) * pool->block_bytes;
}

NEB_INTERNAL_ uint32_t *neb_pool_state_(const neb_pool *pool, uint32_t number)
{
    return &pool->slab[number >> NEB_POOL_INDEX_BITS_].state[number & NEB_POOL_INDEX_MASK_];
}

NEB_ENGINE_ bool neb_pool_slab_add_(neb_pool *pool, uint32_t slab_number, size_t blocks)
{
    size_t stride = pool->block_bytes, states = (blocks * sizeof(uint32_t) + 15) & ~(size_t)15, got = 0;
    if (blocks > (size_t)NEB_POOL_INDEX_MASK_ || blocks > ((size_t)PTRDIFF_MAX / 2 - states - pool->alignment) / stride)
        return false;
    void *memory = pool->ops->memory_take(states + pool->alignment + blocks * stride, &got, NEB_KIND_POOL_);
    if (memory == NULL)
        return false;
    neb_pool_slab_ *slab = &pool->slab[slab_number];
    slab->memory = memory;
    slab->memory_bytes = got;
    slab->state = (uint32_t *)memory;
    slab->base = neb_up_(neb_at_(memory, states), pool->alignment);
    slab->capacity = (uint32_t)blocks;
    slab->handed = 0;
    pool->reserved_bytes += got;
    if ((pool->flags & NEB_POOL_WATCHED_) != 0)
        neb_tool_close_(slab->base, blocks * stride);
    __atomic_store_n(&pool->newest, slab_number, __ATOMIC_RELEASE);
    return true;
}

/* A number for a block that was never used; NEB_POOL_NIL_: there is none. Called with the lock. */
NEB_ENGINE_ uint32_t neb_pool_carve_(neb_pool *pool)
{
    if (pool->limit_blocks != 0 && pool->carved == pool->limit_blocks)
        return NEB_POOL_NIL_;
    neb_pool_slab_ *slab = &pool->slab[pool->newest];
    if (slab->handed == slab->capacity) {
        size_t blocks = (size_t)slab->capacity * 2;
        if (blocks > (size_t)NEB_POOL_INDEX_MASK_)
            blocks = (size_t)NEB_POOL_INDEX_MASK_;
        if ((pool->flags & NEB_POOL_NO_GROWTH) != 0 || pool->newest + 1 == NEB_POOL_SLABS_ ||
            (!neb_pool_slab_add_(pool, pool->newest + 1, blocks) && !neb_pool_slab_add_(pool, pool->newest + 1, slab->capacity)))
            return NEB_POOL_NIL_;
        slab = &pool->slab[pool->newest];
    }
    uint32_t index = slab->handed;
    slab->state[index] = NEB_POOL_NOWHERE_;
    __atomic_store_n(&slab->handed, index + 1, __ATOMIC_RELEASE);
    pool->carved++;
    return pool->newest << NEB_POOL_INDEX_BITS_ | index;
}

NEB_INTERNAL_ void neb_pool_share_(neb_pool *pool, uint32_t number)
{
    *neb_pool_state_(pool, number) = pool->shared_head;
    pool->shared_head = number;
    pool->shared_free++;
}

/* From the shared list, else a fresh one. Called with the lock. */
NEB_ENGINE_ uint32_t neb_pool_take_(neb_pool *pool)
{
    uint32_t number = pool->shared_head;
    if (number == NEB_POOL_NIL_)
        return neb_pool_carve_(pool);
    pool->shared_head = *neb_pool_state_(pool, number);
    pool->shared_free--;
    return number;
}

NEB_INTERNAL_ neb_pool_use_ neb_pool_use_of_(const neb_pool_bias_ *bias)
{
    neb_pool_use_ use;
    use.both = __atomic_load_n(&bias->use.both, __ATOMIC_ACQUIRE);
    return use;
}

/* Bytes of the magazine in use; 0 without an owner. */
NEB_INTERNAL_ size_t neb_pool_held_(const neb_pool *pool)
{
    return neb_pool_use_of_(pool->owner).half.held;
}

NEB_INTERNAL_ uint32_t neb_pool_number_(neb_pool *pool, const void *block)
{
    uint64_t index;
    const neb_pool_slab_ *slab = neb_pool_find_(pool, block, &index);
    return slab == NULL ? NEB_POOL_NIL_ : (uint32_t)(slab - pool->slab) << NEB_POOL_INDEX_BITS_ | (uint32_t)index;
}

/* Moves the oldest blocks of a magazine to the shared list, so that `keep` bytes stay in use. Called with the lock, by the
 * owner or when there is none. */
NEB_ENGINE_ void neb_pool_spill_(neb_pool *pool, size_t held, size_t keep)
{
    size_t gone = held - keep;
    for (size_t place = 0; place < gone; place += NEB_POOL_STEP_)
        neb_pool_share_(pool, neb_pool_number_(pool, *neb_pool_at_(pool, place)));
    for (size_t place = 0; place < keep; place += NEB_POOL_STEP_) {
        void *block = *neb_pool_at_(pool, gone + place);
        neb_pool_put_(pool, block, neb_pool_state_(pool, neb_pool_number_(pool, block)), place);
    }
}

NEB_INTERNAL_ bool neb_pool_is_owned_(const neb_pool *pool)
{
    return pool->owner != &pool->bias[0];
}

/* A thread's place among the owners; NULL: all are taken. Called with the lock. */
NEB_ENGINE_ neb_pool_bias_ *neb_pool_bias_of_(neb_pool *pool, uintptr_t thread)
{
    for (neb_pool_bias_ *bias = pool->bias + 1; bias < pool->bias + NEB_POOL_OWNERS_; bias++) {
        if (bias->thread == 0)
            __atomic_store_n(&bias->thread, thread, __ATOMIC_RELAXED);
        if (bias->thread == thread)
            return bias;
    }
    return NULL;
}

/* Takes the pool away from its owner, and what its magazine holds into the shared list. Called with the lock. */
NEB_ENGINE_ bool neb_pool_revoke_(neb_pool *pool)
{
    neb_pool_bias_ *owner = pool->owner;
    __atomic_store_n(&pool->owner, &pool->bias[0], __ATOMIC_SEQ_CST);
    if (!neb_pool_barrier_(NEB_POOL_MEMBARRIER_)) {
        __atomic_store_n(&pool->owner, owner, __ATOMIC_RELEASE);
        return false;
    }
    /* Now the owner either is inside and says so, or will find that it lost the pool. */
    while (neb_pool_use_of_(owner).half.busy != 0)
        (void)sched_yield();
    neb_pool_spill_(pool, neb_pool_use_of_(owner).half.held, 0);
    pool->revocations++;
    pool->streak = 0;
    return true;
}

/* One more locked call: who makes the first, or many in a row, becomes the owner; if there is one that did nothing
 * meanwhile, it loses the pool first. */
NEB_ENGINE_ void neb_pool_note_(neb_pool *pool)
{
    uintptr_t me = neb_thread_word_();
    bool is_first = pool->locked_calls++ == 0;
    pool->streak = pool->last_word == me ? pool->streak + 1 : 0;
    pool->last_word = me;
    bool is_due = is_first || (pool->streak >= NEB_POOL_STREAK_ && pool->owner->thread != me);
    if (!is_due || (pool->flags & NEB_POOL_UNBIASED_) != 0)
        return;
    pool->streak = 0;
    size_t held = neb_pool_held_(pool);
    neb_pool_bias_ *mine = neb_pool_bias_of_(pool, me);
    bool is_idle = mine != NULL && (!neb_pool_is_owned_(pool) || (pool->last_held == held && neb_pool_revoke_(pool)));
    pool->last_held = held;
    if (!is_idle)
        return;
    neb_pool_hold_(mine, 0); /* not what it had when it was last the owner */
    __atomic_store_n(&pool->owner, mine, __ATOMIC_RELEASE);
}

/* Fills the owner's empty magazine by half. Called with the lock, by the owner. */
NEB_ENGINE_ void neb_pool_refill_(neb_pool *pool)
{
    uint32_t number[NEB_POOL_BATCH_], count = 0;
    while (count < NEB_POOL_BATCH_ && (number[count] = neb_pool_take_(pool)) != NEB_POOL_NIL_)
        count++;
    size_t held = 0;
    for (; count > 0; held += NEB_POOL_STEP_) { /* ascending addresses come first */
        uint32_t next = number[--count];
        neb_pool_put_(pool, neb_pool_block_(pool, next), neb_pool_state_(pool, next), held);
    }
    neb_pool_hold_(pool->owner, held);
}

/* For a thread that isn't the owner. Called with the lock. */
NEB_ENGINE_ uint32_t neb_pool_take_for_other_(neb_pool *pool)
{
    bool owner_has_many = neb_pool_is_owned_(pool) && neb_pool_held_(pool) >= NEB_POOL_FULL_ / 4;
    if (pool->shared_head == NEB_POOL_NIL_ && owner_has_many && pool->slab[pool->newest].handed == pool->slab[pool->newest].capacity)
        (void)neb_pool_revoke_(pool); /* rather than another slab */
    uint32_t number = neb_pool_take_(pool);
    if (number == NEB_POOL_NIL_ && neb_pool_is_owned_(pool) && neb_pool_held_(pool) > 0 && neb_pool_revoke_(pool))
        number = neb_pool_take_(pool);
    return number;
}

NEB_ENGINE_ void *neb_pool_alloc_locked_(neb_pool *pool)
{
    neb_pool_note_(pool);
    if (pool->owner->thread == neb_thread_word_()) {
        if (neb_pool_held_(pool) == 0)
            neb_pool_refill_(pool);
        size_t held = neb_pool_held_(pool);
        if (held == 0)
            return NULL;
        neb_pool_hold_(pool->owner, held - NEB_POOL_STEP_);
        return *neb_pool_at_(pool, held - NEB_POOL_STEP_);
    }
    uint32_t number = neb_pool_take_for_other_(pool);
    if (number == NEB_POOL_NIL_)
        return NULL;
    *neb_pool_state_(pool, number) = NEB_POOL_NOWHERE_;
    return neb_pool_block_(pool, number);
}

NEB_ENGINE_ void *neb_engine_pool_alloc(neb_pool *pool)
{
    void *block;
    if (neb_pool_alloc_as_(pool, __atomic_load_n(&pool->owner, __ATOMIC_ACQUIRE), &block))
        return block;
    neb_spin_lock_(&pool->lock);
    block = neb_pool_alloc_locked_(pool);
    neb_spin_unlock_(&pool->lock);
    if (block == NULL) {
        if ((pool->flags & NEB_POOL_STRICT) != 0 && pool->limit_blocks != 0 && pool->carved == pool->limit_blocks)
            neb_misuse_("neb_pool_alloc", (const void *)pool, "pool '%s' is at its limit: %zu blocks live", neb_name_(pool->name),
                        pool->limit_blocks);
        return neb_no_memory_();
    }
    if ((pool->flags & NEB_POOL_WATCHED_) != 0)
        neb_tool_open_(block, pool->block_bytes);
    if ((pool->flags & NEB_POOL_ZERO) != 0)
        memset(block, 0, pool->block_bytes);
    else if ((pool->flags & NEB_POOL_FILLS_) != 0)
        memset(block, NEB_FILL_FRESH_, pool->block_bytes);
    return block;
}

__attribute__((noreturn)) NEB_ENGINE_ void neb_pool_bad_free_(const neb_pool *pool, const void *block)
{
    for (uint32_t i = 0; i <= pool->newest; i++) {
        size_t offset = neb_between_(pool->slab[i].base, block);
        if (offset / pool->block_bytes >= pool->slab[i].capacity)
            continue;
        if (offset % pool->block_bytes != 0)
            neb_misuse_("neb_pool_free", block, "%zu bytes inside a block of %zu bytes of pool '%s'", offset % pool->block_bytes,
                        pool->block_bytes, neb_name_(pool->name));
        if (offset / pool->block_bytes < pool->slab[i].handed)
            neb_misuse_("neb_pool_free", block, "double free: this block of pool '%s' (%p) is already free", neb_name_(pool->name),
                        (const void *)pool);
        neb_misuse_("neb_pool_free", block, "this block of pool '%s' (%p) was never allocated", neb_name_(pool->name),
                    (const void *)pool);
    }
    neb_misuse_("neb_pool_free", block, "no block of pool '%s' (%p)", neb_name_(pool->name), (const void *)pool);
}

/* The first owner comes when its magazine is full, or when something is wrong. */
NEB_ENGINE_ void neb_engine_pool_free(neb_pool *pool, void *block)
{
    if (block == NULL || neb_pool_free_as_(pool, __atomic_load_n(&pool->owner, __ATOMIC_ACQUIRE), block))
        return;
    uint32_t number = neb_pool_number_(pool, block);
    if (number == NEB_POOL_NIL_)
        neb_pool_bad_free_(pool, block);
    neb_spin_lock_(&pool->lock);
    size_t held = neb_pool_held_(pool);
    uint32_t state = __atomic_load_n(neb_pool_state_(pool, number), __ATOMIC_RELAXED);
    if (!neb_pool_is_live_(pool, block, state, held))
        neb_pool_bad_free_(pool, block);
    if ((pool->flags & NEB_POOL_FILLS_) != 0)
        memset(block, NEB_FILL_FREED_, pool->block_bytes);
    if (pool->owner->thread == neb_thread_word_() && held == NEB_POOL_FULL_) {
        neb_pool_spill_(pool, held, NEB_POOL_FULL_ / 2);
        neb_pool_hold_(pool->owner, NEB_POOL_FULL_ / 2);
    }
    neb_pool_share_(pool, number);
    if ((pool->flags & NEB_POOL_WATCHED_) != 0)
        neb_tool_close_(block, pool->block_bytes);
    neb_pool_note_(pool);
    neb_spin_unlock_(&pool->lock);
}

NEB_ENGINE_ void neb_pool_check_options_(const neb_pool_options *options)
{
    if (options->block_bytes == 0 || options->block_bytes > (size_t)64 << 20)
        neb_misuse_("neb_pool_create", (const void *)options, "blocks of %zu bytes (pool '%s'): between 1 and 64 MiB are possible",
                    options->block_bytes, neb_name_(options->name));
    if (options->alignment != 0 && (!neb_is_power_(options->alignment) || options->alignment > 65536))
        neb_misuse_("neb_pool_create", (const void *)options, "alignment %zu is not a power of two up to 65536 (pool '%s')",
                    options->alignment, neb_name_(options->name));
}

NEB_ENGINE_ neb_pool *neb_engine_pool_create(const neb_pool_options *options)
{
    const neb_ops *ops = neb_engine_ops_();
    neb_pool_check_options_(options);
    size_t got = 0;
    neb_pool *pool = (neb_pool *)ops->memory_take(sizeof *pool, &got, NEB_KIND_POOL_);
    if (pool == NULL)
        return (neb_pool *)neb_no_memory_();
    memset(pool, 0, sizeof *pool);
    pool->memory = pool;
    pool->memory_bytes = got;
    pool->ops = ops;
    pool->name = options->name;
    pool->flags = options->flags & 0xFFFF;
    pool->alignment = options->alignment == 0 ? 16 : options->alignment;
    pool->block_bytes = (options->block_bytes + pool->alignment - 1) & ~(pool->alignment - 1);
    pool->shift = (uint32_t)__builtin_ctzll(pool->block_bytes);
    pool->inverse = neb_inverse_(pool->block_bytes >> pool->shift);
    pool->shared_head = NEB_POOL_NIL_;
    pool->owner = &pool->bias[0];
    pool->limit_blocks = options->limit_blocks;
    size_t blocks = options->initial_blocks;
    if (blocks == 0)
        blocks = pool->block_bytes > 8192 ? 8 : (65536 - 256 - pool->alignment) / (pool->block_bytes + sizeof(uint32_t));
    if ((pool->flags & NEB_POOL_NO_GROWTH) != 0 && (pool->limit_blocks == 0 || pool->limit_blocks > blocks))
        pool->limit_blocks = blocks;
    if ((ops->flags & NEB_OPS_CHECKED) != 0)
        pool->flags |= NEB_POOL_FILLS_;
    if (neb_tool_watches_())
        pool->flags |= NEB_POOL_WATCHED_;
    bool is_plain = (pool->flags & (NEB_POOL_FILLS_ | NEB_POOL_WATCHED_ | NEB_POOL_ONE_LOCK | NEB_POOL_ZERO)) == 0;
    if (!is_plain || !neb_pool_barrier_(NEB_POOL_REGISTER_))
        pool->flags |= NEB_POOL_UNBIASED_;
    if (!neb_pool_slab_add_(pool, 0, blocks)) {
        ops->memory_give(pool, got);
        return (neb_pool *)neb_no_memory_();
    }
    return pool;
}

NEB_ENGINE_ void neb_engine_pool_destroy(neb_pool *pool)
{
    const neb_ops *ops = pool->ops;
    if (ops == NULL)
        neb_misuse_("neb_pool_destroy", (const void *)pool, "this pool has been destroyed");
    for (uint32_t i = 0; i <= pool->newest; i++) {
        if ((pool->flags & NEB_POOL_WATCHED_) != 0)
            neb_tool_open_(pool->slab[i].base, pool->slab[i].capacity * pool->block_bytes);
        ops->memory_give(pool->slab[i].memory, pool->slab[i].memory_bytes);
    }
    pool->ops = NULL;
    pool->owner = &pool->bias[0];
    ops->memory_give(pool->memory, pool->memory_bytes);
}

NEB_ENGINE_ size_t neb_engine_pool_visit(neb_pool *pool, neb_visit_function visit, void *argument)
{
    size_t visited = 0;
    for (uint32_t i = 0; i <= pool->newest; i++)
        for (uint32_t index = 0; index < pool->slab[i].handed; index++) {
            void *block = neb_pool_block_(pool, i << NEB_POOL_INDEX_BITS_ | index);
            if (!neb_pool_is_live_(pool, block, pool->slab[i].state[index], neb_pool_held_(pool)))
                continue;
            visited++;
            visit(argument, block, pool->block_bytes);
        }
    return visited;
}

NEB_ENGINE_ void neb_engine_pool_stats(neb_pool *pool, neb_pool_stats *stats)
{
    neb_spin_lock_(&pool->lock);
    stats->block_bytes = pool->block_bytes;
    stats->free_blocks = pool->shared_free + neb_pool_held_(pool) / NEB_POOL_STEP_;
    stats->live_blocks = pool->carved - stats->free_blocks;
    stats->reserved_bytes = pool->reserved_bytes;
    stats->slabs = (size_t)pool->newest + 1;
    stats->locked_calls = pool->locked_calls;
    stats->revocations = pool->revocations;
    neb_spin_unlock_(&pool->lock);
}

#endif
