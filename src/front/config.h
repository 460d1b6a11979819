/* config.h - run-time options: NEBMALLOC=key=value,key=value
 *
 * One table for the parser, the help text, the tool, and the documents: name, default, range, help. A wrong key or
 * value gets one line on stderr, the default stays, and the program runs on. Ignored in set-uid programs. */
#ifndef NEB_FRONT_CONFIG_H
#define NEB_FRONT_CONFIG_H

#include "policy/tuning.h"
#include <stdint.h>

/* X(name, default, min, max, help) */
#define NEB_OPTIONS(X)                                                                                                 \
    X(help, 0, 0, 1, "list the options on stderr")                                                                     \
    X(stats, 0, 0, 1, "print a report on stderr when the process exits")                                               \
    X(stats_signal, 0, 0, 64, "print the report whenever this signal arrives (0: none)")                               \
    X(decay_ms, DECAY_MS_DEFAULT, 0, 3600000, "how long free memory stays resident, in milliseconds")                  \
    X(huge_pages, 1, 0, 1, "ask for huge pages: growing heaps above 32 MiB, large blocks on end")                      \
    X(signals, 1, 0, 1, "make malloc safe in handlers of signals that interrupt it")                                    \
    X(deepbind, 0, 0, 1, "let dlopen's RTLD_DEEPBIND pass: a plugin's malloc may then be libc's")                       \
    X(huge_keep_mib, HUGE_KEEP_MIB_DEFAULT, 0, 1048576, "freed blocks above 2 MiB kept for reuse, in MiB")

enum {
#define X(name, default_, min, max, help) OPTION_##name,
    NEB_OPTIONS(X)
#undef X
        OPTION_COUNT
};

struct option {
    const char *name;
    uint64_t default_value, min, max;
    const char *help;
};

extern const struct option neb_options[OPTION_COUNT];

/* Fills values from the text, which may be NULL; complaints and help go to stderr. */
void neb_config_parse(const char *text, uint64_t values[OPTION_COUNT]);

#endif
