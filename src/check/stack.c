/* stack.c - see stack.h: the compiler's own unwinder, linked statically, so that none of its names is exported.
 *
 * Only the checked policy has it: the release library looks for no stacks. It reads .eh_frame, which every program and library on these systems has, and finds it without a lock
 * (_dl_find_object, glibc 2.35). About 100 ns a frame. */
#include "check/stack.h"

#include "base/attr.h"
#include "policy/policy.h"
#include <unwind.h>

struct capture {
    uintptr_t *pcs;
    int count, max;
};

static _Unwind_Reason_Code frame_add(struct _Unwind_Context *context, void *argument)
{
    struct capture *capture = argument;
    uintptr_t pc = _Unwind_GetIP(context);
    if (pc == 0 || capture->count >= capture->max)
        return _URC_END_OF_STACK;
    capture->pcs[capture->count++] = pc;
    return _URC_NO_REASON;
}

NEB_NOINLINE int neb_stack_capture(uintptr_t *pcs, int max)
{
    struct capture capture = {pcs, 0, max};
    if (POLICY_ORIGIN && max > 0)
        (void)_Unwind_Backtrace(frame_add, &capture);
    return capture.count;
}
