/* api.c - every function of the public headers, exported under its own name, and the table that programs look for.
 *
 * The headers define their functions static inline; here they get external linkage instead, so that programs in other
 * languages can call them too. All of them and the table, and nothing else, carry the version node NEBMALLOC_1.0. */
#include "base/attr.h"

#define NEB_LINKED 1
#define NEB_ENGINE_WANTED_ 1
#define NEB_API NEB_EXPORT
#pragma GCC diagnostic ignored "-Wmissing-prototypes" /* the headers' definitions are the prototypes */
#include "front/api.h"

#include "front/region.h"
#include "front/scope.h"
#include "policy/policy.h"

static void *memory_take(size_t bytes, size_t *got, unsigned kind)
{
    int saved = errno;
    void *memory = kind == NEB_KIND_SCOPE_ && !POLICY_FREE_EXACT ? neb_scope_memory_take(bytes, got)
                                                                 : neb_region_take(bytes, got, kind);
    errno = saved;
    return memory;
}

/* What a tool was told about objects must not stay when the memory serves others; regions know how long they are. */
static void tools_forget(neb_segment *newest, size_t count)
{
    for (neb_segment *older; count-- > 0; newest = older) {
        older = newest->older;
        neb_tool_own_(newest + 1, newest->bytes - sizeof *newest);
    }
}

static void memory_give(void *memory, size_t bytes)
{
    int saved = errno;
    if (neb_tool_watches_())
        neb_tool_own_(memory, bytes);
    neb_region_give(memory);
    errno = saved;
}

static void segments_give(neb_segment *newest, neb_segment *oldest, size_t count, size_t bytes, unsigned kind)
{
    (void)kind; /* scopes alone don't keep their segments themselves */
    int saved = errno;
    if (neb_tool_watches_())
        tools_forget(newest, count);
    neb_scope_segments_give(newest, oldest, count, bytes);
    errno = saved;
}

#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)
#define VERSION TEXT(NEB_VERSION_MAJOR) "." TEXT(NEB_VERSION_MINOR) "." TEXT(NEB_VERSION_PATCH)

NEB_EXPORT const neb_ops neb_ops_2 = {
    NEB_ABI,
    (uint32_t)sizeof(neb_ops),
    NEB_OPS_LIBRARY | (POLICY_FREE_EXACT ? NEB_OPS_CHECKED : 0),
    0,
    VERSION " " POLICY_NAME,
    memory_take,
    memory_give,
    segments_give,
    neb_scope_thread,
    neb_scope_ambient,
    NEB_ENGINE_OPS_,
    neb_api_stats,
    neb_api_trim,
    neb_api_visit,
    neb_api_name,
};

static const neb_ops *neb_engine_ops_(void)
{
    return &neb_ops_2;
}

void neb_engine_end_all(neb_thread *thread)
{
    while (thread->innermost != NULL) {
        neb_scope_run_defers_(thread->innermost, NULL);
        neb_scope_end_(thread->innermost);
    }
}

void *neb_engine_alloc(neb_arena *arena, size_t size, size_t alignment)
{
    return neb_engine_arena_alloc(arena, size, alignment, "malloc");
}

bool neb_engine_grow_last(neb_arena *arena, void *object, size_t old_size, size_t size)
{
    return size <= NEB_SIZE_MAX_ && neb_arena_resize_here_(arena, object, old_size, size);
}

_Static_assert(GRANULE_BYTES % NEB_BLOCK_BYTES_ == 0, "a region is whole blocks");

static bool neb_engine_may_run_(const void *p)
{
    return !neb_tool_watches_() && neb_region_may_run(p);
}

static neb_run_entry_ *run_find(void *p, neb_runs_ **runs, bool *is_inside)
{
    *runs = neb_runs_of_(p);
    return *runs == NULL ? NULL : neb_run_find_(*runs, p, is_inside);
}

enum engine_run neb_engine_run_look(void *p)
{
    bool is_inside = false;
    neb_runs_ *runs;
    const neb_run_entry_ *run = neb_tool_watches_() ? NULL : run_find(p, &runs, &is_inside); /* no table there */
    if (run == NULL)
        return RUN_NONE;
    if (is_inside || (runs->is_open != 0 && run == &runs->run[runs->count - 1] && neb_scope_is_above(p, NEB_BLOCK_BYTES_)))
        return RUN_INSIDE;
    return neb_bit_get_(runs->freed, p) ? RUN_FREED : RUN_OBJECT;
}

void neb_engine_run_free(void *p)
{
    neb_runs_ *runs = neb_runs_at_(p);
    neb_bit_set_(runs, runs->freed, p);
}

size_t neb_engine_run_size(void *p, bool is_usable)
{
    bool is_inside;
    neb_runs_ *runs;
    const neb_run_entry_ *run = run_find(p, &runs, &is_inside);
    if (run == NULL)
        return 0;
    return is_usable ? neb_run_usable_(runs, run, p) : neb_run_size_(runs, run, p);
}

void neb_engine_run_shrink(void *p, size_t size)
{
    bool is_inside;
    neb_runs_ *runs;
    neb_run_entry_ *run = run_find(p, &runs, &is_inside);
    if (run != NULL)
        neb_run_shrink_(runs, run, p, size);
}
