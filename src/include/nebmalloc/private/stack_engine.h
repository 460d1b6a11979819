/* stack_engine.h - stacks: objects with a record, markers, frames. A part of engine.h, private. */
#ifndef NEBMALLOC_PRIVATE_STACK_ENGINE_H
#define NEBMALLOC_PRIVATE_STACK_ENGINE_H

/* The head of a run whose first object begins a segment or has an alignment of its own, or is a marker. */
typedef struct neb_stack_record_ {
    neb_segment *newest; /* before it was pushed */
    unsigned char *cur;
    neb_run_ run;
} neb_stack_record_;

NEB_INTERNAL_ neb_stack_record_ *neb_stack_record_of_(void *p)
{
    return (neb_stack_record_ *)(void *)((unsigned char *)p - sizeof(neb_stack_record_));
}

/* The newest run: one object, with a record below it. */
NEB_INTERNAL_ void neb_stack_run_begin_(neb_stack *stack, void *p)
{
    stack->run.bytes = neb_between_(p, stack->arena.cur);
    stack->run.first = (unsigned char *)p + 1;
}

NEB_ENGINE_ void neb_stack_note_high_(neb_stack *stack)
{
    if (stack->arena.cur > stack->high)
        stack->high = stack->arena.cur;
    size_t high = stack->arena.data == NULL ? 0 : stack->arena.closed_bytes + neb_between_(stack->arena.data, stack->high);
    if (high > stack->arena.peak_bytes)
        stack->arena.peak_bytes = high;
}

NEB_ENGINE_ void *neb_stack_push_record_(neb_stack *stack, size_t size, size_t alignment, const char *call)
{
    neb_arena *arena = &stack->arena;
    neb_stack_record_ record = {arena->newest, arena->cur, stack->run};
    size_t before = alignment > sizeof record ? alignment : sizeof record;
    if (size > NEB_SIZE_MAX_)
        return neb_no_memory_();
    neb_stack_note_high_(stack);
    unsigned char *base = (unsigned char *)neb_engine_arena_alloc(arena, before + (size == 0 ? 1 : size), alignment, call);
    if (base == NULL)
        return NULL;
    unsigned char *p = base + before;
    if (arena->newest != record.newest)
        stack->high = arena->data;
    neb_stack_run_begin_(stack, p);
    neb_tool_own_(neb_stack_record_of_(p), sizeof record);
    *neb_stack_record_of_(p) = record;
    neb_stack_note_high_(stack);
    return p;
}

NEB_ENGINE_ void *neb_engine_stack_push(neb_stack *stack, size_t size, size_t alignment)
{
    if (!neb_is_power_(alignment)) /* before it is compared with other sizes */
        neb_misuse_("neb_stack_push_aligned", (const void *)stack, "alignment %zu is not a power of two (stack '%s')", alignment,
                    neb_name_(stack->arena.name));
    return neb_stack_push_record_(stack, size, alignment, "neb_stack_push");
}

NEB_INTERNAL_ bool neb_stack_is_first_(const neb_stack *stack, const void *p)
{
    return neb_address_(p) == (neb_address_(stack->run.first) & ~(uintptr_t)15);
}

NEB_INTERNAL_ bool neb_stack_is_top_(const neb_stack *stack, const void *p)
{
    bool is_in_run = neb_address_(p) > neb_address_(stack->run.first) || neb_stack_is_first_(stack, p);
    return is_in_run && neb_between_(p, stack->arena.cur) == stack->run.bytes;
}

/* Takes off the object on top. */
NEB_ENGINE_ void neb_stack_drop_(neb_stack *stack, void *top)
{
    neb_arena *arena = &stack->arena;
    unsigned char *old_cur = arena->cur;
    neb_stack_note_high_(stack);
    if (!neb_stack_is_first_(stack, top)) {
        arena->cur = (unsigned char *)top;
    } else if (top == stack->run.first) {
        arena->cur = (unsigned char *)top - sizeof(neb_run_);
        stack->run = *(const neb_run_ *)(const void *)arena->cur;
    } else {
        neb_tool_own_(neb_stack_record_of_(top), sizeof(neb_stack_record_));
        neb_stack_record_ record = *neb_stack_record_of_(top);
        if (record.newest != arena->newest) {
            if (neb_arena_watched_(arena))
                neb_arena_wipe_(arena, arena->newest, arena->data);
            neb_arena_pop_segments_(arena, record.newest);
            arena->data = record.newest == NULL ? NULL : neb_segment_data_(record.newest, arena);
            arena->closed_bytes -= record.newest == NULL ? 0 : neb_between_(arena->data, record.cur);
            arena->tail_end = record.newest == NULL ? NULL : neb_segment_end_(record.newest, arena);
            stack->high = old_cur = record.cur;
        }
        arena->cur = record.cur;
        stack->run = record.run;
    }
    if (neb_arena_watched_(arena) && arena->cur != old_cur) {
        if ((arena->flags & NEB_ARENA_FILL_FREE_) != 0) {
            neb_tool_own_(arena->cur, neb_between_(arena->cur, old_cur));
            memset(arena->cur, NEB_FILL_FREED_, neb_between_(arena->cur, old_cur));
        }
        if ((arena->flags & NEB_ARENA_REDZONE_) != 0)
            neb_tool_close_(arena->cur, neb_between_(arena->cur, old_cur));
    }
    neb_arena_open_(arena);
}

/* The newest marker, if nothing lies above it; else NULL. */
NEB_ENGINE_ neb_mark_record_ *neb_stack_top_mark_(neb_stack *stack)
{
    neb_mark_record_ *mark = (neb_mark_record_ *)stack->arena.last_mark;
    return mark != NULL && neb_stack_is_top_(stack, mark) ? mark : NULL;
}

NEB_ENGINE_ void neb_stack_drop_mark_(neb_stack *stack, neb_mark_record_ *mark)
{
    stack->arena.last_mark = mark->older;
    neb_stack_drop_(stack, mark);
}

/* Nothing but markers may lie above what is popped. */
NEB_ENGINE_ void neb_engine_stack_pop(neb_stack *stack, void *p)
{
    const char *name = neb_name_(stack->arena.name);
    for (neb_mark_record_ *mark; (mark = neb_stack_top_mark_(stack)) != NULL; neb_stack_drop_mark_(stack, mark))
        if ((mark->serial & NEB_RECORD_FRAME_) != 0)
            neb_misuse_("neb_stack_pop", p, "nothing is left in the innermost frame of stack '%s' (%p), which is open", name,
                        (const void *)stack);
    if (stack->arena.cur == NULL || neb_arena_used_(&stack->arena) == 0)
        neb_misuse_("neb_stack_pop", p, "stack '%s' (%p) is empty", name, (const void *)stack);
    if (!neb_stack_is_top_(stack, p))
        neb_misuse_("neb_stack_pop", p, "not the object on top of stack '%s' (%p), which ends at %p", name, (const void *)stack,
                    (const void *)stack->arena.cur);
    neb_stack_drop_(stack, p);
}

NEB_ENGINE_ bool neb_engine_stack_is_empty(const neb_stack *stack)
{
    return neb_arena_used_(&stack->arena) == 0;
}

NEB_ENGINE_ neb_mark neb_stack_mark_as_(neb_stack *stack, uint64_t frame, const char *call)
{
    neb_arena *arena = &stack->arena;
    if (frame != 0 || neb_stack_top_mark_(stack) == NULL) {
        neb_mark_record_ *record = (neb_mark_record_ *)neb_stack_push_record_(stack, sizeof *record, 16, call);
        if (record == NULL)
            neb_misuse_(call, (const void *)stack, "no memory for a marker (stack '%s')", neb_name_(arena->name));
        record->older = (neb_mark_record_ *)arena->last_mark;
        record->serial = ++arena->mark_serial | frame;
        arena->last_mark = record;
    }
    return neb_arena_point_(arena);
}

NEB_ENGINE_ neb_mark neb_engine_stack_mark(neb_stack *stack)
{
    return neb_stack_mark_as_(stack, 0, "neb_stack_mark");
}

NEB_ENGINE_ neb_mark neb_engine_stack_frame_begin(neb_stack *stack)
{
    neb_mark mark = neb_stack_mark_as_(stack, NEB_RECORD_FRAME_, "neb_stack_frame_begin");
    stack->depth++;
    return mark;
}

/* Frames stay open but for the one that ends. */
NEB_ENGINE_ void neb_engine_stack_restore(neb_stack *stack, const neb_mark *mark, const char *call)
{
    neb_arena *arena = &stack->arena;
    neb_mark_check_(arena, mark, call);
    for (const neb_mark_record_ *record = (const neb_mark_record_ *)arena->last_mark; record != mark->record; record = record->older)
        if ((record->serial & NEB_RECORD_FRAME_) != 0)
            neb_misuse_(call, (const void *)stack, "a frame of stack '%s' that was begun after the mark is open",
                        neb_name_(arena->name));
    neb_stack_note_high_(stack);
    neb_segment *newest = arena->newest;
    neb_arena_return_to_(arena, mark);
    neb_stack_run_begin_(stack, mark->record); /* which is on top */
    if (arena->newest != newest)
        stack->high = arena->cur;
}

NEB_ENGINE_ void neb_engine_stack_frame_end(neb_stack *stack, const neb_mark *mark, uint32_t depth)
{
    const char *call = "neb_stack_frame_end";
    if (mark->arena == &stack->arena && depth != stack->depth)
        neb_misuse_(call, (const void *)stack, "frame %u of stack '%s' is not the innermost one, which is frame %u", depth,
                    neb_name_(stack->arena.name), stack->depth);
    neb_engine_stack_restore(stack, mark, call);
    neb_stack_drop_mark_(stack, (neb_mark_record_ *)stack->arena.last_mark);
    stack->depth--;
}

static const neb_stack_options neb_stack_defaults_ = {0, 0, 0, 0, NULL, 0, NULL};

NEB_ENGINE_ void neb_stack_configure_(neb_stack *stack, const neb_ops *ops, const neb_stack_options *options)
{
    neb_arena *arena = &stack->arena;
    memset(stack, 0, sizeof *stack);
    neb_arena_init_(arena, ops, NEB_KIND_STACK_, options->name);
    stack->run.bytes = 1;
    arena->flags = (uint16_t)(arena->flags | NEB_ARENA_KEEP_ | ((options->flags & NEB_STACK_FIXED) != 0 ? NEB_ARENA_FIXED_ : 0) |
                              ((options->flags & NEB_STACK_STRICT) != 0 ? NEB_ARENA_STRICT_ : 0));
    if (options->initial_bytes != 0 && options->initial_bytes < NEB_SIZE_MAX_)
        arena->next_bytes = options->initial_bytes + sizeof(neb_segment) + 16;
    arena->limit_bytes = options->limit_bytes;
}

NEB_ENGINE_ bool neb_engine_stack_init(neb_stack *stack, const neb_stack_options *options)
{
    const neb_ops *ops = neb_engine_ops_();
    if (options == NULL)
        options = &neb_stack_defaults_;
    size_t usable = 0;
    neb_segment *segment = NULL;
    if (options->memory != NULL) {
        segment = neb_callers_segment_(options->memory, options->memory_bytes, 0, &usable);
        if (segment == NULL)
            return neb_no_memory_() != NULL;
    }
    neb_stack_configure_(stack, ops, options);
    if (segment != NULL) {
        neb_arena_begin_in_(&stack->arena, segment, usable, NEB_SEGMENT_CALLERS_, 0);
        stack->high = stack->arena.cur;
    }
    return true;
}

NEB_ENGINE_ neb_stack *neb_engine_stack_create(const neb_stack_options *options)
{
    const neb_ops *ops = neb_engine_ops_();
    if (options == NULL)
        options = &neb_stack_defaults_;
    size_t usable = 0;
    bool is_callers = options->memory != NULL;
    const neb_bump_options first = {options->initial_bytes, 0, options->limit_bytes, 0, 0, options->memory, options->memory_bytes, NULL};
    neb_segment *segment = neb_first_segment_(NEB_KIND_STACK_, &first, sizeof(neb_stack), &usable);
    if (segment == NULL)
        return (neb_stack *)neb_no_memory_();
    neb_stack *stack = (neb_stack *)(void *)neb_at_(segment, sizeof *segment);
    neb_stack_configure_(stack, ops, options);
    stack->is_created = 1;
    neb_arena_begin_in_(&stack->arena, segment, usable, is_callers ? (size_t)NEB_SEGMENT_CALLERS_ : 0, sizeof *stack);
    stack->high = stack->arena.cur;
    return stack;
}

NEB_ENGINE_ void neb_engine_stack_finish(neb_stack *stack, bool is_created)
{
    if (stack->arena.serial == 0 || (stack->is_created != 0) != is_created)
        neb_misuse_(is_created ? "neb_stack_destroy" : "neb_stack_finish", (const void *)stack,
                    "not a stack made by %s, or already ended", is_created ? "neb_stack_create" : "neb_stack_init");
    stack->high = NULL;
    neb_arena_finish_(&stack->arena);
}

#endif
