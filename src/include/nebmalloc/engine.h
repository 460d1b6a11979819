/* engine.h - the cold paths of scopes, bump arenas, pools and stacks: one source for the library and for the fallback.
 *
 *   segment:  [head 64][ word | object ][ word | object ] ... cur ->      <- tail_end]
 *
 * Scopes and stacks put a word of eight bytes before each object (a scope's: size and check; a stack's: how far it
 * reaches), so objects are aligned to 16 and cur is 8 beyond a multiple of 16; bump arenas have no words.
 *
 * Checkpoints: mark leaves a record in the arena, linked to the one before. A mark is valid while its record is in that
 * list; restoring takes the newer ones off. So a checkpoint that is gone is noticed exactly, at one step for each mark.
 *
 * Where each call has to be looked at (checked library, AddressSanitizer, MemorySanitizer, Valgrind, fill patterns) the
 * window that the inline paths read is kept empty, and they cost the same as ever where nothing is looked at.
 *
 * Included by the public headers; everything here is private. Written in what C11 and C++17 have in common. */
#ifndef NEBMALLOC_ENGINE_H
#define NEBMALLOC_ENGINE_H

#if !defined(NEB_LINKED) || defined(NEB_ENGINE_WANTED_)

#include <nebmalloc/base.h>
#include <nebmalloc/bump.h>
#include <nebmalloc/nebmalloc.h>
#include <nebmalloc/pool.h>
#include <nebmalloc/scope.h>
#include <nebmalloc/stack.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#if NEB_ASAN_
#include <sanitizer/asan_interface.h>
#endif
#if NEB_MSAN_
#include <sanitizer/msan_interface.h>
#endif
#if !defined(NEB_NO_VALGRIND) && defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define NEB_VALGRIND_ 1
#endif
#endif
#ifndef NEB_VALGRIND_
#define NEB_VALGRIND_ 0
#endif

/* The table this engine serves: defined by whoever includes it. */
#ifdef __cplusplus
extern "C" {
#endif
NEB_ENGINE_ const neb_ops *neb_engine_ops_(void);
#ifdef __cplusplus
#else
extern long syscall(long number, ...); /* strict C hides it */
#endif

enum {
    NEB_ARENA_SLOW_ = 1,    /* no window: every call comes here */
    NEB_ARENA_FIXED_ = 2,
    NEB_ARENA_SHARED_ = 4,
    NEB_ARENA_FILL_ALLOC_ = 8,
    NEB_ARENA_FILL_FREE_ = 16,
    NEB_ARENA_STRICT_ = 32,
    NEB_ARENA_KEEP_ = 64,   /* released segments wait in the arena for reuse */
    NEB_ARENA_REDZONE_ = 128 /* 16 bytes behind each object are nobody's */
};
enum { NEB_SEGMENT_CALLERS_ = 1 }; /* not to be given back */
enum { NEB_SCOPE_UNUSED_, NEB_SCOPE_OPEN_ = 0x5C09E };
enum { NEB_LENDS_NONE_, NEB_LENDS_CURRENT_, NEB_LENDS_SPARE_, NEB_LENDS_MOVED_ };
enum { NEB_LEND_MIN_ = 512, NEB_KEPT_LOOKS_ = 4, NEB_FIRST_BYTES_ = 65536 - 64, NEB_STEP_MAX_ = 4 << 20 };
enum { NEB_FILL_FRESH_ = 0xA5, NEB_FILL_FREED_ = 0x5A };

typedef struct neb_mark_record_ {
    struct neb_mark_record_ *older;
    uint64_t serial; /* with NEB_RECORD_FRAME_ */
} neb_mark_record_;
#define NEB_RECORD_FRAME_ (UINT64_C(1) << 63)

typedef struct neb_defer_record_ {
    struct neb_defer_record_ *older;
    neb_defer_function function;
    void *argument;
} neb_defer_record_;

/* ---- messages ----------------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4), noreturn, cold, noinline)) NEB_ENGINE_ void neb_misuse_(const char *call, const void *object,
                                                                             const char *format, ...)
{
    char line[512];
    int length = snprintf(line, sizeof line, "nebmalloc: ERROR: %s(%p): ", call, object);
    va_list arguments;
    va_start(arguments, format);
    length += vsnprintf(line + length, sizeof line - (size_t)length, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 2)
        length = (int)sizeof line - 2;
    line[length] = '\n';
    if (write(STDERR_FILENO, line, (size_t)length + 1) < 0)
        abort();
    abort();
}

NEB_INTERNAL_ const char *neb_name_(const char *name)
{
    return name == NULL ? "(unnamed)" : name;
}

__attribute__((cold, noinline)) NEB_ENGINE_ void *neb_no_memory_(void)
{
    errno = ENOMEM;
    return NULL;
}

NEB_INTERNAL_ const char *neb_kind_(unsigned kind)
{
    return kind == NEB_KIND_SCOPE_ ? "scope" : kind == NEB_KIND_BUMP_ ? "bump arena" : kind == NEB_KIND_POOL_ ? "pool" : "stack";
}

/* ---- tools that watch memory ---------------------------------------------------------------------------------------------- */

/* Whether a tool wants to see every object. */
NEB_ENGINE_ bool neb_tool_watches_(void)
{
#if NEB_ASAN_ || NEB_MSAN_
    return true;
#elif NEB_VALGRIND_
    static int8_t known; /* atomic; asking takes a dozen instructions */
    int8_t answer = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (answer == 0) {
        answer = RUNNING_ON_VALGRIND > 0 ? 1 : -1;
        __atomic_store_n(&known, answer, __ATOMIC_RELAXED);
    }
    return answer > 0;
#else
    return false;
#endif
}

/* Usable from now on, contents undefined. */
NEB_INTERNAL_ void neb_tool_open_(void *p, size_t bytes)
{
    (void)p;
    (void)bytes;
#if NEB_ASAN_
    __asan_unpoison_memory_region(p, bytes);
#endif
#if NEB_MSAN_
    __msan_allocated_memory(p, bytes);
#endif
#if NEB_VALGRIND_
    (void)VALGRIND_MAKE_MEM_UNDEFINED(p, bytes);
#endif
}

/* Nobody's from now on. */
NEB_INTERNAL_ void neb_tool_close_(void *p, size_t bytes)
{
    (void)p;
    (void)bytes;
#if NEB_ASAN_
    __asan_poison_memory_region(p, bytes);
#endif
#if NEB_MSAN_
    __msan_poison(p, bytes);
#endif
#if NEB_VALGRIND_
    (void)VALGRIND_MAKE_MEM_NOACCESS(p, bytes);
#endif
}

/* The engine's own words, which are nobody else's. */
NEB_INTERNAL_ void neb_tool_own_(void *p, size_t bytes)
{
    (void)p;
    (void)bytes;
#if NEB_ASAN_
    __asan_unpoison_memory_region(p, bytes);
#endif
#if NEB_MSAN_
    __msan_unpoison(p, bytes);
#endif
#if NEB_VALGRIND_
    (void)VALGRIND_MAKE_MEM_DEFINED(p, bytes);
#endif
}

NEB_INTERNAL_ void neb_word_set_(void *p, uint64_t word)
{
    neb_tool_own_(neb_word_at_(p), 8);
    *neb_word_at_(p) = word;
#if NEB_ASAN_ || NEB_VALGRIND_
    neb_tool_close_(neb_word_at_(p), 8);
#endif
}

NEB_INTERNAL_ uint64_t neb_word_get_(void *p)
{
    neb_tool_own_(neb_word_at_(p), 8);
    uint64_t word = *neb_word_at_(p);
#if NEB_ASAN_ || NEB_VALGRIND_
    neb_tool_close_(neb_word_at_(p), 8);
#endif
    return word;
}

/* ---- arenas ----------------------------------------------------------------------------------------------------------------- */

NEB_ENGINE_ uint64_t neb_serial_(void)
{
    static uint64_t last;
    return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED) | (uint64_t)neb_address_(&last) << 40; /* other files have their own */
}

NEB_INTERNAL_ bool neb_arena_watched_(const neb_arena *arena)
{
    return (arena->flags & (NEB_ARENA_SLOW_ | NEB_ARENA_FILL_FREE_)) != 0;
}

/* Makes the window what the arena's state allows. */
NEB_INTERNAL_ void neb_arena_open_(neb_arena *arena)
{
    arena->end = (arena->flags & (NEB_ARENA_SLOW_ | NEB_ARENA_SHARED_)) != 0 ? arena->cur : arena->tail_end;
}

NEB_ENGINE_ void neb_arena_init_(neb_arena *arena, const neb_ops *ops, unsigned kind, const char *name)
{
    memset(arena, 0, sizeof *arena);
    arena->ops = ops;
    arena->kind = (uint8_t)kind;
    arena->bias = kind == NEB_KIND_BUMP_ ? 0 : 8;
    arena->name = name;
    arena->serial = neb_serial_();
    arena->next_bytes = NEB_FIRST_BYTES_;
    arena->step_max_bytes = NEB_STEP_MAX_;
    arena->growth_percent = 200;
    if ((ops->flags & NEB_OPS_CHECKED) != 0)
        arena->flags = NEB_ARENA_SLOW_ | NEB_ARENA_FILL_ALLOC_ | NEB_ARENA_FILL_FREE_;
    if (neb_tool_watches_())
        arena->flags = NEB_ARENA_SLOW_ | NEB_ARENA_REDZONE_;
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
    neb_scope *scope = (neb_scope *)(void *)arena;
    bool has_current = scope->lends != NEB_LENDS_CURRENT_, has_spare = scope->lends == NEB_LENDS_NONE_;
    void *p = has_current ? neb_arena_take_(arena, size, alignment) : NULL;
    if (p == NULL && has_spare && arena->spare_cur != NULL) {
        neb_spare_swap_(arena);
        p = neb_arena_take_(arena, size, alignment);
        if (p == NULL)
            neb_spare_swap_(arena);
    }
    if (p != NULL)
        return p;
    unsigned char *old_cur = arena->cur, *old_end = arena->tail_end;
    if (!neb_arena_grow_(arena, size + alignment + 48, call))
        return NULL;
    if (!has_current)
        scope->lends = NEB_LENDS_MOVED_;
    else if (has_spare && (arena->flags & NEB_ARENA_SLOW_) == 0 && neb_between_(old_cur, old_end) > neb_between_(arena->spare_cur, arena->spare_end)) {
        arena->spare_cur = old_cur;
        arena->spare_end = old_end;
    }
    return neb_arena_take_(arena, size, alignment);
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

NEB_ENGINE_ void *neb_engine_arena_alloc(neb_arena *arena, size_t size, size_t alignment, const char *call)
{
    if (!neb_is_power_(alignment))
        neb_misuse_(call, (const void *)arena, "alignment %zu is not a power of two (%s '%s')", alignment, neb_kind_(arena->kind),
                    neb_name_(arena->name));
    if (arena->kind == NEB_KIND_SCOPE_)
        neb_scope_check_mine_(arena, call);
    if (size > (size_t)PTRDIFF_MAX / 2 || alignment > (size_t)PTRDIFF_MAX / 2)
        return neb_no_memory_();
    if (alignment < 16)
        alignment = 16;
    void *p;
    if ((arena->flags & NEB_ARENA_SHARED_) == 0)
        arena->slow_allocs++;
    if ((arena->flags & NEB_ARENA_SHARED_) != 0)
        p = neb_shared_take_((neb_bump *)(void *)arena, size, alignment, call);
    else if (arena->kind == NEB_KIND_SCOPE_)
        p = neb_scope_take_(arena, size, alignment, call);
    else {
        p = neb_arena_take_(arena, size, alignment);
        if (p == NULL && neb_arena_grow_(arena, size + alignment + 48, call))
            p = neb_arena_take_(arena, size, alignment);
    }
    if ((arena->flags & NEB_ARENA_SHARED_) == 0) {
        neb_arena_open_(arena);
        if (arena->kind == NEB_KIND_SCOPE_ && ((neb_scope *)(void *)arena)->lends == NEB_LENDS_CURRENT_)
            arena->end = arena->cur;
    }
    return p == NULL ? neb_no_memory_() : p;
}

NEB_ENGINE_ void *neb_engine_arena_resize(neb_arena *arena, void *p, size_t old_size, size_t size, const char *call)
{
    if (p == NULL)
        return neb_engine_arena_alloc(arena, size, 16, call);
    if (size > (size_t)PTRDIFF_MAX / 2)
        return neb_no_memory_();
    size_t bias = arena->bias;
    size_t old_need = ((old_size == 0 ? 1 : old_size) + bias + 15) & ~(size_t)15;
    size_t need = ((size == 0 ? 1 : size) + bias + 15) & ~(size_t)15;
    bool is_scope = arena->kind == NEB_KIND_SCOPE_;
    bool is_exact = (arena->flags & (NEB_ARENA_REDZONE_ | NEB_ARENA_SHARED_)) == 0 &&
                    !(is_scope && ((neb_scope *)(void *)arena)->lends == NEB_LENDS_CURRENT_);
    unsigned char *begin = (unsigned char *)p - bias;
    bool is_last = is_exact && arena->cur != NULL && neb_between_(begin, arena->cur) == old_need;
    if (need <= old_need || (is_last && need <= neb_between_(begin, arena->tail_end))) {
        if (is_last) {
            if ((arena->flags & NEB_ARENA_FILL_ALLOC_) != 0 && size > old_size)
                memset(begin + bias + old_size, NEB_FILL_FRESH_, size - old_size);
            arena->cur = begin + need;
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
        return p;
    }
    void *copy = neb_engine_arena_alloc(arena, size, 16, call);
    if (copy != NULL)
        memcpy(copy, p, old_size < size ? old_size : size);
    return copy;
}

/* ---- checkpoints -------------------------------------------------------------------------------------------------------------- */

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
    neb_mark_record_ *last = (neb_mark_record_ *)arena->last_mark;
    if (last == NULL || arena->cur != neb_at_(last, sizeof *last)) {
        size_t need = sizeof(neb_mark_record_) + 16;
        if ((arena->cur != NULL && need <= neb_between_(arena->cur, arena->tail_end)) || neb_arena_grow_(arena, need, call)) {
            neb_tool_own_(arena->cur, sizeof(neb_mark_record_)); /* cur is aligned to 8 at least */
            neb_mark_record_ *record = (neb_mark_record_ *)(void *)arena->cur;
            arena->cur += sizeof(neb_mark_record_);
            record->older = last;
            record->serial = ++arena->mark_serial;
            arena->last_mark = record;
            neb_arena_open_(arena);
        }
    }
    neb_mark mark = neb_arena_point_(arena);
    if (arena->kind == NEB_KIND_SCOPE_)
        mark.top = (unsigned char *)((neb_scope *)(void *)arena)->defers;
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
    neb_arena_pop_segments_(arena, mark->newest);
    arena->cur = mark->cur;
    arena->tail_end = mark->tail_end;
    arena->spare_cur = mark->spare_cur;
    arena->spare_end = mark->spare_end;
    arena->closed_bytes = mark->closed_bytes;
    arena->data = mark->newest == NULL ? NULL : neb_segment_data_(mark->newest, arena);
    arena->last_mark = mark->record;
    arena->restores++;
    neb_arena_open_(arena);
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

/* ---- scopes -------------------------------------------------------------------------------------------------------------------- */

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

/* Lends the outer scope's spare tail, or its current one, to a scope that begins. */
NEB_ENGINE_ void neb_scope_borrow_(neb_scope *scope, neb_scope *outer)
{
    neb_arena *mine = &scope->arena, *its = &outer->arena;
    if ((its->flags & NEB_ARENA_SLOW_) != 0 || (mine->flags & NEB_ARENA_SLOW_) != 0 || its->ops != mine->ops)
        return;
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
    neb_arena_open_(mine);
}

/* The lent tail comes back; if the outer scope has moved on since, as its spare. */
NEB_ENGINE_ void neb_scope_return_(neb_scope *scope, neb_scope *outer)
{
    neb_arena *its = &outer->arena;
    if (outer->lends == NEB_LENDS_CURRENT_) {
        neb_arena_open_(its);
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
    scope->state = NEB_SCOPE_OPEN_;
    thread->innermost = scope;
    if (outer != NULL)
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
    uint64_t word = neb_address_(p) % 16 == 0 ? neb_word_get_(p) : 0;
    if (!neb_word_is_object_(p, word))
        neb_misuse_(call, p, "no object of a scope begins here");
    return (size_t)(word & NEB_WORD_SIZE_);
}

/* ---- bump arenas --------------------------------------------------------------------------------------------------------------- */

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
    if (options->initial_bytes != 0 && options->initial_bytes < (size_t)PTRDIFF_MAX / 2)
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
    size_t usable = 0, bytes = options->initial_bytes == 0 ? (size_t)NEB_FIRST_BYTES_ : options->initial_bytes;
    bool is_callers = options->memory != NULL;
    if (bytes > (size_t)PTRDIFF_MAX / 2)
        return (neb_bump *)neb_no_memory_();
    if (options->initial_bytes != 0)
        bytes += sizeof(neb_segment) + sizeof(neb_bump) + 32;
    neb_segment *segment = is_callers
                               ? neb_callers_segment_(options->memory, options->memory_bytes, sizeof(neb_bump), &usable)
                               : (neb_segment *)ops->memory_take(bytes, &usable, NEB_KIND_BUMP_);
    if (segment == NULL)
        return (neb_bump *)neb_no_memory_();
    neb_bump *bump = (neb_bump *)(void *)neb_at_(segment, sizeof *segment);
    neb_bump_configure_(bump, ops, options);
    bump->is_created = 1;
    if (options->limit_bytes != 0 && !is_callers && usable > bytes)
        usable = bytes;
    neb_arena_begin_in_(neb_bump_arena_(bump), segment, usable, is_callers ? (size_t)NEB_SEGMENT_CALLERS_ : 0, sizeof *bump);
    if (!is_callers)
        neb_bump_arena_(bump)->next_bytes = neb_grown_(&bump->arena, bytes);
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

/* ---- pools ---------------------------------------------------------------------------------------------------------------------- */

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
    slab->state[index] = NEB_POOL_HELD_;
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

NEB_INTERNAL_ size_t neb_pool_held_(const neb_pool *pool)
{
    return (size_t)(__atomic_load_n(&pool->top, __ATOMIC_RELAXED) - pool->magazine);
}

/* Moves the count oldest blocks of the magazine to the shared list. Called with the lock, by the owner or without one. */
NEB_ENGINE_ void neb_pool_spill_(neb_pool *pool, size_t count)
{
    size_t held = neb_pool_held_(pool);
    for (size_t i = 1; i <= count; i++)
        neb_pool_share_(pool, neb_pool_number_(pool, pool->magazine[i].block));
    memmove(pool->magazine + 1, pool->magazine + 1 + count, (held - count) * sizeof pool->magazine[0]);
    __atomic_store_n(&pool->top, pool->magazine + (held - count), __ATOMIC_RELAXED);
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
            bias->thread = thread;
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
    while (__atomic_load_n(&owner->busy, __ATOMIC_ACQUIRE) != 0)
        (void)sched_yield();
    neb_pool_spill_(pool, neb_pool_held_(pool));
    pool->revocations++;
    pool->streak = 0;
    return true;
}

/* One more locked call: who makes many in a row becomes the owner; if there is one that did nothing meanwhile, it loses
 * the pool first. */
NEB_ENGINE_ void neb_pool_note_(neb_pool *pool)
{
    uintptr_t me = neb_thread_word_();
    pool->locked_calls++;
    pool->streak = pool->last_word == me ? pool->streak + 1 : 0;
    pool->last_word = me;
    if (pool->streak < NEB_POOL_STREAK_ || pool->owner->thread == me || (pool->flags & NEB_POOL_UNBIASED_) != 0)
        return;
    pool->streak = 0;
    const neb_pool_entry_ *top = __atomic_load_n(&pool->top, __ATOMIC_RELAXED);
    neb_pool_bias_ *mine = neb_pool_bias_of_(pool, me);
    bool is_idle = mine != NULL && (!neb_pool_is_owned_(pool) || (pool->last_top == top && neb_pool_revoke_(pool)));
    pool->last_top = top;
    if (is_idle)
        __atomic_store_n(&pool->owner, mine, __ATOMIC_RELEASE);
}

/* Fills the owner's magazine by half. Called with the lock, by the owner. */
NEB_ENGINE_ void neb_pool_refill_(neb_pool *pool)
{
    uint32_t number[NEB_POOL_BATCH_];
    size_t count = 0;
    while (count < NEB_POOL_BATCH_ && (number[count] = neb_pool_take_(pool)) != NEB_POOL_NIL_)
        count++;
    for (size_t i = count; i-- > 0;) { /* ascending addresses come first */
        uint32_t *state = neb_pool_state_(pool, number[i]);
        *state = NEB_POOL_HELD_;
        neb_pool_entry_ entry = {neb_pool_block_(pool, number[i]), state};
        pool->top[1] = entry;
        __atomic_store_n(&pool->top, pool->top + 1, __ATOMIC_RELAXED);
    }
}

/* For a thread that isn't the owner. Called with the lock. */
NEB_ENGINE_ uint32_t neb_pool_take_for_other_(neb_pool *pool)
{
    bool owner_has_many = neb_pool_is_owned_(pool) && neb_pool_held_(pool) >= NEB_POOL_BATCH_ / 2;
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
        neb_pool_entry_ entry = *pool->top;
        if (entry.block == NULL)
            return NULL;
        __atomic_store_n(&pool->top, pool->top - 1, __ATOMIC_RELAXED);
        *entry.state = NEB_POOL_LIVE_;
        return entry.block;
    }
    uint32_t number = neb_pool_take_for_other_(pool);
    if (number == NEB_POOL_NIL_)
        return NULL;
    *neb_pool_state_(pool, number) = NEB_POOL_LIVE_;
    return neb_pool_block_(pool, number);
}

NEB_ENGINE_ void *neb_engine_pool_alloc(neb_pool *pool)
{
    neb_spin_lock_(&pool->lock);
    void *block = neb_pool_alloc_locked_(pool);
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

/* The owner comes when its magazine is full, or when something is wrong. */
NEB_ENGINE_ void neb_engine_pool_free(neb_pool *pool, void *block)
{
    if (block == NULL)
        return;
    uint32_t number = neb_pool_number_(pool, block);
    if (number == NEB_POOL_NIL_)
        neb_pool_bad_free_(pool, block);
    uint32_t *state = neb_pool_state_(pool, number);
    if (__atomic_load_n(state, __ATOMIC_RELAXED) != NEB_POOL_LIVE_)
        neb_pool_bad_free_(pool, block);
    if ((pool->flags & NEB_POOL_FILLS_) != 0)
        memset(block, NEB_FILL_FREED_, pool->block_bytes);
    neb_spin_lock_(&pool->lock);
    if (*state != NEB_POOL_LIVE_) /* two threads at once */
        neb_pool_bad_free_(pool, block);
    if (pool->owner->thread == neb_thread_word_() && neb_pool_held_(pool) == NEB_POOL_HOLDS_)
        neb_pool_spill_(pool, NEB_POOL_HOLDS_ / 2);
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
    pool->top = pool->magazine; /* whose first entry is null */
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
    else
        pool->owner = neb_pool_bias_of_(pool, neb_thread_word_());
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
        for (uint32_t index = 0; index < pool->slab[i].handed; index++)
            if (pool->slab[i].state[index] == NEB_POOL_LIVE_) {
                visited++;
                visit(argument, neb_pool_block_(pool, i << NEB_POOL_INDEX_BITS_ | index), pool->block_bytes);
            }
    return visited;
}

NEB_ENGINE_ void neb_engine_pool_stats(neb_pool *pool, neb_pool_stats *stats)
{
    neb_spin_lock_(&pool->lock);
    stats->block_bytes = pool->block_bytes;
    stats->free_blocks = pool->shared_free + neb_pool_held_(pool);
    stats->live_blocks = pool->carved - stats->free_blocks;
    stats->reserved_bytes = pool->reserved_bytes;
    stats->slabs = (size_t)pool->newest + 1;
    stats->locked_calls = pool->locked_calls;
    stats->revocations = pool->revocations;
    neb_spin_unlock_(&pool->lock);
}

/* ---- stacks ---------------------------------------------------------------------------------------------------------------------- */

/* Stands below an object that begins a segment or has an alignment of its own, and below marks. */
typedef struct neb_stack_record_ {
    neb_segment *newest; /* before it was pushed */
    unsigned char *cur;
    void *reserved;
    uint64_t word;       /* from its place to cur after the push, and NEB_WORD_RECORD_ */
} neb_stack_record_;
#define NEB_WORD_RECORD_ (UINT64_C(1) << 63)

NEB_INTERNAL_ neb_stack_record_ *neb_stack_record_of_(void *p)
{
    return (neb_stack_record_ *)(void *)((unsigned char *)p - sizeof(neb_stack_record_));
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
    neb_stack_record_ record = {arena->newest, arena->cur, NULL, NEB_WORD_RECORD_};
    size_t before = alignment > sizeof record ? alignment : sizeof record;
    if (size > (size_t)PTRDIFF_MAX / 2)
        return neb_no_memory_();
    neb_stack_note_high_(stack);
    unsigned char *base = (unsigned char *)neb_engine_arena_alloc(arena, size + before, alignment, call);
    if (base == NULL)
        return NULL;
    unsigned char *p = base + before;
    if (arena->newest != record.newest)
        stack->high = arena->data;
    record.word |= neb_between_(neb_word_at_(p), arena->cur);
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

/* The word of the object at p in the newest segment; 0: it is not there. */
NEB_ENGINE_ uint64_t neb_stack_word_(neb_stack *stack, void *p)
{
    neb_arena *arena = &stack->arena;
    bool is_inside = arena->data != NULL && neb_address_(p) % 16 == 0 &&
                     neb_between_(arena->data, p) < neb_between_(arena->data, arena->cur) && neb_between_(arena->data, p) >= 8;
    return is_inside ? neb_word_get_(p) : 0;
}

NEB_INTERNAL_ bool neb_stack_is_top_(neb_stack *stack, void *p, uint64_t word)
{
    return word != 0 && (word & ~NEB_WORD_RECORD_) == neb_between_(neb_word_at_(p), stack->arena.cur);
}

/* Takes off the object on top. */
NEB_ENGINE_ void neb_stack_drop_(neb_stack *stack, void *top)
{
    neb_arena *arena = &stack->arena;
    unsigned char *old_cur = arena->cur;
    uint64_t word = neb_word_get_(top);
    neb_stack_note_high_(stack);
    if ((word & NEB_WORD_RECORD_) == 0) {
        arena->cur = (unsigned char *)top - 8;
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
    return mark != NULL && neb_stack_is_top_(stack, mark, neb_word_get_(mark)) ? mark : NULL;
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
    uint64_t word = neb_stack_word_(stack, p);
    if (!neb_stack_is_top_(stack, p, word))
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
    arena->flags = (uint16_t)(arena->flags | NEB_ARENA_KEEP_ | ((options->flags & NEB_STACK_FIXED) != 0 ? NEB_ARENA_FIXED_ : 0) |
                              ((options->flags & NEB_STACK_STRICT) != 0 ? NEB_ARENA_STRICT_ : 0));
    if (options->initial_bytes != 0 && options->initial_bytes < (size_t)PTRDIFF_MAX / 2)
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
    size_t usable = 0, bytes = options->initial_bytes == 0 ? (size_t)NEB_FIRST_BYTES_ : options->initial_bytes;
    bool is_callers = options->memory != NULL;
    if (bytes > (size_t)PTRDIFF_MAX / 2)
        return (neb_stack *)neb_no_memory_();
    if (options->initial_bytes != 0)
        bytes += sizeof(neb_segment) + sizeof(neb_stack) + 64;
    neb_segment *segment = is_callers
                               ? neb_callers_segment_(options->memory, options->memory_bytes, sizeof(neb_stack), &usable)
                               : (neb_segment *)ops->memory_take(bytes, &usable, NEB_KIND_STACK_);
    if (segment == NULL)
        return (neb_stack *)neb_no_memory_();
    neb_stack *stack = (neb_stack *)(void *)neb_at_(segment, sizeof *segment);
    neb_stack_configure_(stack, ops, options);
    stack->is_created = 1;
    if (options->limit_bytes != 0 && !is_callers && usable > bytes)
        usable = bytes;
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

/* The engine's part of a table, in the order of struct neb_ops. */
#define NEB_ENGINE_OPS_                                                                                                \
    neb_engine_arena_alloc, neb_engine_arena_resize, neb_engine_arena_mark, neb_engine_arena_restore,                  \
        neb_engine_arena_stats, neb_engine_scope_enter, neb_engine_scope_innermost, neb_engine_scope_leave,            \
        neb_engine_scope_leave_through, neb_engine_scope_defer, neb_engine_scope_size, neb_engine_bump_init,           \
        neb_engine_bump_create, neb_engine_bump_reset, neb_engine_bump_destroy, neb_engine_pool_create,                \
        neb_engine_pool_alloc, neb_engine_pool_free, neb_engine_pool_destroy, neb_engine_pool_visit,                   \
        neb_engine_pool_stats, neb_engine_stack_create, neb_engine_stack_init, neb_engine_stack_push,                  \
        neb_engine_stack_pop, neb_engine_stack_is_empty, neb_engine_stack_mark, neb_engine_stack_frame_begin,            \
        neb_engine_stack_restore, neb_engine_stack_frame_end, neb_engine_stack_finish

#ifdef __cplusplus
}
#endif

#ifndef NEB_LINKED
#include <nebmalloc/fallback.h>
#endif

#endif
#endif
