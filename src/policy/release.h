/* release.h - the default library: every check that is free, none that is not. */
enum {
    POLICY_FREE_EXACT = 0, /* each free is checked against the slab's bitmap at once, not at the next flush */
    POLICY_FILL = 0,       /* fresh blocks are filled with 0xA5, freed ones with 0x5A */
    POLICY_ORIGIN = 0,     /* stacks, threads, kinds and sizes are remembered of each block (check/); the other features are options */
    POLICY_COUNT = 0,      /* every call is counted, not only the slow ones */
    POLICY_TRACE = 0,       /* calls can be recorded with their stacks (trace/) */
    POLICY_GUARD = 0       /* blocks can stand against inaccessible pages (check/guard.h) */
};
#define POLICY_NAME "release"
