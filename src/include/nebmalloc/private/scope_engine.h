/* scope_engine.h - entering and leaving scopes, lending tails, deferred calls. A part of engine.h, private. */
#ifndef NEBMALLOC_PRIVATE_SCOPE_ENGINE_H
#define NEBMALLOC_PRIVATE_SCOPE_ENGINE_H

enum { NEB_SCOPES_AT_ONCE_ = 16 };

NEB_ENGINE_ bool neb_scopes_make_(neb_thread *thread, const neb_ops *ops)
{
    size_t got = 0, head = sizeof(neb_segment);
    neb_segment *block = (neb_segment *)ops->memory_take(head + NEB_SCOPES_AT_ONCE_ * sizeof(neb_scope), &got, NEB_KIND_SCOPE_);
    if (block == NULL)
        return false;
    memset(block, 0, got);
    block->bytes = got;
    block->older = thread->blocks;
    thread->blocks = block;
    for (size_t at = head; at + sizeof(neb_scope) <= got && at < head + 256 * sizeof(neb_scope); at += sizeof(neb_scope)) {
        neb_scope *scope = (neb_scope *)(void *)neb_at_(block, at);
        neb_arena_init_(&scope->arena, ops, NEB_KIND_SCOPE_, NULL);
        scope->thread = thread;
        scope->outer = thread->unused;
        thread->unused = scope;
    }
    return true;
}

/* The outermost scope begins in a segment that stays with the thread. */
NEB_ENGINE_ void neb_scope_begin_in_root_(neb_scope *scope, neb_thread *thread)
{
    neb_arena *mine = &scope->arena;
    if ((mine->flags & NEB_ARENA_SLOW_) != 0)
        return;
    if (NEB_UNLIKELY_(thread->root == NULL)) {
        size_t got = 0;
        thread->root = (neb_segment *)mine->ops->memory_take(NEB_FIRST_BYTES_, &got, NEB_KIND_SCOPE_);
        if (thread->root == NULL)
            return; /* an allocation will ask again */
        thread->root->bytes = got;
        if (neb_has_runs_(mine))
            neb_block_begin_(mine, (unsigned char *)thread->root);
        thread->root_cur = neb_has_runs_(mine) ? mine->cur : neb_segment_data_(thread->root, mine);
        thread->root_end = neb_segment_end_(thread->root, mine);
    }
    mine->cur = thread->root_cur;
    mine->end = mine->tail_end = thread->root_end;
    if (neb_has_runs_(mine)) {
        neb_runs_empty_((neb_runs_ *)(void *)(thread->root + 1));
        mine->end = mine->cur + (scope->misses == 0 ? (size_t)NEB_WORDS_ : NEB_BLOCK_BYTES_ - NEB_BLOCK_HEAD_ - 8);
    }
}

/* Lends the outer scope's spare tail, or its current one, to a scope that begins. */
NEB_ENGINE_ void neb_scope_borrow_(neb_scope *scope, neb_scope *outer)
{
    neb_arena *mine = &scope->arena, *its = &outer->arena;
    if ((its->flags & NEB_ARENA_SLOW_) != 0 || (mine->flags & NEB_ARENA_SLOW_) != 0 || its->ops != mine->ops)
        return;
    if (neb_has_runs_(its)) {
        neb_run_close_(its);
        neb_arena_open_(its);
    }
    if (its->spare_cur != NULL && neb_between_(its->spare_cur, its->spare_end) >= NEB_LEND_MIN_) {
        outer->lends = NEB_LENDS_SPARE_;
        mine->cur = its->spare_cur;
        mine->tail_end = its->spare_end;
        its->spare_cur = its->spare_end = NULL;
    } else if (its->cur != NULL && neb_between_(its->cur, its->tail_end) >= NEB_LEND_MIN_) {
        outer->lends = NEB_LENDS_CURRENT_;
        mine->cur = its->cur;
        mine->tail_end = its->tail_end;
        its->end = its->cur;
    } else {
        return;
    }
    scope->lent_cur = mine->cur;
    scope->lent_end = mine->tail_end;
    neb_arena_reopen_(mine);
}

/* The lent tail comes back; if the outer scope has moved on since, as its spare. */
NEB_ENGINE_ void neb_scope_return_(neb_scope *scope, neb_scope *outer)
{
    neb_arena *its = &outer->arena;
    if (outer->lends == NEB_LENDS_CURRENT_) {
        neb_arena_reopen_(its);
    } else if (outer->lends == NEB_LENDS_SPARE_ || outer->lends == NEB_LENDS_MOVED_) {
        its->spare_cur = scope->lent_cur;
        its->spare_end = scope->lent_end;
    }
    outer->lends = NEB_LENDS_NONE_;
}

NEB_ENGINE_ neb_scope *neb_engine_scope_enter(const char *name, unsigned flags)
{
    const neb_ops *ops = neb_engine_ops_();
    neb_thread *thread = ops->thread();
    if (thread == NULL || (thread->unused == NULL && !neb_scopes_make_(thread, ops)))
        return (neb_scope *)neb_no_memory_();
    neb_scope *scope = thread->unused, *outer = thread->innermost;
    thread->unused = scope->outer;
    /* Zero since it was made or last left; what never changes is set. */
    scope->arena.name = name;
    scope->arena.serial = thread->serial << 40 | ++thread->scopes;
    scope->outer = outer;
    scope->flags = flags;
    scope->misses = (flags & NEB_SCOPE_AMBIENT) != 0 ? NEB_MISSES_MAX_ : 0;
    scope->state = NEB_SCOPE_OPEN_;
    thread->innermost = scope;
    if (outer == NULL)
        neb_scope_begin_in_root_(scope, thread);
    else
        neb_scope_borrow_(scope, outer);
    if ((flags & NEB_SCOPE_AMBIENT) != 0)
        ops->ambient(scope);
    return scope;
}

NEB_ENGINE_ neb_scope *neb_engine_scope_innermost(void)
{
    neb_thread *thread = neb_engine_ops_()->thread();
    return thread == NULL ? NULL : thread->innermost;
}

/* Back to what enter expects. The window is empty then, so that an allocation from a scope that has ended is a slow
 * one, which notices. */
NEB_INTERNAL_ void neb_scope_clear_(neb_scope *scope)
{
    neb_arena *arena = &scope->arena;
    neb_run_drop_(scope);
    arena->cur = arena->end = arena->tail_end = arena->spare_cur = arena->spare_end = arena->data = NULL;
    arena->last_mark = NULL;
    arena->closed_bytes = arena->peak_bytes = 0;
    arena->next_bytes = NEB_FIRST_BYTES_;
    arena->mark_serial = arena->slow_allocs = arena->restores = 0;
    scope->lent_cur = scope->lent_end = NULL;
    scope->lends = NEB_LENDS_NONE_;
}

/* Its memory goes, its outer scope is the innermost again. */
NEB_ENGINE_ void neb_scope_end_(neb_scope *scope)
{
    neb_arena *arena = &scope->arena;
    neb_thread *thread = scope->thread;
    neb_scope *outer = scope->outer;
    if ((scope->flags & NEB_SCOPE_AMBIENT) != 0) {
        neb_scope *around = outer;
        while (around != NULL && (around->flags & NEB_SCOPE_AMBIENT) == 0)
            around = around->outer;
        arena->ops->ambient(around);
    }
    if (neb_arena_watched_(arena) && arena->oldest != NULL)
        neb_arena_wipe_(arena, arena->oldest, NULL);
    neb_arena_pop_segments_(arena, NULL);
    if (outer != NULL)
        neb_scope_return_(scope, outer);
    thread->innermost = outer;
    neb_scope_clear_(scope);
    scope->state = NEB_SCOPE_UNUSED_;
    scope->outer = thread->unused;
    thread->unused = scope;
}

NEB_ENGINE_ void neb_engine_scope_leave(neb_scope *scope, const char *call)
{
    neb_scope_check_innermost_(&scope->arena, call);
    if (scope->defers != NULL) {
        neb_scope_run_defers_(scope, NULL);
        neb_scope_check_innermost_(&scope->arena, call); /* they may have left a scope open */
    }
    neb_scope_end_(scope);
}

NEB_ENGINE_ void neb_engine_scope_leave_through(neb_scope *scope)
{
    neb_scope_check_mine_(&scope->arena, "neb_scope_leave_inner");
    while (scope->thread->innermost != scope)
        neb_engine_scope_leave(scope->thread->innermost, "neb_scope_leave_inner");
}

NEB_ENGINE_ bool neb_engine_scope_defer(neb_scope *scope, neb_defer_function function, void *argument)
{
    neb_defer_record_ *record =
        (neb_defer_record_ *)neb_engine_arena_alloc(&scope->arena, sizeof *record, 16, "neb_scope_defer");
    if (record == NULL)
        return false;
    record->older = (neb_defer_record_ *)scope->defers;
    record->function = function;
    record->argument = argument;
    scope->defers = record;
    return true;
}

/* 0: no object of a scope begins at p. */
NEB_ENGINE_ bool neb_word_is_object_(void *p, uint64_t word)
{
    return neb_address_(p) % 16 == 0 && ((word ^ neb_word_of_(p, 0)) >> 44) == 0;
}

NEB_ENGINE_ size_t neb_engine_scope_size(void *p, const char *call)
{
    if (neb_address_(p) % 16 == 0 && neb_engine_may_run_(p)) {
        bool is_inside;
        neb_runs_ *runs = neb_runs_of_(p);
        neb_run_entry_ *run = runs == NULL ? NULL : neb_run_find_(runs, p, &is_inside);
        if (run != NULL && is_inside)
            neb_misuse_(call, p, "no object of a scope begins here");
        if (run != NULL)
            return neb_run_size_(runs, run, p);
    }
    uint64_t word = neb_address_(p) % 16 == 0 ? neb_word_get_(p) : 0;
    if (!neb_word_is_object_(p, word))
        neb_misuse_(call, p, "no object of a scope begins here");
    return (size_t)(word & NEB_WORD_SIZE_);
}

#endif
