/* config.h - run-time options: NEBMALLOC=key=value,key=value
 *
 * One table for the parser, the help text, the tool, and the documents: name, default, range, help. A wrong key or
 * value gets one line on stderr, the default stays, and the program runs on. Ignored in set-uid programs. */
#ifndef NEB_FRONT_CONFIG_H
#define NEB_FRONT_CONFIG_H

#include "base/attr.h"
#include "policy/tuning.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* X(name, default, min, max, help); help may end with the names of the values from 0 on: "...: abort|report|stop" */
#define NEB_OPTIONS(X)                                                                                                 \
    X(help, 0, 0, 1, "list the options on stderr")                                                                     \
    X(stats, 0, 0, 1, "print a report on stderr when the process exits")                                               \
    X(stats_signal, 0, 0, 64, "print the report whenever this signal arrives (0: none)")                               \
    X(decay_ms, DECAY_MS_DEFAULT, 0, 3600000, "how long free memory stays resident, in milliseconds")                  \
    X(huge_pages, 1, 0, 1, "ask for huge pages: growing heaps above 32 MiB, large blocks on end")                      \
    X(signals, 1, 0, 1, "make malloc safe in handlers of signals that interrupt it")                                    \
    X(deepbind, 0, 0, 1, "let dlopen's RTLD_DEEPBIND pass: a plugin's malloc may then be libc's")                       \
    X(huge_keep_mib, HUGE_KEEP_MIB_DEFAULT, 0, 1048576, "freed blocks above 2 MiB kept for reuse, in MiB")                 \
    X(harden, 0, 0, 2, "1: exact state of every block, random order, guard pages; 2: canaries and quarantine too")     \
    X(zero_on_free, 0, 0, 1, "harden: freed memory is cleared; always with harden=2")                                  \
    X(quarantine_kib, QUARANTINE_KIB_DEFAULT, 0, 16777216, "checked, harden=2: freed blocks kept back, in KiB")        \
    X(fill_alloc, 165, 0, 256, "checked: the byte that fresh memory is filled with (256: none)")                       \
    X(fill_free, 90, 0, 256, "checked: the byte that freed memory is filled with (256: none)")                         \
    X(stack_depth, CHECK_STACK_DEPTH, 0, 64, "checked: frames remembered of each allocation and free")               \
    X(check_exit, 1, 0, 1, "checked: blocks in use and in quarantine are verified at the end")                         \
    X(leaks, 0, 0, 1, "checked: blocks that nothing points to are reported at the end")                               \
    X(leaks_status, 0, 0, 255, "leaks: the exit status when there are some (0: the program's own)")                   \
    X(guard, 0, 0, 1, "checked: blocks end at an inaccessible page, and freed ones cannot be touched")                    \
    X(guard_side, 0, 0, 1, "guard: the page is behind a block, or before it: end|start")                                  \
    X(guard_align, 16, 1, 16, "guard: alignment of malloc's blocks; 1: they end at the very page, to the byte")           \
    X(guard_sample, 0, 0, 1073741824, "profile: one of so many allocations is guarded, on average (0: none)")           \
    X(on_error, 0, 0, 2, "checked, harden: after an error abort, go on, or stop for a debugger: abort|report|stop")    \
    X(json, 0, 0, 1, "checked: reports are JSON, one object a line")                                                \
    X(mode, 0, 0, 3, "what libnebmalloc-profile.so records of calls: off|sample|profile|trace")                        \
    X(sample_rate, SAMPLE_BYTES_DEFAULT, 1, UINT64_C(1) << 40, "mode=sample: mean distance of samples, in bytes")       \
    X(depth, TRACE_DEPTH_DEFAULT, 1, STACK_FRAMES_MAX, "frames kept of a call stack")                                  \
    X(children, 0, 0, 1, "children of fork are recorded, too, each in a file of its own")                              \
    X(pid, 0, 0, UINT32_MAX, "record only in the process with this id, and what it executes (0: in each)")              \
    X(ctl, 0, 0, 1, "be ready for `nebmalloc ctl` from the start")                                                     \
    X(dump_signal, 0, 0, 64, "copy what is recorded so far to a file when this signal arrives (0: none)")

/* Options whose values are texts. X(name, help) */
#define NEB_TEXT_OPTIONS(X)                                                                                            \
    X(report, "checked: a file that reports are appended to, instead of stderr")                                       \
    X(guard_size, "guard: only blocks of so many bytes: N or A-B")                                                       \
    X(guard_site, "guard: only blocks that a module's code asks for: NAME or NAME+0xA-0xB, offsets in it")               \
    X(suppressions, "checked: a file of errors that are not to be said, in LeakSanitizer's syntax")                    \
    X(symbolizer, "checked: the program that adds files and lines to stacks, or none (nebmalloc, beside the library)") \
    X(out, "the file that mode writes; %e: program, %p: process id (nebmalloc.%e.%p.nbt)")

enum {
#define X(name, default_, min, max, help) OPTION_##name,
    NEB_OPTIONS(X)
#undef X
        OPTION_COUNT
};

enum {
#define X(name, help) TEXT_OPTION_##name,
    NEB_TEXT_OPTIONS(X)
#undef X
        TEXT_OPTION_COUNT
};
enum { TEXT_OPTION_BYTES = 1024 }; /* a path, with the NUL */

struct text_option {
    const char *name, *help;
};

struct option {
    const char *name;
    uint64_t default_value, min, max;
    const char *help;
};

extern NEB_HIDDEN const struct option neb_options[OPTION_COUNT];
extern NEB_HIDDEN const struct text_option neb_text_options[TEXT_OPTION_COUNT];

/* What holds where nothing else is said. */
NEB_INLINE void config_defaults(uint64_t values[OPTION_COUNT])
{
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        values[i] = neb_options[i].default_value;
}

/* The value of a text option (TEXT_OPTION_...), valid until the next parse; NULL: not given. */
const char *neb_config_text(unsigned option);

/* Fills values from the text, which may be NULL; complaints and help go to stderr. */
void neb_config_parse(const char *text, uint64_t values[OPTION_COUNT]);

#endif
