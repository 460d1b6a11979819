/* reader.h - reads .nbt files (../trace/README.md) into a model.
 *
 * Law      nothing in a file is believed before it is checked; no byte of it can crash the reader, make it
 *          run for ever, or make it take more memory than a fixed multiple of the file's size; what is damaged
 *          or cut off is left out and said (model.damage); what is intact is used
 * Memory   streams: a chunk of each lane at a time, and the live blocks of a trace
 * Failure  a file that is none, or of another major version, is refused with one line */
#ifndef NEB_TOOL_READER_H
#define NEB_TOOL_READER_H

#include "tool/model.h"
#include <sys/stat.h>

/* Where a file's bytes come from. */
struct source {
    int fd; /* -1: memory */
    const uint8_t *memory;
    uint64_t bytes;
    const char *name;
};

/* Adds one file to the model. NULL, or why it is refused; the caller frees that text. */
char *reader_file(struct model *model, const char *path);
char *reader_source(struct model *model, const struct source *source);
/* Reads every file or ends the tool with a line; sums the model up. */
void reader_files(struct model *model, char *const *paths, int count);

/* ---- chunks, for the reader's own parts and for whoever rewrites a file -------------------------------- */

struct chunk {
    struct nbt_chunk header;
    uint64_t offset;    /* of the header */
    uint64_t available; /* bytes of payload that the file has */
};

struct chunks {
    struct chunk *items;
    size_t count, room;
};

/* Whether all of it was there. */
bool source_read(const struct source *source, uint64_t offset, void *to, size_t bytes);
/* Opens a regular file; the caller closes source->fd. NULL, or why it is refused. */
char *source_open(struct source *source, struct stat *status, const char *path);
/* The first page, checked. NULL, or why it is refused. */
char *reader_header(const struct source *source, struct nbt_file *header);
void chunks_scan(const struct source *source, struct model *model, struct chunks *chunks);
/* The payload, decompressed, appended to an empty buffer; false, and said in the model, if it cannot be used.
 */
bool chunk_load(const struct source *source, const struct chunk *chunk, struct model *model,
                struct buffer *payload);
uint32_t reader_crc32c(uint32_t crc, const void *data, size_t bytes);

/* Whether the process that the file names has it open; so that a file in state running is told from a killed
 * one's. */
bool reader_writer_lives(const char *path, uint32_t pid);

#endif
