/* scope.c - see scope.h; what scopes do is in the engine (include/nebmalloc/private/engine.h). */
#include "front/scope.h"

#include "front/api.h"
#include "front/region.h"
#include "heap/heap.h"
#include "heap/meta.h"
#include "os/env.h"
#include "os/lock.h"
#include "os/thread.h"

struct scope_state {
    neb_thread thread; /* what the engine knows of */
    neb_segment *cache;
    size_t cache_bytes;
    uint32_t shrunk_ms;
    neb_scope *ambient;       /* malloc comes from it */
    bool is_busy;             /* inside the ambient scope: a signal handler stays out */
    struct scope_state *next; /* among those without thread */
};

static _Thread_local struct scope_state *own __attribute__((tls_model("initial-exec")));
static struct scope_state *unused; /* LOCK_REGION */
static uint64_t serials;           /* LOCK_REGION */

static size_t cache_shrink(struct scope_state *state, size_t bytes_max, size_t count_max)
{
    size_t given = 0;
    for (; state->cache_bytes > bytes_max && count_max > 0; count_max--) {
        neb_segment *segment = state->cache;
        state->cache = segment->older;
        state->cache_bytes -= segment->bytes;
        given += segment->bytes;
        neb_region_give(segment);
    }
    return given;
}

/* The segment in which outermost scopes begin; none is open. */
static size_t root_give(struct scope_state *state)
{
    neb_segment *root = state->thread.root;
    if (root == NULL)
        return 0;
    size_t bytes = root->bytes;
    state->thread.root = NULL;
    neb_region_give(root);
    return bytes;
}

/* The end of a thread: scopes that it left open end too, and its cache goes back. The state serves the next thread. */
static void thread_end(void)
{
    struct scope_state *state = own;
    if (state == NULL)
        return;
    neb_engine_end_all(&state->thread);
    (void)cache_shrink(state, 0, SIZE_MAX);
    (void)root_give(state);
    own = NULL;
    neb_lock_take(&neb_locks[LOCK_REGION]);
    state->next = unused;
    unused = state;
    neb_lock_give(&neb_locks[LOCK_REGION]);
}

static NEB_COLD struct scope_state *state_make(void)
{
    neb_lock_take(&neb_locks[LOCK_REGION]);
    struct scope_state *state = unused;
    if (state != NULL)
        unused = state->next;
    uint64_t serial = ++serials;
    neb_lock_give(&neb_locks[LOCK_REGION]);
    if (state == NULL)
        state = neb_meta_take(sizeof *state, 64);
    if (state == NULL)
        return NULL;
    state->thread.serial = serial;
    own = state;
    neb_thread_watch_also(thread_end);
    (void)neb_thread_watch(); /* refused: the state stays with the thread's memory */
    return state;
}

neb_thread *neb_scope_thread(void)
{
    struct scope_state *state = own;
    if (NEB_UNLIKELY(state == NULL))
        state = state_make();
    return NEB_UNLIKELY(state == NULL) ? NULL : &state->thread;
}

void *neb_scope_memory_take(size_t bytes, size_t *got)
{
    struct scope_state *state = own;
    neb_segment **link = state == NULL ? NULL : &state->cache;
    for (int looks = 0; link != NULL && *link != NULL && looks < SCOPE_CACHE_LOOKS; looks++, link = &(*link)->older)
        if ((*link)->bytes >= bytes) {
            neb_segment *segment = *link;
            *link = segment->older;
            state->cache_bytes -= segment->bytes;
            *got = segment->bytes;
            return segment;
        }
    return neb_region_take(bytes, got, NEB_KIND_SCOPE_);
}

/* Above the larger bound at once, above the smaller one after a while. */
static NEB_COLD void cache_decay(struct scope_state *state)
{
    (void)cache_shrink(state, SCOPE_CACHE_BYTES_MAX, SCOPE_CACHE_GIVES);
    uint32_t now = neb_clock_ms();
    if (now - state->shrunk_ms < SCOPE_CACHE_MS)
        return;
    state->shrunk_ms = now;
    (void)cache_shrink(state, SCOPE_CACHE_BYTES, SCOPE_CACHE_GIVES);
}

/* O(1) however many there are; only the checked policy looks at each. */
void neb_scope_segments_give(neb_segment *newest, neb_segment *oldest, size_t count, size_t bytes)
{
    struct scope_state *state = own;
    if (POLICY_FREE_EXACT || state == NULL) {
        for (neb_segment *older; count-- > 0; newest = older) {
            older = newest->older;
            neb_region_give(newest);
        }
        return;
    }
    oldest->older = state->cache;
    state->cache = newest;
    state->cache_bytes += bytes;
    if (state->cache_bytes > SCOPE_CACHE_BYTES)
        cache_decay(state);
}

size_t neb_scope_trim(void)
{
    if (own == NULL)
        return 0;
    size_t given = cache_shrink(own, 0, SIZE_MAX);
    return own->thread.innermost == NULL ? given + root_give(own) : given;
}

/* ---- ambient scopes ---------------------------------------------------------------------------------------------------- */

void neb_scope_ambient(neb_scope *scope)
{
    own->ambient = scope;
    neb_heap_set_aside(scope != NULL);
}

void *neb_ambient_alloc(size_t size, size_t alignment, bool *is_ordinary)
{
    struct scope_state *state = own;
    *is_ordinary = state == NULL || state->ambient == NULL || state->is_busy;
    if (*is_ordinary)
        return NULL;
    state->is_busy = true;
    atomic_signal_fence(memory_order_seq_cst);
    void *block = neb_engine_alloc(&state->ambient->arena, size, alignment);
    atomic_signal_fence(memory_order_seq_cst);
    state->is_busy = false;
    return block;
}

bool neb_scope_is_above(const void *p, size_t block_bytes)
{
    enum { LEVELS = 16 };
    const neb_scope *scope = own == NULL ? NULL : own->thread.innermost;
    for (int level = 0; scope != NULL && level < LEVELS; level++, scope = scope->outer)
        if (neb_address_(scope->arena.cur) / block_bytes == neb_address_(p) / block_bytes)
            return neb_address_(p) >= neb_address_(scope->arena.cur);
    return false;
}

/* Any scope of this thread may have the object as its last one; a few levels are looked at. */
bool neb_scope_resize_in_place(void *object, size_t old_size, size_t size)
{
    enum { LEVELS = 4 };
    if (size > old_size && (own == NULL || own->is_busy))
        return false;
    if (size <= old_size) {
        neb_region_shrink(object, size);
        return true;
    }
    neb_scope *scope = own->thread.innermost;
    for (int level = 0; scope != NULL && level < LEVELS; level++, scope = scope->outer)
        if (neb_engine_grow_last(&scope->arena, object, old_size, size))
            return true;
    return false;
}
