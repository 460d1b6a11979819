/* profile.h - for people who measure: every call is counted. */
enum {
    POLICY_FREE_EXACT = 0,
    POLICY_FILL = 0,
    POLICY_ORIGIN = 0,
    POLICY_COUNT = 1
};
#define POLICY_NAME "profile"
