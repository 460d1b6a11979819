/* guarding.c - see guarding.h. The constants of the policy decide what is linked. */
#include "front/guarding.h"

#include "base/bits.h"
#include "check/filter.h"
#include "check/guard.h"
#include "front/pick.h"
#include "os/env.h"
#include "policy/policy.h"

static void filter_apply(void)
{
    if (!neb_filter_set_sizes(neb_config_text(TEXT_OPTION_guard_size)))
        neb_os_complain("NEBMALLOC: guard_size: it is neither N nor A-B; all sizes are guarded");
    if (!neb_filter_set_site(neb_config_text(TEXT_OPTION_guard_site)))
        neb_os_complain("NEBMALLOC: guard_site: it is neither NAME nor NAME+0xA-0xB; all callers are guarded");
}

/* A number that is no power of two stands for the next lower one. */
static bool guard_begin(const uint64_t values[OPTION_COUNT], bool is_sample)
{
    struct guard_options options = {
        .side = is_sample ? GUARD_AT_RANDOM : (enum guard_side)values[OPTION_guard_side],
        .alignment = (size_t)1 << bits_log2_floor(values[OPTION_guard_align]),
        .is_sample = is_sample,
        .stack_depth = (unsigned)values[OPTION_stack_depth],
    };
    filter_apply();
    if (neb_guard_init(&options))
        return true;
    neb_os_complain("NEBMALLOC: guard: there is no address space for guarded blocks; none is");
    return false;
}

NEB_COMMON bool neb_guarding_apply(const uint64_t values[OPTION_COUNT])
{
    if (values[OPTION_guard] != 0 && !POLICY_ORIGIN)
        neb_os_complain("NEBMALLOC: guard: this library does not guard all blocks; libnebmalloc-checked.so does");
    if (values[OPTION_guard_sample] != 0 && !POLICY_TRACE)
        neb_os_complain("NEBMALLOC: guard_sample: this library does not guard some blocks; libnebmalloc-profile.so does");
    if (POLICY_ORIGIN)
        return values[OPTION_guard] != 0 && guard_begin(values, false);
    if (!POLICY_TRACE || values[OPTION_guard_sample] == 0 || !guard_begin(values, true))
        return false;
    if (POLICY_TRACE)
        neb_pick_begin(values[OPTION_guard_sample]);
    return true;
}
