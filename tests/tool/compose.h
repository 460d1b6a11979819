/* compose.h - writes .nbt files for tests, after src/trace/README.md and without the library's or the tool's
 * code: a mistake that both share would otherwise not be seen. */
#ifndef NEB_TESTS_TOOL_COMPOSE_H
#define NEB_TESTS_TOOL_COMPOSE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct composed {
    uint8_t *data;
    size_t bytes, room;
    size_t chunk;                     /* offset of the chunk that is open */
    uint64_t last_stack, last_number; /* of the events chunk that is open */
    uint8_t bucket_row[4][256];       /* of the sites so far: for put_buckets */
    unsigned bucket_rows;
};

static inline void put(struct composed *file, const void *data, size_t bytes)
{
    if (file->bytes + bytes > file->room) {
        file->room = (file->bytes + bytes) * 2 + 8192;
        file->data = realloc(file->data, file->room);
        if (file->data == NULL)
            abort();
    }
    if (bytes > 0)
        memcpy(file->data + file->bytes, data, bytes);
    file->bytes += bytes;
}

static inline void put_zeros(struct composed *file, size_t bytes)
{
    static const uint8_t zeros[4096];
    for (; bytes > sizeof zeros; bytes -= sizeof zeros)
        put(file, zeros, sizeof zeros);
    put(file, zeros, bytes);
}

static inline void poke(struct composed *file, size_t offset, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        file->data[offset + i] = (uint8_t)(value >> (8 * i));
}

static inline void put_fixed(struct composed *file, uint64_t value, size_t bytes)
{
    put_zeros(file, bytes);
    poke(file, file->bytes - bytes, value, bytes);
}

static inline void varint(struct composed *file, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        put_fixed(file, (value & 0x7F) | 0x80, 1);
    put_fixed(file, value, 1);
}

static inline void zigzag(struct composed *file, int64_t value)
{
    varint(file, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

/* Offsets of the first page's fields. */
enum {
    AT_MAJOR = 8,
    AT_MINOR = 10,
    AT_STATE = 16,
    AT_MODE = 20,
    AT_PID = 24,
    AT_FILE_BYTES = 32,
    AT_START_UNIX = 48,
    AT_NOW = 64,
    AT_PEAK_NUMBER = 152
};

static inline struct composed compose(unsigned mode)
{
    struct composed file = {0};
    put(&file, "\x89NBT\r\n\x1a\n", 8);
    put_fixed(&file, 2, 2);
    put_fixed(&file, 0, 2);
    put_fixed(&file, 4096, 4);
    put_fixed(&file, 1, 4); /* closed */
    put_fixed(&file, mode, 4);
    put_fixed(&file, 4242, 4);
    put_zeros(&file, 4096 - file.bytes);
    poke(&file, AT_START_UNIX, UINT64_C(1700000000000000000), 8);
    return file;
}

static inline uint32_t crc32c_slowly(const uint8_t *data, size_t bytes)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= data[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (crc & 1) != 0 ? (crc >> 1) ^ UINT32_C(0x82F63B78) : crc >> 1;
    }
    return ~crc;
}

static inline void chunk_begin(struct composed *file, unsigned kind, unsigned lane, uint64_t base,
                               uint64_t time_ns, uint64_t epoch)
{
    put_zeros(file, (4096 - file->bytes % 4096) % 4096);
    file->chunk = file->bytes;
    put_fixed(file, 0x4354424e, 4);
    put_fixed(file, kind, 2);
    put_fixed(file, 0, 1);
    put_fixed(file, 0, 1);
    put_fixed(file, 0, 4);
    put_fixed(file, lane, 4);
    put_zeros(file, 24);
    put_fixed(file, base, 8);
    put_fixed(file, time_ns, 8);
    put_fixed(file, epoch, 8);
    file->last_stack = file->last_number = 0;
}

static inline void chunk_end(struct composed *file, bool sealed)
{
    uint64_t stored = file->bytes - file->chunk - 64;
    if (sealed) {
        poke(file, file->chunk + 7, 1, 1);
        poke(file, file->chunk + 8, crc32c_slowly(file->data + file->chunk + 64, stored), 4);
    }
    poke(file, file->chunk + 24, stored, 8);
    put_zeros(file, (4096 - file->bytes % 4096) % 4096);
    poke(file, file->chunk + 16, file->bytes - file->chunk, 8);
    poke(file, AT_FILE_BYTES, file->bytes, 8);
}

/* ---- records ------------------------------------------------------------------------------------------- */

static inline void put_pair(struct composed *file, const char *key, const char *value)
{
    put(file, key, strlen(key) + 1);
    put(file, value, strlen(value) + 1);
}

/* A record is made in a file of its own, so that its length is known. */
static inline void put_record(struct composed *file, struct composed *record)
{
    varint(file, record->bytes);
    put(file, record->data, record->bytes);
    free(record->data);
    *record = (struct composed){0};
}

static inline void put_module(struct composed *file, unsigned number, uint64_t base, const char *path)
{
    struct composed record = {0};
    varint(&record, 1);
    varint(&record, number);
    varint(&record, 0);
    varint(&record, base);
    varint(&record, base);
    varint(&record, base + 0x100000);
    varint(&record, 0); /* no build id */
    varint(&record, strlen(path));
    put(&record, path, strlen(path));
    put_record(file, &record);
}

static inline void put_thread(struct composed *file, unsigned lane, unsigned tid, uint64_t time_ns,
                              const char *name)
{
    struct composed record = {0};
    varint(&record, 1);
    varint(&record, lane);
    varint(&record, time_ns);
    varint(&record, tid);
    varint(&record, strlen(name));
    put(&record, name, strlen(name));
    put_record(file, &record);
}

/* A frame of a stack; `module` from 0 on. */
static inline void put_stack(struct composed *file, uint64_t id, uint64_t parent, unsigned module,
                             uint64_t address)
{
    varint(file, id - parent);
    varint(file, ((uint64_t)module + 1) << 1);
    varint(file, address);
}

/* ---- events -------------------------------------------------------------------------------------------- */

static inline void event_stack(struct composed *file, uint64_t stack)
{
    zigzag(file, (int64_t)(stack - file->last_stack));
    file->last_stack = stack;
}

static inline void event(struct composed *file, unsigned kind, uint64_t value)
{
    varint(file, value << 2 | kind);
}

static inline void event_alloc(struct composed *file, uint64_t stack, uint64_t size)
{
    int64_t distance = (int64_t)(stack - file->last_stack);
    file->last_stack = stack;
    event(file, 1, ((uint64_t)distance << 1) ^ (uint64_t)(distance >> 63));
    varint(file, size);
}

static inline void event_alloc_again(struct composed *file, uint64_t stack)
{
    int64_t distance = (int64_t)(stack - file->last_stack);
    file->last_stack = stack;
    event(file, 0, ((uint64_t)distance << 1) ^ (uint64_t)(distance >> 63));
}

static inline void event_free(struct composed *file, uint64_t age)
{
    event(file, 2, age - 1);
}

static inline void event_stamp(struct composed *file, uint64_t epochs, uint64_t ns)
{
    event(file, 3, 0);
    varint(file, epochs);
    varint(file, ns);
}

static inline void event_free_remote(struct composed *file, unsigned lane, uint64_t number)
{
    event(file, 3, 1);
    varint(file, lane);
    zigzag(file, (int64_t)(number - file->last_number));
    file->last_number = number;
}

static inline void event_realloc(struct composed *file, uint64_t age, uint64_t stack, uint64_t size,
                                 bool moved)
{
    event(file, 3, 2);
    varint(file, age - 1);
    event_stack(file, stack);
    varint(file, size << 1 | moved);
}

/* ---- sites --------------------------------------------------------------------------------------------- */

/* The 64-bit fields of a site that tests set. */
enum site_field {
    SITE_ALLOCS,
    SITE_BYTES,
    SITE_FREES,
    SITE_FREED_BYTES,
    SITE_LIVE_BLOCKS_MAX,
    SITE_LIVE_BYTES_MAX,
    SITE_PEAK_BLOCKS,
    SITE_PEAK_BYTES,
    SITE_PEAK,
    SITE_SIZE_MAX,
    SITE_REALLOCS,
    SITE_REALLOCS_MOVED,
    SITE_FREES_REMOTE,
    SITE_FREES_AT_ONCE,
    SITE_LIFE_NS,
    SITE_USABLE_BYTES,
    SITE_WEIGHTED_ALLOCS,
    SITE_WEIGHTED_BYTES,
    SITE_WEIGHTED_FREES,
    SITE_WEIGHTED_FREED_BYTES,
    SITE_FIRST_NS,
    SITE_LAST_NS,
    SITE_FIELDS
};

/* All allocations fall into one bucket, and all frees. */
static inline void put_site(struct composed *file, uint32_t stack, const uint64_t fields[SITE_FIELDS],
                            unsigned age, unsigned size)
{
    static const uint8_t offset[SITE_FIELDS] = {
        [SITE_ALLOCS] = 8, [SITE_BYTES] = 16, [SITE_FREES] = 24, [SITE_FREED_BYTES] = 32, [SITE_PEAK] = 40,
        [SITE_USABLE_BYTES] = 48, [SITE_LAST_NS] = 56, [SITE_LIVE_BLOCKS_MAX] = 64, [SITE_LIVE_BYTES_MAX] = 72,
        [SITE_PEAK_BLOCKS] = 80, [SITE_PEAK_BYTES] = 88, [SITE_SIZE_MAX] = 96, [SITE_LIFE_NS] = 104,
        [SITE_FREES_AT_ONCE] = 112, [SITE_FIRST_NS] = 120, [SITE_REALLOCS] = 192, [SITE_REALLOCS_MOVED] = 200,
        [SITE_FREES_REMOTE] = 208, [SITE_WEIGHTED_ALLOCS] = 216, [SITE_WEIGHTED_BYTES] = 224,
        [SITE_WEIGHTED_FREES] = 232, [SITE_WEIGHTED_FREED_BYTES] = 240};
    size_t start = file->bytes;
    put_zeros(file, 256);
    poke(file, start, stack, 4);
    for (unsigned i = 0; i < SITE_FIELDS; i++)
        poke(file, start + offset[i], fields[i], 8);
    poke(file, start + 128 + age, fields[SITE_FREES], 1);
    poke(file, start + 160 + size, fields[SITE_ALLOCS], 1);
    if (fields[SITE_ALLOCS] < 256)
        return;
    uint8_t *row = file->bucket_row[file->bucket_rows++];
    for (unsigned i = 0; i < 4; i++) {
        row[4 * age + i] = (uint8_t)(fields[SITE_FREES] / 256 >> 8 * i);
        row[128 + 4 * size + i] = (uint8_t)(fields[SITE_ALLOCS] / 256 >> 8 * i);
    }
    poke(file, start + 248, file->bucket_rows, 4);
}

/* What did not fit into the sites' own buckets. */
static inline void put_buckets(struct composed *file)
{
    chunk_begin(file, 13, 0, 0, 0, 0);
    put(file, file->bucket_row, file->bucket_rows * sizeof file->bucket_row[0]);
    chunk_end(file, false);
}

/* ---- two files that several tests look at -------------------------------------------------------------- */

static inline void put_head(struct composed *file, const char *mode, const char *exe)
{
    chunk_begin(file, 1, 0, 0, 0, 0);
    put_pair(file, "exe", exe);
    put_pair(file, "arg", "sample");
    put_pair(file, "arg", "--\"quoted\" </script>");
    put_pair(file, "mode", mode);
    put_pair(file, "page_size", "4096");
    chunk_end(file, true);
    chunk_begin(file, 2, 0, 0, 0, 0);
    put_module(file, 0, 0x400000, exe);
    put_module(file, 1, 0x7f0000000000, "/nowhere/libmissing.so.1");
    chunk_end(file, true);
    chunk_begin(file, 4, 0, 16, 0,
                0); /* main > work > make (16, 17, 18); main > idle (19); main > work > make > deeper (20) */
    put_stack(file, 16, 0, 1, 0x1010);
    put_stack(file, 17, 16, 1, 0x2020);
    put_stack(file, 18, 17, 1, 0x3030);
    put_stack(file, 19, 16, 1, 0x4040);
    put_stack(file, 20, 18, 1, 0x5050);
    chunk_end(file, true);
    chunk_begin(file, 7, 0, 0, 0, 0);
    for (uint64_t i = 0; i < 50; i++) {
        uint64_t point[8] = {i * 1000000, 100 * i, i, 10 * i, 5 * i, 65536 + 300 * i, 4096 + 120 * i, 65536};
        for (unsigned k = 0; k < 8; k++)
            put_fixed(file, point[k], 8);
    }
    chunk_end(file, false);
    chunk_begin(file, 10, 0, 0, 0, 0);
    struct composed record = {0};
    varint(&record, 7000000);
    put(&record, "half way", 8);
    put_record(file, &record);
    chunk_end(file, true);
}

/* Three stacks: 10 blocks of 100 bytes, 4 of them live; 1000 of 16, freed at once; one of 5000, live. The
 * peak was 5700. */
static inline struct composed compose_profile(const char *exe)
{
    struct composed file = compose(2);
    put_head(&file, "profile", exe);
    poke(&file, AT_PEAK_NUMBER, 9, 8);
    poke(&file, AT_NOW, 49000000, 8);
    chunk_begin(&file, 3, 0, 0, 0, 0);
    put_thread(&file, 0, 4242, 0, "main");
    put_thread(&file, 1, 4243, 1000, "worker");
    chunk_end(&file, true);
    chunk_begin(&file, 6, 0, 0, 0, 0);
    put_site(&file, 18, (const uint64_t[SITE_FIELDS]){10, 1000, 6, 600,  7,    700, 7, 700, 9, 100, 2,
                                                      1,  3,    1, 6000, 1120, 0,   0, 0,   0, 5,   500},
             3, 6);
    put_site(&file, 19, (const uint64_t[SITE_FIELDS]){1000, 16000, 1000, 16000, 1,     16, 1, 16, 8, 16, 0,
                                                      0,    0,     1000, 1000,  16000, 0,  0, 0,  0, 9,  900},
             0, 4);
    put_site(&file, 20, (const uint64_t[SITE_FIELDS]){1, 5000, 0, 0, 1,    5000, 0, 0, 3, 5000, 0,
                                                      0, 0,    0, 0, 5120, 0,    0, 0, 0, 10,   10},
             0, 12);
    put_zeros(&file, 256);
    chunk_end(&file, false);
    put_buckets(&file);
    chunk_begin(&file, 8, 0, 0, 49000000, 0);
    uint64_t class_words[8] = {112, 1, 585, 4, 10, 65536, 400, 0};
    for (unsigned k = 0; k < 8; k++)
        put_fixed(&file, class_words[k], 8);
    chunk_end(&file, true);
    chunk_begin(&file, 9, 0, 0, 49000000, 0);
    struct composed record = {0};
    varint(&record, 112);
    varint(&record, 4);
    varint(&record, 585);
    varint(&record, 1);
    varint(&record, 18);
    varint(&record, 4);
    put_record(&file, &record);
    chunk_end(&file, true);
    chunk_begin(&file, 11, 0, 0, 0, 0);
    put_pair(&file, "allocs", "1011");
    put_pair(&file, "end_ns", "49000000");
    put_pair(&file, "peak_ns", "20000000");
    chunk_end(&file, true);
    return file;
}

/* Two lanes; the second frees a block of the first that stands in a later chunk of the file. */
static inline struct composed compose_trace(const char *exe)
{
    struct composed file = compose(3);
    put_head(&file, "trace", exe);
    chunk_begin(&file, 3, 0, 0, 0, 0);
    put_thread(&file, 0, 4242, 0, "main");
    put_thread(&file, 1, 4243, 1000, "worker");
    chunk_end(&file, true);
    chunk_begin(&file, 5, 1, 0, 2000, 1);
    event_alloc(&file, 19, 50);     /* 1.0 */
    event_free_remote(&file, 0, 2); /* waits for lane 0 */
    event_free(&file, 1);           /* 1.0 */
    chunk_end(&file, true);
    chunk_begin(&file, 5, 0, 0, 1000, 1);
    event_alloc(&file, 18, 100);  /* 0.0 */
    event_alloc_again(&file, 18); /* 0.1: 100 again */
    chunk_end(&file, true);
    chunk_begin(&file, 5, 0, 2, 3000, 1);
    event_alloc(&file, 20, 1000); /* 0.2: freed by lane 1 */
    event_stamp(&file, 1, 500);
    event_free(&file, 2);                   /* 0.1 */
    event_realloc(&file, 3, 18, 300, true); /* 0.0 -> 0.3 */
    event(&file, 3, 4);                     /* 0.4: aligned */
    event_stack(&file, 18);
    varint(&file, 64);
    varint(&file, 6);
    event(&file, 3, 5); /* failed */
    event_stack(&file, 19);
    varint(&file, UINT64_C(1) << 60);
    event(&file, 3, 6); /* dropped */
    varint(&file, 2);
    event_free(&file, 1); /* 0.4 */
    event_free(&file, 1); /* again: not live */
    chunk_end(&file, false);
    return file;
}

#endif
