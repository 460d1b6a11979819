/* scope.h - stack discipline for memory: enter a scope, allocate by adding to a pointer, leave it, and everything
 * allocated since is gone at once.
 *
 *     neb_scope *scope = neb_scope_enter("request");
 *     char *path = neb_scope_printf(scope, "%s/%s", root, name);
 *     struct row *rows = neb_scope_new_array(scope, struct row, count);
 *     neb_scope_leave(scope);                        -- or NEB_SCOPE(scope); which leaves by itself
 *
 * Scopes nest, one inside the other, in each thread for itself. Allocation may go to any open scope of the thread:
 * to the innermost for what is temporary, to an outer one for results that outlive the callee:
 *
 *     outer:  [####### lent to inner -> ]      [#### own ]       an outer scope lends the tail of its memory to the
 *     inner:           [###### ]                                 next one, and takes a tail of its own when it is
 *                                                                allocated from meanwhile; both alternate from then on
 *
 * Objects of one size that follow each other, many of them, have no headers; others have 8 bytes.
 *
 * At any depth a scope needs at most one tail more than it lends, so results may pass through as many levels as there
 * are.
 *
 * Units       bytes everywhere
 * Alignment   16, or what is asked for: a power of two
 * Threads     a scope belongs to the thread that entered it; nobody else may use it. Its memory may be read and written
 *             by anybody until it ends
 * Errors      NULL and errno = ENOMEM: no memory, size beyond PTRDIFF_MAX, count * size overflows. Misuse (leaving a
 *             scope that is not the innermost, or twice, or another thread's; a mark that is gone or another scope's; an
 *             alignment that is no power of two) writes one line that names the call and the scopes, and aborts
 * Complexity  allocation O(1); leaving O(1) whatever was allocated, plus one step for each deferred call. In the
 *             fallback without the library leaving is O(segments). Under the checked library, AddressSanitizer and the
 *             like it is O(bytes)
 * free()      harmless on scope memory, and realloc() works: in place where the object is the thread's last one, else
 *             by a move to the heap; malloc_usable_size() is the room up to the next object. All three with the library;
 *             the fallback cannot know. Freeing the same object twice is an error and says so
 * longjmp     neb_scope_leave_inner(outer) after setjmp has returned again leaves every scope that the jump skipped: no
 *             scope lives in a stack frame, so nothing is read that is gone. Deferred calls run then
 * exceptions  use neb::scope of nebmalloc.hpp, whose destructor leaves; NEB_SCOPE leaves too, in C++ and in C code that is
 *             compiled with -fexceptions
 * signals     a handler must not use scopes of the thread that it interrupts; an ambient scope changes nothing for a handler
 * Source      regions after Tofte and Talpin; mark and release as in Pascal; the two alternating stacks are known from
 *             game engines ("scratch arenas"); a lent tail for each level is what makes any depth right */
#ifndef NEBMALLOC_SCOPE_H
#define NEBMALLOC_SCOPE_H

#include <nebmalloc/private/base.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    /* Every malloc that this thread makes inside the scope, in libraries too, comes from the scope, and free() of it
     * does nothing. The escape rule: nothing allocated inside may be used or freed after the scope has ended, so a
     * library that keeps what it allocates (caches, stdio buffers, lazily built tables) must have done so before. The
     * checked library notices blocks that are used (the access faults) or freed (a message) after the end. Needs the
     * library; without it the scope is an ordinary one and malloc stays malloc. */
    NEB_SCOPE_AMBIENT = 1
};

struct neb_scope {
    neb_arena arena;
    /* read by fast paths */
    unsigned char *run_end[NEB_RUN_SIZE_MAX_ / 8 + 1]; /* how far the open run of objects of 8 * i bytes goes; else NULL */
    /* private */
    neb_scope *outer;           /* the one around it; of one that is not open: the next unused one */
    neb_thread *thread;
    void *defers;               /* newest first */
    unsigned char *lent_cur, *lent_end; /* the outer scope's tail that this one began with */
    uint32_t state;             /* NEB_SCOPE_* of engine.h */
    uint32_t lends;             /* which of its tails the next inner one has: LENDS_* */
    uint32_t flags;
    uint16_t run, misses;       /* the open run's objects have 8 * run bytes; how often none was of use: run.h */
    void *reserved[3];
};

/* Enters a scope inside the innermost one; name (may be NULL; must outlive it) stands in messages. Takes no memory
 * before it has to. NULL and errno = ENOMEM when there is none even for the scope itself. O(1). */
NEB_API neb_scope *neb_scope_enter_with(const char *name, unsigned flags)
{
    return neb_ops_()->scope_enter(name, flags);
}

NEB_API neb_scope *neb_scope_enter(const char *name)
{
    return neb_scope_enter_with(name, 0);
}

/* Leaves the innermost scope: deferred calls run, newest first, then its memory is gone. O(1). NULL is allowed. */
NEB_API void neb_scope_leave(neb_scope *scope)
{
    if (scope != NULL)
        scope->arena.ops->scope_leave(scope, "neb_scope_leave");
}

/* Leaves every scope inside this one, the innermost first; scope itself stays open. For use after longjmp. */
NEB_API void neb_scope_leave_inner(neb_scope *scope)
{
    scope->arena.ops->scope_leave_through(scope);
}

/* The calling thread's innermost open scope, or NULL. */
NEB_API neb_scope *neb_scope_innermost(void)
{
    return neb_ops_()->scope_innermost();
}

/* The next object of the open run, if it has that size. */
__attribute__((always_inline)) NEB_INTERNAL_ bool neb_scope_alloc_in_run_(neb_scope *scope, size_t size, void **object)
{
    size_t stride = (size + 15) & ~(size_t)15, eighth = size >> 3 | size << (8 * sizeof size - 3);
    unsigned char *p = scope->arena.cur;
    if (eighth - 1 >= NEB_RUN_SIZE_MAX_ / 8 || NEB_UNLIKELY_(!neb_fits_(p, scope->run_end[eighth], stride)))
        return false;
    scope->arena.cur = p + stride;
    *object = p;
    return true;
}

/* An object with a word, while no run is open. */
__attribute__((always_inline)) NEB_INTERNAL_ bool neb_scope_alloc_with_word_(neb_scope *scope, size_t size, void **object)
{
    unsigned char *word = scope->arena.cur;
    size_t need = (size + 23) & ~(size_t)15;
    if (NEB_UNLIKELY_(size >= NEB_SIZE_MAX_ || !neb_fits_(word, scope->arena.end, need)))
        return false;
    *object = word + 8;
    *(uint64_t *)(void *)word = neb_word_of_(*object, size);
    scope->arena.cur = word + need;
    return true;
}

/* size bytes, aligned to 16, in any open scope of this thread; contents undefined. size 0 is a valid, unique pointer. */
__attribute__((malloc, alloc_size(2), assume_aligned(16), warn_unused_result))
NEB_API void *neb_scope_alloc(neb_scope *scope, size_t size)
{
    void *p;
    if (__builtin_constant_p(size)) { /* what has one size is likely to have many of it */
        if (NEB_LIKELY_(neb_scope_alloc_in_run_(scope, size, &p)))
            return p;
        if (NEB_LIKELY_(neb_scope_alloc_with_word_(scope, size, &p)))
            return p;
    } else {
        if (NEB_LIKELY_(neb_scope_alloc_with_word_(scope, size, &p)))
            return p;
        if (NEB_LIKELY_(neb_scope_alloc_in_run_(scope, size, &p)))
            return p;
    }
    return scope->arena.ops->arena_alloc(&scope->arena, size, 16, "neb_scope_alloc");
}

/* The same with an alignment: any power of two. */
__attribute__((malloc, alloc_size(3), alloc_align(2), warn_unused_result))
NEB_API void *neb_scope_alloc_aligned(neb_scope *scope, size_t alignment, size_t size)
{
    return scope->arena.ops->arena_alloc(&scope->arena, size, alignment, "neb_scope_alloc_aligned");
}

/* The same, zeroed. */
__attribute__((malloc, alloc_size(2), assume_aligned(16), warn_unused_result))
NEB_API void *neb_scope_alloc_zero(neb_scope *scope, size_t size)
{
    void *p = neb_scope_alloc(scope, size);
    return p == NULL ? NULL : memset(p, 0, size);
}

/* count * size bytes, uninitialised; the product is checked. */
__attribute__((malloc, alloc_size(2, 3), assume_aligned(16), warn_unused_result))
NEB_API void *neb_scope_alloc_array(neb_scope *scope, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return scope->arena.ops->arena_alloc(&scope->arena, SIZE_MAX, 16, "neb_scope_alloc_array");
    return neb_scope_alloc(scope, bytes);
}

/* The same, zeroed. */
__attribute__((malloc, alloc_size(2, 3), assume_aligned(16), warn_unused_result))
NEB_API void *neb_scope_calloc(neb_scope *scope, size_t count, size_t size)
{
    void *p = neb_scope_alloc_array(scope, count, size);
    return p == NULL ? NULL : memset(p, 0, count * size);
}

/* A copy of bytes. O(size). */
__attribute__((malloc, alloc_size(3), warn_unused_result))
NEB_API void *neb_scope_memdup(neb_scope *scope, const void *data, size_t size)
{
    void *p = neb_scope_alloc(scope, size);
    return p == NULL ? NULL : memcpy(p, data, size);
}

/* A copy of a string. O(length). */
__attribute__((malloc, warn_unused_result))
NEB_API char *neb_scope_strdup(neb_scope *scope, const char *string)
{
    return (char *)neb_scope_memdup(scope, string, strlen(string) + 1);
}

/* A copy of at most length bytes of a string, terminated. */
__attribute__((malloc, warn_unused_result))
NEB_API char *neb_scope_strndup(neb_scope *scope, const char *string, size_t length)
{
    const char *nul = (const char *)memchr(string, 0, length);
    if (nul != NULL)
        length = (size_t)(nul - string);
    char *copy = (char *)neb_scope_alloc(scope, length + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, string, length);
    copy[length] = '\0';
    return copy;
}

/* Formatted text. NULL also when the format is wrong for the C library (errno says how). */
__attribute__((format(printf, 2, 0), warn_unused_result))
NEB_API char *neb_scope_vprintf(neb_scope *scope, const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *text = length < 0 ? NULL : (char *)neb_scope_alloc(scope, (size_t)length + 1);
    if (text != NULL)
        (void)vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

__attribute__((format(printf, 2, 3), warn_unused_result))
NEB_API char *neb_scope_printf(neb_scope *scope, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = neb_scope_vprintf(scope, format, arguments);
    va_end(arguments);
    return text;
}

/* The size that was asked for when the object at p was made or last resized. Bytes. p not the beginning of an object of
 * a scope: message and abort. O(1). */
NEB_API size_t neb_scope_size(neb_scope *scope, void *p)
{
    return scope->arena.ops->scope_size(p, "neb_scope_size");
}

/* Makes an object of this scope size bytes large: in place if it is the scope's last one and there is room, or when it
 * shrinks (O(1)); else by a copy (O(old size)), whose original stays until the scope ends. p NULL: a new object. NULL:
 * the object is unchanged. */
__attribute__((alloc_size(3), warn_unused_result))
NEB_API void *neb_scope_resize(neb_scope *scope, void *p, size_t size)
{
    size_t old_size = p == NULL ? 0 : scope->arena.ops->scope_size(p, "neb_scope_resize");
    return scope->arena.ops->arena_resize(&scope->arena, p, old_size, size, "neb_scope_resize");
}

/* Appends bytes to an object, as obstacks grow theirs: p NULL begins one. Returns where the object is now: in place as
 * long as it is the last one and its segment has room (segments double, so that growth is O(1) a byte), else a copy. */
__attribute__((warn_unused_result))
NEB_API void *neb_scope_append(neb_scope *scope, void *p, const void *data, size_t size)
{
    size_t old_size = p == NULL ? 0 : scope->arena.ops->scope_size(p, "neb_scope_append");
    void *grown = scope->arena.ops->arena_resize(&scope->arena, p, old_size,
                                                 size > SIZE_MAX - old_size ? SIZE_MAX : old_size + size,
                                                 "neb_scope_append");
    if (grown != NULL && size > 0)
        memcpy((unsigned char *)grown + old_size, data, size);
    return grown;
}

/* function(argument) is called when the scope ends, or is released to an older mark; the newest first. The call may
 * allocate from the scope. False and errno = ENOMEM without memory: it will not be called. O(1). */
NEB_API bool neb_scope_defer(neb_scope *scope, neb_defer_function function, void *argument)
{
    return scope->arena.ops->scope_defer(scope, function, argument);
}

/* A point to which the scope can be released, as often as wanted, until it is released to an older one or ends. A
 * value. The scope must be the innermost one. O(1). */
NEB_API neb_mark neb_scope_mark(neb_scope *scope)
{
    return scope->arena.ops->arena_mark(&scope->arena, "neb_scope_mark");
}

/* Everything allocated in the scope since the mark is gone. A mark that is gone, of another scope or thread, or a scope
 * that is not the innermost: message and abort. O(1), plus one step for each deferred call and each newer mark. */
NEB_API void neb_scope_release(neb_scope *scope, neb_mark mark)
{
    scope->arena.ops->arena_restore(&scope->arena, &mark, "neb_scope_release");
}

/* O(1). */
NEB_API neb_arena_stats neb_scope_stats(const neb_scope *scope)
{
    neb_arena_stats stats;
    scope->arena.ops->arena_stats(&scope->arena, &stats);
    return stats;
}

/* An object, or an array, of a type. */
#define neb_scope_new(scope, type)                                                                                     \
    ((type *)(__alignof__(type) <= 16 ? neb_scope_alloc(scope, sizeof(type))                                           \
                                      : neb_scope_alloc_aligned(scope, __alignof__(type), sizeof(type))))
#define neb_scope_new_array(scope, type, count) ((type *)neb_scope_alloc_array(scope, count, sizeof(type)))

NEB_INTERNAL_ void neb_scope_cleanup_(neb_scope *const *scope)
{
    neb_scope_leave(*scope);
}

/* Declares a neb_scope * of that name, entered here and left when control leaves the block by its end, return, break,
 * continue or goto (and by exceptions with -fexceptions), but not by longjmp: see above. */
#define NEB_SCOPE(scope)                                                                                               \
    __attribute__((cleanup(neb_scope_cleanup_))) neb_scope *const scope = neb_scope_enter(#scope)

#ifdef __cplusplus
}
#endif

#include <nebmalloc/private/engine.h>

#endif
