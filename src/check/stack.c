/* stack.c - see stack.h: the compiler's own unwinder, linked statically, so that none of its names is exported.
 *
 * The release library has it not: it looks for no stacks. It reads .eh_frame, which every program and
 * library on these systems has, and finds it without a lock (_dl_find_object, glibc 2.35). About 200 ns a frame. */
#include "check/stack.h"

#include "base/attr.h"
#include "base/ptr.h"
#include "check/stacks.h"
#include "heap/heap.h"
#include "heap/meta.h"
#include "policy/policy.h"
#include <stdatomic.h>
#include <string.h>
#include <unwind.h>

enum {
    OWN_FRAMES = 6,      /* of this library, which come first; report.c leaves them out */
    KNOWN_FRAMES = 24,   /* a deeper stack is not remembered */
    KNOWN_ORDER = 15,    /* 32 KiB for each thread */
    KNOWN_COUNT = (1 << KNOWN_ORDER) / 512
};

struct known {
    uintptr_t frame; /* address of the innermost one */
    uint32_t number, count;
    uint32_t distance[KNOWN_FRAMES]; /* of each return address from there */
    uintptr_t pc[KNOWN_FRAMES];
};
_Static_assert(sizeof(struct known) <= 512, "they fill a metadata array");

struct capture {
    uintptr_t *pcs;
    int count, max;
    unsigned char *frame; /* NULL: nothing is to be remembered */
    struct known *known;
};

/* On x86-64 a frame's return address lies right below where its caller's stack pointer was. What is not found there is not
 * remembered. */
static void slot_note(struct capture *capture, uintptr_t cfa, uintptr_t pc)
{
    size_t distance = cfa - sizeof pc - ptr_address(capture->frame);
    uintptr_t there;
    if (capture->count >= KNOWN_FRAMES || distance > UINT32_MAX) {
        capture->frame = NULL;
        return;
    }
    memcpy(&there, ptr_add(capture->frame, distance), sizeof there);
    if (there != pc)
        capture->frame = NULL;
    capture->known->distance[capture->count] = (uint32_t)distance;
}

static _Unwind_Reason_Code frame_add(struct _Unwind_Context *context, void *argument)
{
    struct capture *capture = argument;
    uintptr_t pc = _Unwind_GetIP(context);
    if (pc == 0 || capture->count >= capture->max)
        return _URC_END_OF_STACK;
    if (capture->frame != NULL && capture->count > 0) /* the first is this file's own */
        slot_note(capture, _Unwind_GetCFA(context), pc);
    capture->pcs[capture->count++] = pc;
    return _URC_NO_REASON;
}

NEB_NOINLINE int neb_stack_capture(uintptr_t *pcs, int max)
{
    struct capture capture = {pcs, 0, max, NULL, NULL};
    if (POLICY_STACKS && max > 0)
        (void)_Unwind_Backtrace(frame_add, &capture);
    return capture.count;
}

/* ---- what is remembered ---------------------------------------------------------------------------------------------------- */

static struct known *known_find(uintptr_t frame)
{
    struct tls *tls = &neb_tls;
    if (tls->state != THREAD_HAS_HEAP || tls->heap->known_are_busy)
        return NULL;
    if (tls->heap->known_stacks == NULL) {
        void *memory = neb_meta_array_take(KNOWN_ORDER);
        if (memory == NULL)
            return NULL;
        memset(memory, 0, (size_t)1 << KNOWN_ORDER);
        tls->heap->known_stacks = memory;
    }
    struct known *all = tls->heap->known_stacks;
    return &all[(frame >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 32 & (KNOWN_COUNT - 1)];
}

static bool known_holds(const struct known *known, unsigned char *frame)
{
    if (known->frame != ptr_address(frame) || known->number == 0)
        return false;
    for (uint32_t i = 1; i < known->count; i++) {
        uintptr_t pc;
        memcpy(&pc, ptr_add(frame, known->distance[i]), sizeof pc);
        if (pc != known->pc[i])
            return false;
    }
    return true;
}

static void known_set_busy(bool busy)
{
    atomic_signal_fence(memory_order_seq_cst);
    neb_tls.heap->known_are_busy = busy;
    atomic_signal_fence(memory_order_seq_cst);
}

/* A signal handler that interrupts the making of an entry does without. */
NEB_NOINLINE uint32_t neb_stack_number(unsigned depth)
{
    unsigned char *frame = __builtin_frame_address(0);
    uintptr_t pcs[STACK_DEPTH_MAX + OWN_FRAMES];
    if (!POLICY_STACKS || depth == 0)
        return 0;
    struct known *known = known_find(ptr_address(frame));
    if (known != NULL && known_holds(known, frame))
        return known->number;
    struct capture capture = {pcs, 0, (int)depth + OWN_FRAMES, known == NULL ? NULL : frame, known};
    if (known != NULL)
        known_set_busy(true);
    (void)_Unwind_Backtrace(frame_add, &capture);
    uint32_t number = neb_stacks_put(pcs, capture.count);
    if (known != NULL)
        known->number = 0;
    if (known != NULL && capture.frame != NULL && capture.count > 1) {
        memcpy(known->pc, pcs, (size_t)capture.count * sizeof *pcs);
        known->frame = ptr_address(frame);
        known->count = (uint32_t)capture.count;
        known->number = number;
    }
    if (known != NULL)
        known_set_busy(false);
    return number;
}
