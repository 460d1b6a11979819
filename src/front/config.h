/* config.h - run-time options: NEBMALLOC=key=value,key=value
 *
 * One table for the parser, the help text, the tool, and the documents: name, default, range, help. A wrong key or
 * value gets one line on stderr, the default stays, and the program runs on. Ignored in set-uid programs. */
#ifndef NEB_FRONT_CONFIG_H
#define NEB_FRONT_CONFIG_H

#include "policy/tuning.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(name, default, min, max, help). Two are not numbers: mode is one of some words, whose value is its place among
 * them; out is a text, which neb_config_text tells. */
#define NEB_OPTIONS(X)                                                                                                 \
    X(help, 0, 0, 1, "list the options on stderr")                                                                     \
    X(stats, 0, 0, 1, "print a report on stderr when the process exits")                                               \
    X(stats_signal, 0, 0, 64, "print the report whenever this signal arrives (0: none)")                               \
    X(decay_ms, DECAY_MS_DEFAULT, 0, 3600000, "how long free memory stays resident, in milliseconds")                  \
    X(huge_pages, 1, 0, 1, "ask for huge pages: growing heaps above 32 MiB, large blocks on end")                      \
    X(huge_keep_mib, HUGE_KEEP_MIB_DEFAULT, 0, 1048576, "freed blocks above 2 MiB kept for reuse, in MiB")              \
    X(mode, 0, 0, 3, "what is recorded of calls; libnebmalloc-profile.so only")                                        \
    X(out, 0, 0, 0, "the file that is written; %e: program, %p: process id (nebmalloc.%e.%p.nbt)")                     \
    X(sample_rate, SAMPLE_BYTES_DEFAULT, 1, UINT64_C(1) << 40, "mode=sample: mean distance of samples, in bytes")       \
    X(depth, STACK_DEPTH_DEFAULT, 1, STACK_FRAMES_MAX, "frames kept of a call stack")                                  \
    X(children, 0, 0, 1, "children of fork are recorded, too, each in a file of its own")                              \
    X(pid, 0, 0, UINT32_MAX, "record only in the process with this id, and what it executes (0: in each)")              \
    X(ctl, 0, 0, 1, "be ready for `nebmalloc ctl` from the start")                                                     \
    X(dump_signal, 0, 0, 64, "copy what is recorded so far to a file when this signal arrives (0: none)")

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
/* The value of an option that is a text, out of the same text as was parsed; default_value where there is none. False:
 * it does not fit. */
bool neb_config_text(const char *text, uint64_t value, const char *default_value, char *into, size_t bytes);

#endif
