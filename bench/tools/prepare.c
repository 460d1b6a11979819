/* prepare.c - gives every recorded block a slot, every event of a slot its turn, and sorts the events by
 * thread.
 *
 *   address --map--> slot (reused after the free, so that their number is that of blocks live at once)
 *   slot    --> turn: 0, 1, 2, ...    in the recorded order; this is all that is left of the order between
 * threads
 *
 * Bytes touched are known at the free; they are written back into the operation that allocated the block. A
 * block that was never freed counts as touched whole.
 *
 * Memory  all tables come from mmap: this runs in a process of its own, whatever it takes
 */
#include "prepare.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace.h"

enum { WORKERS_MAX = 64, NONE = 0 };

/* Open addressing with linear probing and backward-shift deletion; key 0 = empty. */
struct map {
    uint64_t *keys;
    uint32_t *values;
    uint64_t mask;
};

struct slot_state {
    uint64_t op;   /* the one that allocated it, or resized it last */
    uint32_t turn; /* of the next event */
    uint32_t next_free;
};

struct preparation {
    struct map map;
    struct slot_state *slots; /* from 1 */
    struct ready_op *ops;
    uint64_t op_count;
    uint32_t slot_count, first_free;
    uint32_t *pending; /* by thread: the slot whose realloc has begun */
    uint64_t *pending_address;
    uint32_t threads;
};

static void *table_map(uint64_t count, size_t size)
{
    void *at = mmap(NULL, (count + 1) * size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        replay_fail("out of memory", "");
    return at;
}

static uint64_t map_home(const struct map *map, uint64_t key)
{
    return ((key >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 20) & map->mask;
}

static uint64_t map_find(const struct map *map, uint64_t key)
{
    uint64_t at = map_home(map, key);
    while (map->keys[at] != key && map->keys[at] != 0)
        at = (at + 1) & map->mask;
    return at;
}

static void map_put(struct map *map, uint64_t key, uint32_t value)
{
    uint64_t at = map_find(map, key);
    map->keys[at] = key;
    map->values[at] = value;
}

/* Entries behind the hole move up when their home allows it. */
static void map_close_hole(struct map *map, uint64_t hole)
{
    for (uint64_t at = (hole + 1) & map->mask; map->keys[at] != 0; at = (at + 1) & map->mask) {
        uint64_t home = map_home(map, map->keys[at]);
        if (((at - home) & map->mask) < ((at - hole) & map->mask))
            continue;
        map->keys[hole] = map->keys[at];
        map->values[hole] = map->values[at];
        hole = at;
    }
    map->keys[hole] = 0;
}

/* The value that stood there, or NONE. */
static uint32_t map_take(struct map *map, uint64_t key)
{
    uint64_t at = map_find(map, key);
    if (key == 0 || map->keys[at] == 0)
        return NONE;
    uint32_t value = map->values[at];
    map_close_hole(map, at);
    return value;
}

static uint32_t slot_take(struct preparation *p)
{
    uint32_t slot = p->first_free;
    if (slot == NONE)
        return ++p->slot_count;
    p->first_free = p->slots[slot].next_free;
    return slot;
}

static void slot_return(struct preparation *p, uint32_t slot)
{
    p->slots[slot].next_free = p->first_free;
    p->first_free = slot;
}

static void op_add(struct preparation *p, const struct trace_record *record, enum ready_kind kind,
                   uint32_t slot)
{
    uint64_t size = kind == READY_FREE ? 0 : record->value;
    p->ops[p->op_count] = (struct ready_op){.kind = (uint16_t)kind,
                                            .alignment_log2 = record->alignment_log2,
                                            .thread = record->thread,
                                            .slot = slot,
                                            .turn = p->slots[slot].turn++,
                                            .size = size,
                                            .touched = size};
    if (kind != READY_FREE)
        p->slots[slot].op = p->op_count;
    p->op_count++;
}

static void alloc_add(struct preparation *p, const struct trace_record *record, enum ready_kind kind)
{
    uint32_t slot = slot_take(p);
    map_put(&p->map, record->address, slot);
    op_add(p, record, kind, slot);
}

static void free_add(struct preparation *p, const struct trace_record *record)
{
    uint32_t slot = map_take(&p->map, record->address);
    if (slot == NONE)
        return;
    p->ops[p->slots[slot].op].touched = record->value;
    op_add(p, record, READY_FREE, slot);
    slot_return(p, slot);
}

static void realloc_begin(struct preparation *p, const struct trace_record *record)
{
    uint32_t slot = map_take(&p->map, record->address);
    p->pending[record->thread] = slot;
    p->pending_address[record->thread] = record->address;
    if (slot != NONE)
        p->ops[p->slots[slot].op].touched = record->value;
}

static void realloc_end(struct preparation *p, const struct trace_record *record)
{
    uint32_t slot = p->pending[record->thread];
    p->pending[record->thread] = NONE;
    if (slot == NONE)
        return;
    map_put(&p->map, record->address != 0 ? record->address : p->pending_address[record->thread], slot);
    if (record->address != 0)
        op_add(p, record, READY_REALLOC, slot);
}

static void record_add(struct preparation *p, const struct trace_record *record)
{
    switch (record->kind) {
    case TRACE_ALLOC:
        alloc_add(p, record, READY_ALLOC);
        break;
    case TRACE_ALIGNED:
        alloc_add(p, record, READY_ALIGNED);
        break;
    case TRACE_ZEROED:
        alloc_add(p, record, READY_ZEROED);
        break;
    case TRACE_FREE:
        free_add(p, record);
        break;
    case TRACE_RE_BEGIN:
        realloc_begin(p, record);
        break;
    case TRACE_RE_END:
        realloc_end(p, record);
        break;
    default: /* TRACE_EMPTY */
        break;
    }
}

const void *file_map(const char *path, unsigned long *size)
{
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) != 0 || status.st_size == 0)
        replay_fail("cannot read", path);
    void *at = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
    if (at == MAP_FAILED)
        replay_fail("cannot map", path);
    close(file);
    *size = (unsigned long)status.st_size;
    return at;
}

/* The number of records that are really there: a program that was killed leaves a file with a long empty
 * tail. */
static uint64_t trace_length(const char *path, const struct trace_header *header, unsigned long size)
{
    if (size < sizeof *header || memcmp(header->magic, TRACE_MAGIC, sizeof header->magic) != 0)
        replay_fail("not a recorded trace:", path);
    uint64_t room = (size - sizeof *header) / sizeof(struct trace_record);
    return header->count < room ? header->count : room;
}

static struct preparation preparation_make(const struct trace_record *records, uint64_t count)
{
    struct preparation p = {0};
    uint64_t size = 1024;
    while (size < 2 * count)
        size *= 2;
    for (uint64_t i = 0; i < count; i++)
        if (records[i].thread >= p.threads)
            p.threads = records[i].thread + 1;
    p.map = (struct map){table_map(size, sizeof(uint64_t)), table_map(size, sizeof(uint32_t)), size - 1};
    p.slots = table_map(count, sizeof(struct slot_state));
    p.ops = table_map(count, sizeof(struct ready_op));
    p.pending = table_map(p.threads, sizeof(uint32_t));
    p.pending_address = table_map(p.threads, sizeof(uint64_t));
    return p;
}

/* A counting sort by worker, which keeps the recorded order within each. */
static void ops_sort(const struct preparation *p, uint32_t workers, uint64_t *starts, struct ready_op *sorted)
{
    uint64_t next[WORKERS_MAX + 1] = {0};
    for (uint64_t i = 0; i < p->op_count; i++)
        next[p->ops[i].thread % workers + 1]++;
    for (uint32_t worker = 0; worker < workers; worker++)
        next[worker + 1] += next[worker];
    memcpy(starts, next, (workers + 1) * sizeof *starts);
    for (uint64_t i = 0; i < p->op_count; i++)
        sorted[next[p->ops[i].thread % workers]++] = p->ops[i];
}

static void ready_write(const struct preparation *p, const char *path)
{
    uint32_t workers = p->threads < WORKERS_MAX ? p->threads : WORKERS_MAX;
    uint64_t starts[WORKERS_MAX + 1];
    struct ready_op *sorted = table_map(p->op_count, sizeof *sorted);
    struct ready_header header = {READY_MAGIC, p->op_count, p->slot_count + 1, workers};
    if (p->op_count == 0)
        replay_fail("the trace is empty", "");
    ops_sort(p, workers, starts, sorted);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(&header, sizeof header, 1, file) != 1 ||
        fwrite(starts, sizeof *starts, workers + 1, file) != workers + 1 ||
        fwrite(sorted, sizeof *sorted, p->op_count, file) != p->op_count || fclose(file) != 0)
        replay_fail("cannot write", path);
}

void trace_prepare(const char *trace_path, const char *ready_path)
{
    unsigned long size;
    const struct trace_header *header = file_map(trace_path, &size);
    const struct trace_record *records = (const void *)(header + 1);
    uint64_t count = trace_length(trace_path, header, size);
    struct preparation p = preparation_make(records, count);
    for (uint64_t i = 0; i < count; i++)
        record_add(&p, &records[i]);
    ready_write(&p, ready_path);
}
