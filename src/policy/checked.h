/* checked.h - for people who debug: no magazines that frees go to, so each is checked exactly, and memory is filled. */
enum {
    POLICY_FREE_EXACT = 1,
    POLICY_FILL = 1,
    POLICY_ORIGIN = 1,
    POLICY_COUNT = 1,
    POLICY_TRACE = 0,
    POLICY_GUARD = 1
};
#define POLICY_NAME "checked"
