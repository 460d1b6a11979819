/* output.h - the .nbt file that is being written: its chunks, and its first page.
 *
 *   begin: reserve disk space -> map -> header -> magic        seal: checksum, flag, unmap
 *
 * Ownership  a chunk: who began it; the file's end: LOCK_TRACE_FILE
 * Locks      LOCK_TRACE_FILE, held while the file grows: that is a system call that may have to look for disk space
 * Errors     errno is kept by begin and seal
 * Failure    NULL; the mode is off from then on, one line has said why, and what is in the file stays good */
#ifndef NEB_TRACE_OUTPUT_H
#define NEB_TRACE_OUTPUT_H

#include "trace/format.h"
#include <stdbool.h>
#include <stddef.h>

/* Opens the file and writes its first page. 0, or an errno value, and nothing is open. */
int neb_output_open(const char *path, const struct nbt_file *first);
bool neb_output_is_open(void);
/* Why the file stopped growing: an errno value; 0: it grows. */
int neb_output_error(void);
/* The mapped first page; NULL: no file is open. */
struct nbt_file *neb_output_first(void);
const char *neb_output_path(void);

/* A chunk of span bytes, a multiple of NBT_CHUNK_ALIGN. */
struct nbt_chunk *neb_output_begin(enum nbt_kind kind, size_t span, uint32_t lane, uint64_t base, uint64_t epoch);
size_t neb_output_room(const struct nbt_chunk *chunk); /* bytes of payload that it can take */
unsigned char *neb_output_payload(struct nbt_chunk *chunk);
/* Publishes that the payload has so many bytes. */
void neb_output_commit(struct nbt_chunk *chunk, size_t stored);
/* Nothing will change any more; the chunk must not be touched afterwards. */
void neb_output_seal(struct nbt_chunk *chunk);
/* The same without unmapping: another thread may still be looking. */
void neb_output_seal_in_place(struct nbt_chunk *chunk);

/* In the child of a fork: the parent's chunk goes out of sight, and *chunk becomes NULL. */
void neb_output_drop(struct nbt_chunk **chunk);

/* Chunks of records, each begun when the one before is full. bytes: at most some 3 KiB. */
struct output_stream {
    enum nbt_kind kind;
    struct nbt_chunk *chunk;
    uint64_t base, time_ns; /* of its chunks' headers; time_ns 0: as they are begun */
};
bool neb_output_append(struct output_stream *stream, const void *bytes, size_t count);
void neb_output_finish(struct output_stream *stream);

/* The first page stays mapped though the file is closed, until it is let go. */
void neb_output_hold_first(void);
void neb_output_let_go(struct nbt_file *page);

/* A copy of the file as it is now, in state NBT_CLOSED, named path; 0 or an errno value. */
int neb_output_copy(const char *path);
/* The file is complete. */
void neb_output_close(enum nbt_state state);
/* In the child of a fork: the file is the parent's. */
void neb_output_forget(void);

#endif
