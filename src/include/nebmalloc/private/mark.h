/* mark.h - checkpoints: marks, and the way back to them. A part of engine.h, private. */
#ifndef NEBMALLOC_PRIVATE_MARK_H
#define NEBMALLOC_PRIVATE_MARK_H

NEB_ENGINE_ neb_mark neb_arena_point_(neb_arena *arena)
{
    neb_mark_record_ *record = (neb_mark_record_ *)arena->last_mark;
    neb_mark mark;
    mark.arena = arena;
    mark.arena_serial = arena->serial;
    mark.serial = record == NULL ? 0 : record->serial;
    mark.record = record;
    mark.cur = arena->cur;
    mark.tail_end = arena->tail_end;
    mark.spare_cur = arena->spare_cur;
    mark.spare_end = arena->spare_end;
    mark.newest = arena->newest;
    mark.closed_bytes = arena->closed_bytes;
    mark.top = NULL;
    return mark;
}

NEB_ENGINE_ void neb_scope_check_innermost_(const neb_arena *arena, const char *call)
{
    const neb_scope *scope = (const neb_scope *)(const void *)arena;
    neb_scope_check_mine_(arena, call);
    const neb_scope *innermost = scope->thread->innermost;
    if (innermost != scope)
        neb_misuse_(call, (const void *)scope, "scope '%s' is not the innermost one: scope '%s' (%p) is open inside it",
                    neb_name_(arena->name), neb_name_(innermost->arena.name), (const void *)innermost);
}

/* The record's memory follows directly on what was allocated; nothing was since: the last mark will do. Without memory
 * for a record the mark leans on the one before, and only that one's end is noticed. */
NEB_ENGINE_ neb_mark neb_engine_arena_mark(neb_arena *arena, const char *call)
{
    neb_arena *outer = arena;
    if (arena->kind == NEB_KIND_SCOPE_)
        neb_scope_check_innermost_(arena, call);
    arena = neb_shared_stop_(arena);
    if (neb_has_runs_(arena))
        neb_run_close_(arena);
    neb_mark_record_ *last = (neb_mark_record_ *)arena->last_mark;
    if (last == NULL || arena->cur != neb_at_(last, sizeof *last)) {
        size_t need = sizeof(neb_mark_record_) + 16;
        if ((arena->cur != NULL && need <= neb_between_(arena->cur, arena->tail_end)) || neb_arena_grow_(arena, need, call)) {
            neb_tool_own_(arena->cur, sizeof(neb_mark_record_)); /* cur is aligned to 8 at least */
            neb_mark_record_ *record = (neb_mark_record_ *)(void *)arena->cur;
            arena->cur += sizeof(neb_mark_record_);
            neb_block_enter_(arena, (unsigned char *)record);
            record->older = last;
            record->serial = ++arena->mark_serial;
            arena->last_mark = record;
            neb_arena_open_(arena);
        }
    }
    neb_mark mark = neb_arena_point_(arena);
    if (arena->kind == NEB_KIND_SCOPE_)
        mark.top = (unsigned char *)((neb_scope *)(void *)arena)->defers;
    if (neb_has_runs_(arena))
        neb_arena_open_(arena);
    neb_shared_go_(outer);
    return mark;
}

NEB_ENGINE_ void neb_mark_check_(const neb_arena *arena, const neb_mark *mark, const char *call)
{
    if (mark->arena != arena)
        neb_misuse_(call, (const void *)arena, "the mark is of another %s (%p), not of '%s'", neb_kind_(arena->kind),
                    (const void *)mark->arena, neb_name_(arena->name));
    bool is_valid = mark->arena_serial == arena->serial;
    if (is_valid && mark->record != NULL) {
        const neb_mark_record_ *record = (const neb_mark_record_ *)arena->last_mark;
        while (record != NULL && record != mark->record)
            record = record->older;
        is_valid = record != NULL && record->serial == mark->serial;
    }
    if (!is_valid)
        neb_misuse_(call, (const void *)arena, "the mark is gone: %s '%s' was released to an older one, reset or ended since",
                    neb_kind_(arena->kind), neb_name_(arena->name));
}

/* Every byte that was an object's between a point and the top. */
NEB_ENGINE_ void neb_arena_wipe_(neb_arena *arena, neb_segment *from, unsigned char *cur)
{
    for (neb_segment *segment = from; segment != NULL; segment = segment->newer) {
        unsigned char *begin = segment == from && cur != NULL ? cur : neb_segment_data_(segment, arena);
        unsigned char *end = segment == arena->newest ? arena->cur : neb_segment_end_(segment, arena);
        size_t bytes = neb_between_(begin, end);
        if ((arena->flags & NEB_ARENA_FILL_FREE_) != 0) {
            neb_tool_own_(begin, bytes);
            memset(begin, NEB_FILL_FREED_, bytes);
        }
        if ((arena->flags & NEB_ARENA_REDZONE_) != 0)
            neb_tool_close_(begin, bytes);
    }
}

/* Takes all segments above one off (NULL: all), in O(1). */
NEB_ENGINE_ void neb_arena_pop_segments_(neb_arena *arena, neb_segment *until)
{
    neb_segment *oldest = until == NULL ? arena->oldest : until->newer, *newest = arena->newest;
    if (oldest == NULL)
        return;
    size_t count = newest->ordinal - oldest->ordinal + 1, bytes = newest->total_bytes - oldest->total_bytes + oldest->bytes;
    arena->newest = until;
    if (until == NULL)
        arena->oldest = NULL;
    else
        until->newer = NULL;
    arena->segment_count -= count;
    arena->segment_bytes -= bytes;
    if ((arena->flags & NEB_ARENA_KEEP_) != 0) {
        oldest->older = arena->kept;
        arena->kept = newest;
        arena->kept_bytes += bytes;
    } else {
        arena->ops->segments_give(newest, oldest, count, bytes, arena->kind);
    }
}

NEB_ENGINE_ void neb_arena_return_to_(neb_arena *arena, const neb_mark *mark)
{
    neb_arena_note_peak_(arena);
    if (neb_arena_watched_(arena))
        neb_arena_wipe_(arena, mark->newest != NULL ? mark->newest : arena->oldest, mark->newest != NULL ? mark->cur : NULL);
    if (neb_has_runs_(arena))
        neb_run_drop_(neb_scope_of_(arena));
    neb_arena_pop_segments_(arena, mark->newest);
    arena->cur = mark->cur;
    arena->tail_end = mark->tail_end;
    arena->spare_cur = mark->spare_cur;
    arena->spare_end = mark->spare_end;
    arena->closed_bytes = mark->closed_bytes;
    arena->data = mark->newest == NULL ? NULL : neb_segment_data_(mark->newest, arena);
    arena->last_mark = mark->record;
    arena->restores++;
    neb_arena_reopen_(arena);
}

NEB_ENGINE_ void neb_scope_run_defers_(neb_scope *scope, void *until)
{
    while (scope->defers != until) {
        neb_defer_record_ *record = (neb_defer_record_ *)scope->defers;
        scope->defers = record->older;
        record->function(record->argument);
    }
}

NEB_ENGINE_ void neb_engine_arena_restore(neb_arena *arena, const neb_mark *mark, const char *call)
{
    neb_arena *outer = arena;
    arena = neb_shared_stop_(arena);
    neb_mark_check_(arena, mark, call);
    if (arena->kind == NEB_KIND_SCOPE_) {
        neb_scope_check_innermost_(arena, call);
        neb_scope_run_defers_((neb_scope *)(void *)arena, mark->top);
        neb_scope_check_innermost_(arena, call); /* they may have left a scope open */
    }
    neb_arena_return_to_(arena, mark);
    neb_shared_go_(outer);
}

NEB_ENGINE_ void neb_engine_arena_stats(const neb_arena *arena, neb_arena_stats *stats)
{
    if ((arena->flags & NEB_ARENA_SHARED_) != 0)
        arena = &((const neb_bump *)(const void *)arena)->shared;
    size_t used = neb_arena_used_(arena), peak = arena->peak_bytes;
    if ((arena->flags & NEB_ARENA_SHARED_) != 0 && arena->newest != NULL) {
        size_t room = neb_between_(arena->data, arena->tail_end), taken = __atomic_load_n(&arena->newest->used, __ATOMIC_RELAXED);
        used = arena->closed_bytes + (taken < room ? taken : room);
    }
    if (arena->kind == NEB_KIND_STACK_ && arena->data != NULL) {
        const neb_stack *stack = (const neb_stack *)(const void *)arena;
        size_t high = arena->closed_bytes + neb_between_(arena->data, stack->high);
        peak = high > peak ? high : peak;
    }
    stats->used_bytes = used;
    stats->used_bytes_peak = used > peak ? used : peak;
    stats->reserved_bytes = arena->segment_bytes;
    stats->kept_bytes = arena->kept_bytes;
    stats->segments = arena->segment_count;
    stats->slow_allocs = arena->slow_allocs;
    stats->restores = arena->restores;
}

#endif
