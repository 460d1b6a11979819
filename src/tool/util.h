/* util.h - memory, text and files for the tool: what every other file here stands on.
 *
 * Failure  out of memory ends the tool with a line; tool_die is for errors of use, with the exit status as
 *          documented
 * Threads  the tool has one */
#ifndef NEB_TOOL_UTIL_H
#define NEB_TOOL_UTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What `nebmalloc` exits with; `run` passes on what its command exits with. */
enum tool_status {
    TOOL_OK = 0,
    TOOL_FAILED = 1,       /* a file that cannot be read or written, a process that does not answer */
    TOOL_USAGE = 2,        /* unknown command or option, a value out of range */
    TOOL_CONDITION = 3,    /* diff --fail-on: a condition holds */
    TOOL_RUN_FAILED = 125, /* run: the library is not there, no process could be made */
    TOOL_CANNOT_RUN = 126, /* run: CMD is there, but is no program */
    TOOL_NOT_FOUND = 127   /* run: no such CMD */
};

#define TOOL_PRINTF(text, first) __attribute__((format(printf, text, first)))

/* Zeroed memory for count objects of `size` bytes; never NULL. */
void *tool_make(size_t count, size_t size);
/* Resized, the new part not zeroed; never NULL. */
void *tool_resize(void *memory, size_t count, size_t size);
/* printf into memory that the caller frees. */
char *tool_text(const char *format, ...) TOOL_PRINTF(1, 2);
char *tool_copy(const char *text, size_t bytes);
/* One line on stderr, "nebmalloc: ...", and exit. */
_Noreturn void tool_die(int status, const char *format, ...) TOOL_PRINTF(2, 3);
/* One line on stderr, "nebmalloc: ...". */
void tool_warn(const char *format, ...) TOOL_PRINTF(1, 2);

/* Room for one more in a growing array: `array` is a pointer, count and room are size_t. */
#define TOOL_ROOM(array, count, room)                                                                        \
    do {                                                                                                     \
        if ((count) == (room)) {                                                                             \
            (room) = (room) == 0 ? 16 : (room)*2;                                                            \
            (array) = tool_resize((array), (room), sizeof *(array));                                         \
        }                                                                                                    \
    } while (0)

static inline uint64_t tool_mix(uint64_t x)
{
    x = (x ^ (x >> 32)) * UINT64_C(0xD6E8FEB86659FD93);
    x = (x ^ (x >> 32)) * UINT64_C(0xD6E8FEB86659FD93);
    return x ^ (x >> 32);
}

/* A non-negative number without its fraction; UINT64_MAX where it is larger. */
static inline uint64_t tool_whole(double value)
{
    return !(value > 0) ? 0 : value >= 18446744073709551615.0 ? UINT64_MAX : (uint64_t)value;
}

uint64_t tool_hash(const void *bytes, size_t count);

/* A set of ids with a hash each; what is behind an id only the caller knows. */
struct table {
    struct table_slot {
        uint32_t hash, id_plus_one;
    } * slots;
    size_t mask, count;
};

/* Called for ids whose hash matches; true ends the search. */
typedef bool table_same(const void *context, uint32_t id, const void *key);

/* The id of the key, or UINT32_MAX. */
uint32_t table_find(const struct table *table, uint64_t hash, table_same *same, const void *context,
                    const void *key);
/* The key must not be there yet. */
void table_add(struct table *table, uint64_t hash, uint32_t id);
void table_finish(struct table *table);

/* Each text once, with a number from 0 on. */
struct strings {
    char **texts;
    size_t count, room;
    struct table table;
};

uint32_t strings_add(struct strings *strings, const char *text);
void strings_finish(struct strings *strings);

/* A text that grows. */
struct buffer {
    char *data;
    size_t bytes, room;
};

void buffer_add(struct buffer *buffer, const void *data, size_t bytes);
void buffer_print(struct buffer *buffer, const char *format, ...) TOOL_PRINTF(2, 3);
void buffer_finish(struct buffer *buffer);

/* A file that appears under its name only when it is complete: written beside it, renamed by output_commit.
 * "-" is stdout. */
struct output {
    FILE *file;
    char *name, *temporary;
};

void output_open(struct output *output, const char *name);
/* Ends the tool with TOOL_FAILED, and nothing half-written, when the disk was full. */
void output_commit(struct output *output);

/* Long work on stderr, where that is a terminal: at most ten times a second. Total 0: not known. */
void progress_show(const char *what, uint64_t done, uint64_t total);
void progress_end(void);

#endif
