/* engine.h - the cold paths of scopes, bump arenas, pools and stacks: one source for the library and for the fallback.
 *
 *   segment:  [head 64][ word | object ][ word | object ] ... cur ->      <- tail_end]
 *
 * Scopes put a word of eight bytes before each object (size and check), so objects are aligned to 16 and cur is 8 beyond
 * a multiple of 16; but objects of one size that follow each other have none (run.h). Bump arenas and stacks have no words.
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

#include <nebmalloc/private/base.h>
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
/* Whether p lies in memory of scopes that may hold runs. */
NEB_ENGINE_ bool neb_engine_may_run_(const void *p);
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
    NEB_ARENA_REDZONE_ = 128, /* 16 bytes behind each object are nobody's */
    NEB_ARENA_RUNS_ = 256     /* a scope that may have runs: the memory is the library's, and nothing watches it */
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

#include <nebmalloc/private/watch.h>
#include <nebmalloc/private/run.h>
#include <nebmalloc/private/arena.h>
#include <nebmalloc/private/mark.h>
#include <nebmalloc/private/scope_engine.h>
#include <nebmalloc/private/bump_engine.h>
#include <nebmalloc/private/pool_engine.h>
#include <nebmalloc/private/stack_engine.h>

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
#include <nebmalloc/private/fallback.h>
#endif

#endif
#endif
