/* stack.h - last in, first out: objects that are popped in the reverse order of their making.
 *
 *   bottom [head|obj|obj|obj][head|obj]{frame [head|obj|obj]{frame [head|obj] cur ... end]
 *
 * Objects of one size that follow each other are a run. Its size is kept in the stack, that of the run before in the
 * run's head, so that popping what is not on top is noticed by one comparison, and objects cost what a bump arena's do.
 *
 *     neb_stack *stack = neb_stack_create(NULL);
 *     double *row = neb_stack_push(stack, n * sizeof *row);
 *     ...
 *     neb_stack_pop(stack, row);
 *
 * Units       bytes everywhere
 * Alignment   16, or what is asked for: a power of two
 * Threads     a stack belongs to one thread at a time
 * Errors      NULL and errno = ENOMEM: no memory, size beyond PTRDIFF_MAX, or the limit. Misuse (popping what is not on
 *             top, ending a frame that is not the innermost, a mark that is gone, an alignment that is no power of two)
 *             writes one line that names the call and the objects, and aborts
 * Complexity  O(1) for all
 * free()      must not be called on this memory; under the library it says so and aborts
 * Source      the B5000's stack of 1961 put to use for data; frames as in every procedure call since */
#ifndef NEBMALLOC_STACK_H
#define NEBMALLOC_STACK_H

#include <nebmalloc/private/base.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    NEB_STACK_FIXED = 1,  /* never grows beyond the first segment */
    NEB_STACK_STRICT = 16 /* reaching the limit is an error that aborts, not NULL */
};

/* All zero is a good choice. */
struct neb_stack_options {
    size_t initial_bytes; /* first segment; 0: the source's own size */
    size_t limit_bytes;   /* all segments together; 0: none */
    uint32_t flags, reserved;
    void *memory;         /* begin in the caller's memory, which must outlive the stack; NULL: don't */
    size_t memory_bytes;  /* at least 128 */
    const char *name;     /* for messages; must outlive the stack */
};

/* Objects of one size. The struct is a run's head, too: there it is the run before. */
typedef struct neb_run_ {
    size_t bytes;         /* of each object; of none: 1 */
    unsigned char *first; /* the oldest object; one byte beyond its beginning where the engine made the head */
} neb_run_;

struct neb_stack {
    neb_arena arena;
    /* read by fast paths */
    neb_run_ run;         /* the newest */
    unsigned char *high;  /* highest top of the newest segment so far */
    /* private */
    uint32_t depth;       /* open frames */
    uint32_t is_created;
    void *reserved[3];
};

/* An open frame: a value. Its fields are private. */
typedef struct neb_frame {
    neb_mark mark;
    uint32_t depth;
} neb_frame;

/* A stack in the caller's struct; options NULL: the defaults. False and errno = ENOMEM without memory or when
 * options->memory is too small. O(1). */
NEB_API bool neb_stack_init(neb_stack *stack, const neb_stack_options *options)
{
    return neb_ops_()->stack_init(stack, options);
}

/* Gives all memory back. */
NEB_API void neb_stack_finish(neb_stack *stack)
{
    stack->arena.ops->stack_finish(stack, false);
}

/* A new stack, to be ended with neb_stack_destroy. NULL and errno = ENOMEM. */
NEB_API neb_stack *neb_stack_create(const neb_stack_options *options)
{
    return neb_ops_()->stack_create(options);
}

/* NULL is allowed. */
NEB_API void neb_stack_destroy(neb_stack *stack)
{
    if (stack != NULL)
        stack->arena.ops->stack_finish(stack, true);
}

/* size bytes on top, aligned to 16; contents undefined. size 0 is a valid, unique pointer. */
__attribute__((malloc, alloc_size(2), assume_aligned(16), warn_unused_result))
NEB_API void *neb_stack_push(neb_stack *stack, size_t size)
{
    neb_arena *arena = &stack->arena;
    unsigned char *p = arena->cur;
    size_t bytes = (size + 15) & ~(size_t)15; /* 0 for sizes that wrap round */
    if (NEB_LIKELY_(bytes == stack->run.bytes && neb_fits_(p, arena->end, bytes))) {
        arena->cur = p + bytes;
        return p;
    }
    if (size - 1 < NEB_SIZE_MAX_ && neb_fits_(p, arena->end, bytes + sizeof(neb_run_))) {
        *(neb_run_ *)(void *)p = stack->run;
        p += sizeof(neb_run_);
        stack->run.bytes = bytes;
        stack->run.first = p;
        arena->cur = p + bytes;
        return p;
    }
    return arena->ops->stack_push(stack, size, 16);
}

/* The same with an alignment: any power of two. */
__attribute__((malloc, alloc_size(3), alloc_align(2), warn_unused_result))
NEB_API void *neb_stack_push_aligned(neb_stack *stack, size_t alignment, size_t size)
{
    return stack->arena.ops->stack_push(stack, size, alignment);
}

/* Ends the object on top, which must be p. */
NEB_API void neb_stack_pop(neb_stack *stack, void *p)
{
    neb_arena *arena = &stack->arena;
    unsigned char *cur = arena->cur;
    bool is_top = neb_between_(p, cur) == stack->run.bytes, is_first = p == stack->run.first;
    if (NEB_UNLIKELY_(!is_top || neb_address_(p) < neb_address_(stack->run.first))) {
        arena->ops->stack_pop(stack, p);
        return;
    }
    if (cur > stack->high)
        stack->high = cur;
    arena->cur = (unsigned char *)p;
    if (is_first) {
        arena->cur -= sizeof(neb_run_);
        stack->run = *(const neb_run_ *)(const void *)arena->cur;
    }
}

/* Whether nothing is on it. */
NEB_API bool neb_stack_is_empty(const neb_stack *stack)
{
    return stack->arena.ops->stack_is_empty(stack);
}

/* A marker: neb_stack_release pops all that was pushed after it, as often as wanted, until an older one is released. It
 * takes 32 bytes of the stack if something was pushed since the last. */
NEB_API neb_mark neb_stack_mark(neb_stack *stack)
{
    return stack->arena.ops->stack_mark(stack);
}

/* A marker that is gone, of another stack, or below an open frame: message and abort. */
NEB_API void neb_stack_release(neb_stack *stack, neb_mark mark)
{
    stack->arena.ops->stack_restore(stack, &mark, "neb_stack_release");
}

/* Opens a frame inside the innermost one. */
NEB_API neb_frame neb_stack_frame_begin(neb_stack *stack)
{
    neb_frame frame;
    frame.mark = stack->arena.ops->stack_frame_begin(stack);
    frame.depth = stack->depth;
    return frame;
}

/* Pops all that was pushed since. The frame must be the innermost one. */
NEB_API void neb_stack_frame_end(neb_stack *stack, neb_frame frame)
{
    stack->arena.ops->stack_frame_end(stack, &frame.mark, frame.depth);
}

/* used_bytes_peak is the high-water mark: exact. O(1). */
NEB_API neb_arena_stats neb_stack_stats(const neb_stack *stack)
{
    neb_arena_stats stats;
    stack->arena.ops->arena_stats(&stack->arena, &stats);
    return stats;
}

#ifdef __cplusplus
}
#endif

#include <nebmalloc/private/engine.h>

#endif
