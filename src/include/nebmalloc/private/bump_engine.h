/* bump_engine.h - bump arenas: creation, reset, end. A part of engine.h, private. */
#ifndef NEBMALLOC_PRIVATE_BUMP_ENGINE_H
#define NEBMALLOC_PRIVATE_BUMP_ENGINE_H

NEB_ENGINE_ void neb_bump_configure_(neb_bump *bump, const neb_ops *ops, const neb_bump_options *options)
{
    neb_arena *arena = &bump->arena;
    memset(bump, 0, sizeof *bump);
    neb_arena_init_(arena, ops, NEB_KIND_BUMP_, options->name);
    uint32_t flags = options->flags;
    arena->flags = (uint16_t)(arena->flags | NEB_ARENA_KEEP_ | ((flags & NEB_BUMP_FIXED) != 0 ? NEB_ARENA_FIXED_ : 0) |
                              ((flags & NEB_BUMP_SHARED) != 0 ? NEB_ARENA_SHARED_ : 0) |
                              ((flags & NEB_BUMP_FILL_ALLOC) != 0 ? NEB_ARENA_FILL_ALLOC_ | NEB_ARENA_SLOW_ : 0) |
                              ((flags & NEB_BUMP_FILL_FREE) != 0 ? NEB_ARENA_FILL_FREE_ : 0) |
                              ((flags & NEB_BUMP_STRICT) != 0 ? NEB_ARENA_STRICT_ : 0));
    if (options->initial_bytes != 0 && options->initial_bytes < NEB_SIZE_MAX_)
        arena->next_bytes = options->initial_bytes + sizeof(neb_segment) + 16;
    if (options->segment_bytes_max != 0)
        arena->step_max_bytes = options->segment_bytes_max;
    if (options->growth_percent != 0)
        arena->growth_percent = options->growth_percent < 100 ? 100 : options->growth_percent;
    arena->limit_bytes = options->limit_bytes;
    bump->shared = *arena;
}

NEB_INTERNAL_ neb_arena *neb_bump_arena_(neb_bump *bump)
{
    return (bump->arena.flags & NEB_ARENA_SHARED_) != 0 ? &bump->shared : &bump->arena;
}

/* The first segment, when it is the caller's memory or holds the arena's own struct: objects begin behind reserve. */
NEB_ENGINE_ void neb_arena_begin_in_(neb_arena *arena, neb_segment *segment, size_t bytes, size_t flags, size_t reserve)
{
    segment->bytes = bytes & ~(size_t)15;
    segment->flags = flags;
    segment->reserved = NULL;
    arena->home = neb_at_(segment, sizeof *segment + ((reserve + 15) & ~(size_t)15) + arena->bias);
    arena->oldest = segment;
    neb_arena_push_segment_(arena, segment);
    neb_arena_open_(arena);
}

/* The caller's memory as a segment; NULL: too small to hold reserve bytes and an object. */
NEB_ENGINE_ neb_segment *neb_callers_segment_(void *memory, size_t bytes, size_t reserve, size_t *usable)
{
    size_t gap = (size_t)(0 - neb_address_(memory)) & 15;
    if (bytes < gap || bytes - gap < sizeof(neb_segment) + reserve + 48)
        return NULL;
    *usable = (bytes - gap) & ~(size_t)15;
    return (neb_segment *)(void *)neb_at_(memory, gap);
}

/* The segment that an arena begins with, whose struct of so many bytes stands in it: the caller's memory, if there is any.
 * NULL: too small, or no memory. */
NEB_ENGINE_ neb_segment *neb_first_segment_(unsigned kind, const neb_bump_options *options, size_t head, size_t *usable)
{
    if (options->memory != NULL)
        return neb_callers_segment_(options->memory, options->memory_bytes, head, usable);
    if (options->initial_bytes > NEB_SIZE_MAX_)
        return NULL;
    size_t bytes = NEB_FIRST_BYTES_;
    if (options->initial_bytes != 0)
        bytes = options->initial_bytes + sizeof(neb_segment) + head + 64;
    neb_segment *segment = (neb_segment *)neb_engine_ops_()->memory_take(bytes, usable, kind);
    if (options->limit_bytes != 0 && *usable > bytes)
        *usable = bytes;
    return segment;
}

static const neb_bump_options neb_bump_defaults_ = {0, 0, 0, 0, 0, NULL, 0, NULL};

NEB_ENGINE_ bool neb_engine_bump_init(neb_bump *bump, const neb_bump_options *options)
{
    const neb_ops *ops = neb_engine_ops_();
    if (options == NULL)
        options = &neb_bump_defaults_;
    size_t usable = 0;
    neb_segment *segment = NULL;
    if (options->memory != NULL) {
        segment = neb_callers_segment_(options->memory, options->memory_bytes, 0, &usable);
        if (segment == NULL)
            return neb_no_memory_() != NULL;
    }
    neb_bump_configure_(bump, ops, options);
    if (segment != NULL)
        neb_arena_begin_in_(neb_bump_arena_(bump), segment, usable, NEB_SEGMENT_CALLERS_, 0);
    neb_shared_go_(&bump->arena);
    return true;
}

NEB_ENGINE_ neb_bump *neb_engine_bump_create(const neb_bump_options *options)
{
    const neb_ops *ops = neb_engine_ops_();
    if (options == NULL)
        options = &neb_bump_defaults_;
    size_t usable = 0;
    bool is_callers = options->memory != NULL;
    neb_segment *segment = neb_first_segment_(NEB_KIND_BUMP_, options, sizeof(neb_bump), &usable);
    if (segment == NULL)
        return (neb_bump *)neb_no_memory_();
    neb_bump *bump = (neb_bump *)(void *)neb_at_(segment, sizeof *segment);
    neb_bump_configure_(bump, ops, options);
    bump->is_created = 1;
    neb_arena_begin_in_(neb_bump_arena_(bump), segment, usable, is_callers ? (size_t)NEB_SEGMENT_CALLERS_ : 0, sizeof *bump);
    if (!is_callers)
        neb_bump_arena_(bump)->next_bytes = neb_grown_(&bump->arena, bump->arena.next_bytes);
    neb_shared_go_(&bump->arena);
    return bump;
}

NEB_ENGINE_ void neb_engine_bump_reset(neb_bump *bump)
{
    neb_arena *arena = neb_shared_stop_(&bump->arena);
    if (arena->oldest != NULL) {
        neb_mark start = neb_arena_point_(arena);
        start.newest = arena->oldest;
        start.cur = neb_segment_data_(arena->oldest, arena);
        start.tail_end = neb_segment_end_(arena->oldest, arena);
        start.closed_bytes = 0;
        start.record = NULL;
        neb_arena_return_to_(arena, &start);
    }
    arena->serial = neb_serial_(); /* checkpoints are gone */
    neb_shared_go_(&bump->arena);
}

/* Gives every segment back; the one that may hold the arena itself last. */
NEB_ENGINE_ void neb_arena_finish_(neb_arena *arena)
{
    const neb_ops *ops = arena->ops;
    neb_segment *lists[2] = {arena->kept, arena->newest};
    if (neb_arena_watched_(arena) && arena->oldest != NULL) {
        if ((arena->flags & NEB_ARENA_FILL_FREE_) != 0)
            neb_arena_wipe_(arena, arena->oldest, NULL);
    }
    unsigned flags = arena->flags, bias = arena->bias;
    arena->cur = arena->end = NULL;
    arena->newest = arena->oldest = arena->kept = NULL;
    arena->serial = 0;
    for (int i = 0; i < 2; i++)
        for (neb_segment *segment = lists[i], *older; segment != NULL; segment = older) {
            older = segment->older;
            if ((flags & NEB_ARENA_REDZONE_) != 0)
                neb_tool_open_(neb_at_(segment, sizeof *segment + bias), segment->bytes - sizeof *segment - bias);
            if ((segment->flags & NEB_SEGMENT_CALLERS_) == 0)
                ops->memory_give(segment, segment->bytes);
        }
}

NEB_ENGINE_ void neb_engine_bump_destroy(neb_bump *bump, bool is_created)
{
    const char *call = is_created ? "neb_bump_destroy" : "neb_bump_finish";
    if (bump->arena.serial == 0 || (bump->is_created != 0) != is_created)
        neb_misuse_(call, (const void *)bump, "not an arena made by %s, or already ended",
                    is_created ? "neb_bump_create" : "neb_bump_init");
    neb_arena *arena = neb_shared_stop_(&bump->arena);
    bump->arena.serial = 0;
    neb_arena_finish_(arena);
}

#endif
