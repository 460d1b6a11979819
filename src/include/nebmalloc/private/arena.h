/* arena.h - what scopes, bump arenas and stacks have in common: segments, and taking from their tail. A part of engine.h, private. */
#ifndef NEBMALLOC_PRIVATE_ARENA_H
#define NEBMALLOC_PRIVATE_ARENA_H

NEB_ENGINE_ uint64_t neb_serial_(void)
{
    static uint64_t last;
    return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED) | (uint64_t)neb_address_(&last) << 40; /* other files have their own */
}

NEB_INTERNAL_ bool neb_arena_watched_(const neb_arena *arena)
{
    return (arena->flags & (NEB_ARENA_SLOW_ | NEB_ARENA_FILL_FREE_)) != 0;
}

/* The window of a scope with runs. */
NEB_ENGINE_ void neb_scope_open_(neb_arena *arena)
{
    const neb_scope *scope = neb_scope_of_(arena);
    arena->end = NULL; /* a run's objects follow each other */
    if (scope->run != 0 || arena->cur == NULL)
        return;
    size_t rest = NEB_BLOCK_BYTES_ - neb_block_offset_(arena->cur), room = neb_between_(arena->cur, arena->tail_end);
    size_t words = (size_t)NEB_WORDS_ << scope->misses;
    words = words < rest ? words : rest;
    arena->end = arena->cur + (words < room ? words : room);
}

/* Makes the window what the arena's state allows. */
NEB_INTERNAL_ void neb_arena_open_(neb_arena *arena)
{
    arena->end = (arena->flags & (NEB_ARENA_SLOW_ | NEB_ARENA_SHARED_)) != 0 ? arena->cur : arena->tail_end;
    if (NEB_UNLIKELY_(neb_has_runs_(arena)))
        neb_scope_open_(arena);
}

/* The same for a tail that is another one now, or was taken back. */
NEB_INTERNAL_ void neb_arena_reopen_(neb_arena *arena)
{
    if (NEB_UNLIKELY_(neb_has_runs_(arena)))
        neb_runs_cut_(arena);
    neb_arena_open_(arena);
}

NEB_ENGINE_ void neb_arena_init_(neb_arena *arena, const neb_ops *ops, unsigned kind, const char *name)
{
    memset(arena, 0, sizeof *arena);
    arena->ops = ops;
    arena->kind = (uint8_t)kind;
    arena->bias = kind == NEB_KIND_SCOPE_ ? 8 : 0;
    arena->name = name;
    arena->serial = neb_serial_();
    arena->next_bytes = NEB_FIRST_BYTES_;
    arena->step_max_bytes = NEB_STEP_MAX_;
    arena->growth_percent = 200;
    if ((ops->flags & NEB_OPS_CHECKED) != 0)
        arena->flags = NEB_ARENA_SLOW_ | NEB_ARENA_FILL_ALLOC_ | NEB_ARENA_FILL_FREE_;
    if (neb_tool_watches_())
        arena->flags = NEB_ARENA_SLOW_ | NEB_ARENA_REDZONE_;
    if (kind == NEB_KIND_SCOPE_ && arena->flags == 0 && (ops->flags & NEB_OPS_LIBRARY) != 0)
        arena->flags = NEB_ARENA_RUNS_;
}

NEB_INTERNAL_ unsigned char *neb_segment_data_(neb_segment *segment, const neb_arena *arena)
{
    if (segment == arena->oldest && arena->home != NULL)
        return arena->home;
    return neb_at_(segment, sizeof *segment + arena->bias);
}

/* One beyond the last place for an object's end. */
NEB_INTERNAL_ unsigned char *neb_segment_end_(neb_segment *segment, const neb_arena *arena)
{
    return neb_at_(segment, (segment->bytes & ~(size_t)15) - arena->bias);
}

/* Scopes alternate between tails, so what they use is counted in whole segments. */
NEB_INTERNAL_ size_t neb_arena_used_(const neb_arena *arena)
{
    if (arena->kind == NEB_KIND_SCOPE_)
        return arena->segment_bytes;
    return arena->closed_bytes + (arena->data == NULL ? 0 : neb_between_(arena->data, arena->cur));
}

NEB_INTERNAL_ void neb_arena_note_peak_(neb_arena *arena)
{
    size_t used = neb_arena_used_(arena);
    if (used > arena->peak_bytes)
        arena->peak_bytes = used;
}

/* Puts a segment on top and its whole room into the tail. */
NEB_ENGINE_ void neb_arena_push_segment_(neb_arena *arena, neb_segment *segment)
{
    neb_arena_note_peak_(arena);
    arena->closed_bytes = neb_arena_used_(arena);
    segment->older = arena->newest;
    segment->newer = NULL;
    if (arena->newest != NULL)
        arena->newest->newer = segment;
    else
        arena->oldest = segment;
    segment->total_bytes = segment->bytes + (arena->newest == NULL ? 0 : arena->newest->total_bytes);
    segment->ordinal = 1 + (arena->newest == NULL ? 0 : arena->newest->ordinal);
    segment->used = 0;
    arena->newest = segment;
    arena->segment_count = segment->ordinal;
    arena->segment_bytes = segment->total_bytes;
    arena->data = arena->cur = neb_segment_data_(segment, arena);
    arena->tail_end = neb_segment_end_(segment, arena);
    if (neb_has_runs_(arena))
        neb_block_begin_(arena, (unsigned char *)segment);
    if ((arena->flags & NEB_ARENA_REDZONE_) != 0)
        neb_tool_close_(arena->cur, neb_between_(arena->cur, arena->tail_end));
}

NEB_ENGINE_ neb_segment *neb_kept_take_(neb_arena *arena, size_t bytes)
{
    neb_segment **link = &arena->kept;
    for (int looks = 0; *link != NULL && looks < NEB_KEPT_LOOKS_; looks++, link = &(*link)->older)
        if ((*link)->bytes >= bytes) {
            neb_segment *segment = *link;
            *link = segment->older;
            arena->kept_bytes -= segment->bytes;
            return segment;
        }
    return NULL;
}

NEB_INTERNAL_ size_t neb_grown_(const neb_arena *arena, size_t bytes)
{
    if (bytes >= arena->step_max_bytes)
        return bytes;
    size_t next = bytes / 100 * arena->growth_percent + bytes % 100 * arena->growth_percent / 100;
    return next > arena->step_max_bytes ? arena->step_max_bytes : next;
}

/* A segment with room for need bytes behind its head. */
NEB_ENGINE_ bool neb_arena_grow_(neb_arena *arena, size_t need, const char *call)
{
    size_t bytes = need + sizeof(neb_segment) + 16, got = 0;
    neb_segment *segment = neb_kept_take_(arena, bytes);
    if (segment == NULL) {
        size_t have = arena->segment_bytes + arena->kept_bytes;
        bool is_fixed = (arena->flags & NEB_ARENA_FIXED_) != 0 && have > 0;
        if (bytes < arena->next_bytes)
            bytes = arena->next_bytes;
        if (is_fixed || (arena->limit_bytes != 0 && (have >= arena->limit_bytes || bytes > arena->limit_bytes - have))) {
            bytes = need + sizeof(neb_segment) + 16; /* what is left of the limit may do */
            if (is_fixed || have >= arena->limit_bytes || bytes > arena->limit_bytes - have) {
                if ((arena->flags & NEB_ARENA_STRICT_) != 0)
                    neb_misuse_(call, (const void *)arena, "%s '%s' is at its limit: %zu bytes reserved, %zu more needed, %zu allowed",
                                neb_kind_(arena->kind), neb_name_(arena->name), have, bytes, is_fixed ? have : arena->limit_bytes);
                return false;
            }
        }
        segment = (neb_segment *)arena->ops->memory_take(bytes, &got, arena->kind);
        if (segment == NULL)
            return false;
        segment->bytes = arena->limit_bytes != 0 && got > bytes ? bytes & ~(size_t)15 : got;
        segment->flags = 0;
        segment->reserved = NULL;
        arena->next_bytes = neb_grown_(arena, arena->next_bytes);
    }
    neb_arena_push_segment_(arena, segment);
    return true;
}

/* From the present tail; NULL: it has not that much room. */
NEB_ENGINE_ void *neb_arena_take_(neb_arena *arena, size_t size, size_t alignment)
{
    size_t bias = arena->bias, room = neb_between_(arena->cur, arena->tail_end);
    size_t gap = (size_t)(0 - (neb_address_(arena->cur) + bias)) & (alignment - 1);
    size_t need = ((size == 0 ? 1 : size) + bias + 15) & ~(size_t)15;
    if ((arena->flags & NEB_ARENA_REDZONE_) != 0)
        need += 16;
    if (arena->cur == NULL || gap > room || need > room - gap)
        return NULL;
    unsigned char *p = arena->cur + gap + bias;
    arena->cur += gap + need;
    if ((arena->flags & NEB_ARENA_REDZONE_) != 0)
        neb_tool_open_(p, size);
    if ((arena->flags & NEB_ARENA_FILL_ALLOC_) != 0)
        memset(p, NEB_FILL_FRESH_, size);
    if (arena->kind == NEB_KIND_SCOPE_)
        neb_word_set_(p, neb_word_of_(p, size));
    return p;
}

NEB_INTERNAL_ void neb_spare_swap_(neb_arena *arena)
{
    unsigned char *cur = arena->cur, *tail_end = arena->tail_end;
    arena->cur = arena->spare_cur;
    arena->tail_end = arena->spare_end;
    arena->spare_cur = cur;
    arena->spare_end = tail_end;
    if (neb_has_runs_(arena))
        neb_runs_cut_(arena);
}

/* The same for scopes, which may begin a run, or the next block. */
NEB_ENGINE_ void *neb_scope_take_tail_(neb_arena *arena, size_t size, size_t alignment, bool is_likely)
{
    unsigned char *old_cur = arena->cur;
    if (!neb_has_runs_(arena) || old_cur == NULL)
        return neb_arena_take_(arena, size, alignment);
    size_t need = ((size == 0 ? 1 : size) + 23) & ~(size_t)15, rest = NEB_BLOCK_BYTES_ - neb_block_offset_(old_cur);
    size_t room = neb_between_(old_cur, arena->tail_end);
    if (need > rest && need <= NEB_SKIP_MAX_ && alignment <= 16 && room > rest) {
        if (room - rest < NEB_BLOCK_HEAD_ + 16 + need)
            return NULL;
        neb_block_begin_(arena, neb_block_of_(old_cur) + NEB_BLOCK_BYTES_);
        old_cur = arena->cur;
    }
    void *p = is_likely ? neb_run_begin_(arena, size) : NULL;
    if (p != NULL)
        return p;
    neb_run_miss_(neb_scope_of_(arena));
    p = neb_arena_take_(arena, size, alignment);
    if (p != NULL)
        neb_block_enter_(arena, old_cur);
    return p;
}

NEB_ENGINE_ void neb_scope_check_mine_(const neb_arena *arena, const char *call)
{
    const neb_scope *scope = (const neb_scope *)(const void *)arena;
    if (scope->state != NEB_SCOPE_OPEN_)
        neb_misuse_(call, (const void *)scope, "this scope has ended");
    const neb_thread *thread = arena->ops->thread();
    if (scope->thread != thread)
        neb_misuse_(call, (const void *)scope, "scope '%s' belongs to thread %llu, not to this one (%llu)",
                    neb_name_(arena->name), (unsigned long long)scope->thread->serial,
                    (unsigned long long)(thread == NULL ? 0 : thread->serial));
}

/* Scopes have two tails, of which one may be lent to the inner scope. Those that are watched have one: what ends is then
 * all that lies above a mark in its segment, and all newer segments. */
NEB_ENGINE_ void *neb_scope_take_(neb_arena *arena, size_t size, size_t alignment, const char *call)
{
    neb_scope *scope = neb_scope_of_(arena);
    bool is_likely = false;
    if (neb_has_runs_(arena)) {
        void *next = alignment <= 16 ? neb_run_take_(arena, size) : NULL;
        if (next != NULL)
            return next;
        is_likely = alignment <= 16 && neb_run_is_likely_(arena, size);
        neb_run_close_(arena);
    }
    bool has_current = scope->lends != NEB_LENDS_CURRENT_, has_spare = scope->lends == NEB_LENDS_NONE_;
    void *p = has_current ? neb_scope_take_tail_(arena, size, alignment, is_likely) : NULL;
    if (p == NULL && has_spare && arena->spare_cur != NULL) {
        neb_spare_swap_(arena);
        p = neb_scope_take_tail_(arena, size, alignment, is_likely);
        if (p == NULL)
            neb_spare_swap_(arena);
    }
    if (p != NULL)
        return p;
    unsigned char *old_cur = arena->cur, *old_end = arena->tail_end;
    if (!neb_arena_grow_(arena, size + alignment + 48 + (neb_has_runs_(arena) ? (size_t)NEB_BLOCK_HEAD_ : 0), call))
        return NULL;
    if (!has_current)
        scope->lends = NEB_LENDS_MOVED_;
    else if (has_spare && (arena->flags & NEB_ARENA_SLOW_) == 0 && neb_between_(old_cur, old_end) > neb_between_(arena->spare_cur, arena->spare_end)) {
        arena->spare_cur = old_cur;
        arena->spare_end = old_end;
    }
    return neb_scope_take_tail_(arena, size, alignment, is_likely);
}

NEB_INTERNAL_ void neb_spin_lock_(uint32_t *lock)
{
    for (int spins = 0; __atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE) != 0; spins++)
        if (spins >= 64)
            (void)sched_yield();
}

NEB_INTERNAL_ void neb_spin_unlock_(uint32_t *lock)
{
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

/* Any thread: an addition in the newest segment; who finds it full makes the next one. */
NEB_ENGINE_ void *neb_shared_take_(neb_bump *bump, size_t size, size_t alignment, const char *call)
{
    neb_arena *arena = &bump->shared;
    size_t need = ((size == 0 ? 1 : size) + (alignment > 16 ? alignment : 0) + 15) & ~(size_t)15;
    if ((arena->flags & NEB_ARENA_REDZONE_) != 0)
        need += 16;
    for (;;) {
        neb_segment *segment = __atomic_load_n(&bump->shared_segment, __ATOMIC_ACQUIRE);
        if (segment != NULL) {
            unsigned char *data = neb_segment_data_(segment, arena);
            size_t room = neb_between_(data, neb_segment_end_(segment, arena));
            size_t at = need > room ? room : __atomic_fetch_add(&segment->used, need, __ATOMIC_RELAXED);
            if (at <= room && need <= room - at) {
                unsigned char *p = neb_up_(data + at, alignment);
                if ((arena->flags & NEB_ARENA_REDZONE_) != 0)
                    neb_tool_open_(p, size);
                if ((arena->flags & NEB_ARENA_FILL_ALLOC_) != 0)
                    memset(p, NEB_FILL_FRESH_, size);
                return p;
            }
        }
        neb_spin_lock_(&bump->shared_lock);
        bool is_grown = true;
        if (segment == bump->shared_segment) {
            if (segment != NULL) /* what lies behind the last object stays unused */
                arena->cur = neb_segment_end_(segment, arena);
            is_grown = neb_arena_grow_(arena, need, call);
            __atomic_store_n(&bump->shared_segment, arena->newest, __ATOMIC_RELEASE);
        }
        neb_spin_unlock_(&bump->shared_lock);
        if (!is_grown)
            return NULL;
    }
}

/* The arena proper, brought up to date where it is shared: all other threads keep away now. */
NEB_ENGINE_ neb_arena *neb_shared_stop_(neb_arena *arena)
{
    if ((arena->flags & NEB_ARENA_SHARED_) == 0)
        return arena;
    neb_arena *shared = &((neb_bump *)(void *)arena)->shared;
    if (shared->newest != NULL) {
        size_t room = neb_between_(shared->data, shared->tail_end);
        size_t used = __atomic_load_n(&shared->newest->used, __ATOMIC_RELAXED);
        shared->cur = shared->data + (used < room ? used : room);
    }
    return shared;
}

NEB_ENGINE_ void neb_shared_go_(neb_arena *arena)
{
    if ((arena->flags & NEB_ARENA_SHARED_) == 0)
        return;
    neb_bump *bump = (neb_bump *)(void *)arena;
    neb_arena *shared = &bump->shared;
    if (shared->newest != NULL)
        __atomic_store_n(&shared->newest->used, neb_between_(shared->data, shared->cur), __ATOMIC_RELAXED);
    __atomic_store_n(&bump->shared_segment, shared->newest, __ATOMIC_RELEASE);
}

/* Apart from the others, whose branches it would else teach the wrong way. */
__attribute__((noinline)) NEB_ENGINE_ void *neb_scope_alloc_slow_(neb_arena *arena, size_t size, size_t alignment, const char *call)
{
    neb_scope_check_mine_(arena, call);
    if (size > NEB_SIZE_MAX_ || alignment > NEB_SIZE_MAX_)
        return neb_no_memory_();
    arena->slow_allocs++;
    void *p = neb_scope_take_(arena, size, alignment < 16 ? 16 : alignment, call);
    neb_arena_open_(arena);
    if (neb_scope_of_(arena)->lends == NEB_LENDS_CURRENT_)
        arena->end = arena->cur;
    return p == NULL ? neb_no_memory_() : p;
}

NEB_ENGINE_ void *neb_engine_arena_alloc(neb_arena *arena, size_t size, size_t alignment, const char *call)
{
    if (!neb_is_power_(alignment))
        neb_misuse_(call, (const void *)arena, "alignment %zu is not a power of two (%s '%s')", alignment, neb_kind_(arena->kind),
                    neb_name_(arena->name));
    if (arena->kind == NEB_KIND_SCOPE_)
        return neb_scope_alloc_slow_(arena, size, alignment, call);
    if (size > NEB_SIZE_MAX_ || alignment > NEB_SIZE_MAX_)
        return neb_no_memory_();
    if (alignment < 16)
        alignment = 16;
    void *p;
    if ((arena->flags & NEB_ARENA_SHARED_) != 0) {
        p = neb_shared_take_((neb_bump *)(void *)arena, size, alignment, call);
    } else {
        arena->slow_allocs++;
        p = neb_arena_take_(arena, size, alignment);
        if (p == NULL && neb_arena_grow_(arena, size + alignment + 48, call))
            p = neb_arena_take_(arena, size, alignment);
        neb_arena_open_(arena);
    }
    return p == NULL ? neb_no_memory_() : p;
}

/* Whether what lies directly below its tail is the scope's own: neither the tail nor its beginning is shared. */
NEB_INTERNAL_ bool neb_scope_has_top_(const neb_scope *scope)
{
    return scope->lends != NEB_LENDS_CURRENT_ && scope->arena.cur != scope->lent_cur;
}

/* An object of a run: where it is, if it may be smaller there or is the last. */
NEB_ENGINE_ bool neb_run_resize_(neb_arena *arena, neb_runs_ *runs, neb_run_entry_ *run, void *p, size_t old_size, size_t size)
{
    neb_run_close_(arena); /* it may be the run's last object */
    size_t to_top = neb_between_(p, arena->cur);
    bool is_last = arena->cur != NULL && neb_scope_has_top_(neb_scope_of_(arena)) && to_top == (neb_run_is_single_(run) ? ((old_size + (old_size == 0) + 23) & ~(size_t)15) - 8
                                                      : neb_stride_(run->size) + 8);
    bool is_done = is_last && neb_run_resize_last_(arena, runs, run, p, size);
    if (neb_scope_of_(arena)->lends != NEB_LENDS_CURRENT_)
        neb_arena_open_(arena);
    if (is_done || size > run->size)
        return is_done;
    neb_run_shrink_(runs, run, p, size);
    return true;
}

NEB_ENGINE_ bool neb_arena_resize_here_(neb_arena *arena, void *p, size_t old_size, size_t size)
{
    if (neb_has_runs_(arena)) {
        bool is_inside;
        neb_runs_ *runs = neb_runs_of_(p);
        neb_run_entry_ *run = runs == NULL ? NULL : neb_run_find_(runs, p, &is_inside);
        if (run != NULL)
            return neb_run_resize_(arena, runs, run, p, old_size, size);
    }
    size_t bias = arena->bias;
    size_t old_need = ((old_size == 0 ? 1 : old_size) + bias + 15) & ~(size_t)15;
    size_t need = ((size == 0 ? 1 : size) + bias + 15) & ~(size_t)15;
    bool is_scope = arena->kind == NEB_KIND_SCOPE_;
    bool is_exact = (arena->flags & (NEB_ARENA_REDZONE_ | NEB_ARENA_SHARED_)) == 0 &&
                    !(is_scope && !neb_scope_has_top_(neb_scope_of_(arena)));
    unsigned char *begin = (unsigned char *)p - bias;
    bool is_last = is_exact && arena->cur != NULL && neb_between_(begin, arena->cur) == old_need;
    if (need <= old_need || (is_last && need <= neb_between_(begin, arena->tail_end))) {
        if (is_last) {
            if ((arena->flags & NEB_ARENA_FILL_ALLOC_) != 0 && size > old_size)
                memset(begin + bias + old_size, NEB_FILL_FRESH_, size - old_size);
            unsigned char *old_cur = arena->cur;
            arena->cur = begin + need;
            if (need > old_need)
                neb_block_enter_(arena, old_cur);
            neb_arena_open_(arena);
        }
        if ((arena->flags & NEB_ARENA_REDZONE_) != 0 && size != old_size) {
            if (size < old_size)
                neb_tool_close_((unsigned char *)p + size, old_size - size);
            else
                neb_tool_open_((unsigned char *)p + old_size, size - old_size);
        }
        if (is_scope)
            neb_word_set_(p, neb_word_of_(p, size));
        return true;
    }
    return false;
}

NEB_ENGINE_ void *neb_engine_arena_resize(neb_arena *arena, void *p, size_t old_size, size_t size, const char *call)
{
    if (p == NULL)
        return neb_engine_arena_alloc(arena, size, 16, call);
    if (size > NEB_SIZE_MAX_)
        return neb_no_memory_();
    if (neb_arena_resize_here_(arena, p, old_size, size))
        return p;
    void *copy = neb_engine_arena_alloc(arena, size, 16, call);
    if (copy != NULL)
        memcpy(copy, p, old_size < size ? old_size : size);
    return copy;
}

#endif
