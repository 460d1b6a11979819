/* policy.h - picks the policy that this compilation is for (-DNEB_POLICY_CHECKED, ...) and checks its relations.
 *
 * The same sources are compiled once for each policy; they test these constants with a plain if, so that every
 * variant of the code is seen by every compiler run. */
#ifndef NEB_POLICY_POLICY_H
#define NEB_POLICY_POLICY_H

#if defined(NEB_POLICY_CHECKED)
#include "policy/checked.h"
#elif defined(NEB_POLICY_PROFILE)
#include "policy/profile.h"
#else
#include "policy/release.h"
#endif

/* Calls that never take the fast path, because something has to be done for each of them. */
enum { POLICY_EVERY_CALL_SLOW = POLICY_FREE_EXACT || POLICY_FILL || POLICY_ORIGIN || POLICY_COUNT };

/* Whether check/ captures call stacks, of all blocks or of those that are guarded. */
enum { POLICY_STACKS = POLICY_ORIGIN || POLICY_GUARD };

_Static_assert(POLICY_FILL <= POLICY_FREE_EXACT, "filling a block twice would hide that it was freed twice");

#endif
