/* step.h - from a frame to its caller's, and so along a whole stack, by rules (rule.h).
 *
 * A word is read only where the stack is known to be readable: within a window around the stack pointer that grows page
 * by page as the kernel confirms (os/process.h). So stacks of coroutines, of signals, and of any size need no registration.
 *
 * Ownership  a window: its thread
 * Threads    any, any context: no locks, no allocation; needs neb_os_modules_init once
 * Failure    a stack that cannot be followed ends where that is noticed */
#ifndef NEB_UNWIND_STEP_H
#define NEB_UNWIND_STEP_H

#include "base/attr.h"
#include "base/ptr.h"
#include <stdbool.h>
#include <stdint.h>

/* A frame as its callee finds it. */
struct place {
    uintptr_t pc, sp, fp;
    const unsigned char *stack; /* points to where sp says */
};

/* In a function without a callee of its own in between: the place in the caller that will go on when it returns. A frame address
 * is where the caller's frame pointer is saved. On x86-64 that is right below the caller's stack, with the return address between;
 * on aarch64 it is at the frame's other end. */
#define RETURN_ADDRESS() (uintptr_t)__builtin_extract_return_addr(__builtin_return_address(0))
#if defined(__x86_64__)
#define PLACE_OF_CALLER() place_above(__builtin_frame_address(0), (const unsigned char *)__builtin_frame_address(0) + 2 * sizeof(void *), RETURN_ADDRESS())
#elif defined(__aarch64__)
#define PLACE_OF_CALLER() place_above(__builtin_frame_address(0), (const unsigned char *)__builtin_dwarf_cfa(), RETURN_ADDRESS())
#else
#define PLACE_OF_CALLER() place_unknown(RETURN_ADDRESS())
#endif

NEB_INLINE struct place place_above(const void *frame, const unsigned char *stack, uintptr_t pc)
{
    const uintptr_t *saved = (const uintptr_t *)frame;
    return (struct place){pc, ptr_address(stack), saved[0], stack};
}

NEB_INLINE struct place place_unknown(uintptr_t pc)
{
    return (struct place){pc, 0, 0, NULL};
}

NEB_INLINE const unsigned char *place_at(const struct place *place, uintptr_t address)
{
    return place->stack + (ptrdiff_t)(address - place->sp);
}

/* Addresses that are known to be readable. All 0: none. */
struct reach {
    uintptr_t low, high;
};

/* The thread stands at sp: its page is readable. The window of an older, deeper or unrelated stack is given up. */
void neb_reach_move(struct reach *reach, const unsigned char *stack);

/* What a step read: the words that decided where the caller is, in order, and where its fp came from. */
struct step {
    const unsigned char *slot[2];
    uintptr_t value[2];
    unsigned count;
    bool used_fp;                 /* the frame's fp was among what decided */
    bool failed;                  /* something could not be read */
    const unsigned char *fp_slot; /* NULL: fp is the same */
};

/* From a frame to its caller's; false: the stack ends. is_exact: of the frame, then of the caller's. Every frame lies
 * above the one that it called, but across signals. */
bool neb_step_out(struct reach *reach, struct place *place, bool *is_exact, struct step *step);

/* Addresses of frames, innermost first, at most count; how many. */
unsigned neb_step_walk(struct reach *reach, const struct place *place, uintptr_t *pc, unsigned count);

#endif
