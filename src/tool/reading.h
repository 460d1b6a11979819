/* reading.h - what the parts of the reader share while one file is read: reader.c, reader_records.c,
 * reader_events.c, reader_tally.c. */
#ifndef NEB_TOOL_READING_H
#define NEB_TOOL_READING_H

#include "tool/reader.h"

enum { STACK_PAGE = 1024, LANES_MAX = 1 << 22 };

struct reading {
    struct model *model;
    const struct source *source;
    struct nbt_file header;
    struct chunks chunks;
    uint32_t process;      /* its number in the model */
    uint32_t **stack_page; /* the file's stack -> node + 1, by pages */
    size_t stack_page_count;
    uint32_t *module; /* the file's module -> the model's + 1 */
    size_t module_count;
    struct lane_threads {
        size_t first, last; /* indices + 1 of the model's threads, 0: none; the others by next_on_lane */
    } * lane_threads;
    size_t lane_threads_count;
};

/* A position in a payload. After `bad`, everything reads as 0. */
struct cursor {
    const uint8_t *at, *end;
    bool bad;
};

static inline struct cursor cursor_of(const struct buffer *buffer)
{
    const uint8_t *data = (const uint8_t *)buffer->data;
    return (struct cursor){data, buffer->bytes == 0 ? data : data + buffer->bytes, false};
}

static inline uint64_t cursor_varint_slow(struct cursor *cursor)
{
    uint64_t value = 0;
    for (unsigned shift = 0; cursor->at < cursor->end && shift < 70; shift += 7) {
        uint8_t byte = *cursor->at++;
        if (shift < 63)
            value |= (uint64_t)(byte & 0x7F) << shift;
        else
            value |= (uint64_t)(byte & 1) << 63;
        if (byte < 0x80)
            return value;
    }
    cursor->bad = true;
    cursor->at = cursor->end;
    return 0;
}

static inline uint64_t cursor_varint(struct cursor *cursor)
{
    if (cursor->at < cursor->end && *cursor->at < 0x80)
        return *cursor->at++;
    return cursor_varint_slow(cursor);
}

static inline uint64_t zigzag_undo(uint64_t value)
{
    return (value >> 1) ^ (0 - (value & 1));
}

/* A part of a payload, of at most `bytes` bytes; bad when it is cut off. */
static inline struct cursor cursor_part(struct cursor *cursor, uint64_t bytes)
{
    uint64_t left = (uint64_t)(cursor->end - cursor->at);
    struct cursor part = {cursor->at, cursor->at, bytes > left};
    if (part.bad) {
        cursor->bad = true;
        cursor->at = cursor->end;
        return part;
    }
    cursor->at += bytes;
    part.end = cursor->at;
    return part;
}

/* A thread that comes to a lane (one below LANES_MAX); its index in the model. Takes the name. */
size_t reading_thread(struct reading *reading, uint32_t lane, uint32_t tid, uint64_t begin_ns, char *name);
/* The node of a stack of the file. */
uint32_t reading_node(struct reading *reading, uint64_t stack);
/* Each kind of chunk but events, in the order in which they need each other. */
void reading_records(struct reading *reading);
void reading_events(struct reading *reading);

#endif
