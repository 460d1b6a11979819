/* profile.h - for people who ask where the memory goes: calls are recorded with their stacks when a mode is on. */
enum {
    POLICY_FREE_EXACT = 0,
    POLICY_FILL = 0,
    POLICY_ORIGIN = 0,
    POLICY_COUNT = 0,
    POLICY_TRACE = 1,
    POLICY_GUARD = 1
};
#define POLICY_NAME "profile"
