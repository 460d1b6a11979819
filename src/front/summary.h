/* summary.h - what stands in the file besides calls and stacks: who the process is, figures over time and of the
 * allocator, totals. The caller holds the recorder's lock. */
#ifndef NEB_FRONT_SUMMARY_H
#define NEB_FRONT_SUMMARY_H

#include "os/process.h"
#include "trace/format.h"

struct summary_settings {
    uint32_t mode;
    uint64_t sample_bytes, depth;
    const char *parent_file; /* NULL: none */
};
/* Right after the file was opened: writes NBT_PROCESS and reserves room for what is written at the end, so that it can
 * be even when the disk is full by then. */
void neb_summary_begin(const struct os_identity *identity, const struct summary_settings *settings);
/* Every 10 ms: time, epoch, live figures, and a point of the time line when it is due. */
void neb_summary_pulse(void);
/* The live figures in the first page, now. */
void neb_summary_refresh(void);
/* A snapshot of the size classes. */
void neb_summary_classes(enum nbt_reason reason);
void neb_summary_text(char *into, size_t bytes);
/* Totals; nothing is recorded any more. */
void neb_summary_finish(void);
/* In the child of a fork. */
void neb_summary_forget(void);

#endif
