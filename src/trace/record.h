/* record.h - what is written down of each call, by mode. Called around the allocator's own work, which holds no lock then.
 *
 *   alloc      after the block is there          free       before the block goes back
 *   realloc    take: before, so that nobody else can have the old block while it still has a record
 *              then settle: after (p NULL: realloc to 0 bytes freed it), or undo if there was no memory
 *
 * Threads    any, in any context where malloc may be called
 * Failure    silent here: what cannot be recorded is not, and the call is served */
#ifndef NEB_TRACE_RECORD_H
#define NEB_TRACE_RECORD_H

#include "trace/block.h"
#include "trace/capture.h"

struct record_call {
    size_t size, alignment;
    struct place place;
};

void neb_record_alloc(void *p, const struct record_call *call);
/* Before the mode is published. */
void neb_record_begin(void);
void neb_record_failed(const struct record_call *call);
void neb_record_free(void *p);

struct record_taken {
    bool has_record;
    struct block_birth birth;
};
struct record_taken neb_record_take(void *p);
void neb_record_settle(const void *old, void *p, const struct record_taken *taken, const struct record_call *call);
void neb_record_undo(void *p, const struct record_taken *taken);

#endif
