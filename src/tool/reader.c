/* reader.c - see reader.h: the first page, where the chunks are, and what of them can be used. */
#include "tool/reading.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

enum { SCAN_BYTES = 1 << 16 };
/* A chunk that would be larger than this when decompressed is damage: the library's are a thousandth of it.
 */
static const uint64_t raw_bytes_max = UINT64_C(1) << 30;

bool source_read(const struct source *source, uint64_t offset, void *to, size_t bytes)
{
    if (bytes == 0)
        return true;
    if (offset > source->bytes || bytes > source->bytes - offset)
        return false;
    if (source->fd < 0) {
        memcpy(to, source->memory + offset, bytes);
        return true;
    }
    for (size_t done = 0; done < bytes;) {
        ssize_t got = pread(source->fd, (char *)to + done, bytes - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false; /* cut off while it was read */
        done += (size_t)got;
    }
    return true;
}

uint32_t reader_crc32c(uint32_t crc, const void *data, size_t bytes)
{
    static uint32_t table[8][256]; /* slicing by eight */
    if (table[0][1] == 0) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t value = i;
            for (unsigned bit = 0; bit < 8; bit++)
                value = (value >> 1) ^ ((value & 1) != 0 ? UINT32_C(0x82F63B78) : 0);
            table[0][i] = value;
        }
        for (unsigned slice = 1; slice < 8; slice++)
            for (unsigned i = 0; i < 256; i++)
                table[slice][i] = (table[slice - 1][i] >> 8) ^ table[0][table[slice - 1][i] & 0xFF];
    }
    const uint8_t *p = data;
    crc = ~crc;
    for (; bytes >= 8; bytes -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        word ^= crc;
        crc = 0;
        for (unsigned i = 0; i < 8; i++)
            crc ^= table[7 - i][(word >> (8 * i)) & 0xFF];
    }
    for (; bytes > 0; bytes--, p++)
        crc = (crc >> 8) ^ table[0][(crc ^ *p) & 0xFF];
    return ~crc;
}

char *reader_header(const struct source *source, struct nbt_file *header)
{
    if (!source_read(source, 0, header, sizeof *header)) {
        uint8_t magic[8] = {0};
        if (source_read(source, 0, magic, sizeof magic) && memcmp(magic, NBT_MAGIC, 8) == 0)
            return tool_text("%s: cut off in its first page, at %llu bytes", source->name,
                             (unsigned long long)source->bytes);
        return tool_text("%s: not an .nbt file (those are written by `nebmalloc run`)", source->name);
    }
    if (memcmp(header->magic, NBT_MAGIC, 8) != 0)
        return tool_text("%s: not an .nbt file (those are written by `nebmalloc run`)", source->name);
    if (header->major != NBT_MAJOR)
        return tool_text("%s: format version %u.%u; this nebmalloc reads version %d", source->name,
                         header->major, header->minor, NBT_MAJOR);
    return NULL;
}

/* ---- where chunks are ---------------------------------------------------------------------------------- */

static bool header_plausible(const struct nbt_chunk *header)
{
    return header->magic == NBT_CHUNK_MAGIC && header->kind != 0 && header->span_bytes >= sizeof *header &&
           header->span_bytes % 8 == 0;
}

static uint64_t payload_available(const struct source *source, uint64_t offset,
                                  const struct nbt_chunk *header)
{
    uint64_t left = source->bytes - offset - sizeof *header, room = header->span_bytes - sizeof *header;
    uint64_t bytes = header->stored_bytes < room ? header->stored_bytes : room;
    return bytes < left ? bytes : left;
}

static bool payload_intact(const struct source *source, const struct chunk *chunk)
{
    static uint8_t block[SCAN_BYTES];
    uint32_t crc = 0;
    for (uint64_t done = 0; done < chunk->available;) {
        uint64_t left = chunk->available - done;
        size_t bytes = left < sizeof block ? (size_t)left : sizeof block;
        if (!source_read(source, chunk->offset + sizeof chunk->header + done, block, bytes))
            return false;
        crc = reader_crc32c(crc, block, bytes);
        done += bytes;
    }
    return crc == chunk->header.checksum;
}

/* Whether a chunk begins here. Away from multiples of a page only a sealed chunk whose checksum is right is
 * believed: the magic may stand by chance in a payload. The budget, in bytes, bounds what checking all of
 * them may cost. */
static bool chunk_at(const struct source *source, uint64_t offset, bool expected, uint64_t *budget,
                     struct chunk *chunk)
{
    chunk->offset = offset;
    if (!source_read(source, offset, &chunk->header, sizeof chunk->header) ||
        !header_plausible(&chunk->header))
        return false;
    chunk->available = payload_available(source, offset, &chunk->header);
    if (expected || offset % NBT_CHUNK_ALIGN == 0)
        return true;
    if ((chunk->header.flags & NBT_SEALED) == 0 || chunk->available != chunk->header.stored_bytes ||
        chunk->available > *budget)
        return false;
    *budget -= chunk->available;
    return payload_intact(source, chunk);
}

/* The next offset from `from` on, a multiple of 8, where a chunk begins; the source's size if there is none.
 */
static uint64_t chunk_search(const struct source *source, uint64_t from, uint64_t *budget)
{
    static uint8_t block[SCAN_BYTES];
    uint64_t offset = (from + 7) & ~UINT64_C(7);
    size_t step = 1024; /* small at first: the next chunk is near in most cases */
    while (offset + sizeof(struct nbt_chunk) <= source->bytes) {
        uint64_t left = source->bytes - offset;
        size_t bytes = left < step ? (size_t)left : step;
        if (!source_read(source, offset, block, bytes))
            break;
        step = step * 2 < sizeof block ? step * 2 : sizeof block;
        for (size_t i = 0; i + 4 <= bytes; i += 8) {
            uint32_t magic;
            struct chunk chunk;
            memcpy(&magic, block + i, 4);
            if (magic == NBT_CHUNK_MAGIC && chunk_at(source, offset + i, false, budget, &chunk))
                return offset + i;
        }
        offset += bytes & ~(size_t)7;
    }
    return source->bytes;
}

static bool all_zero(const struct source *source, uint64_t from, uint64_t to)
{
    uint8_t word[64];
    for (; from < to; from += sizeof word) {
        size_t bytes = to - from < sizeof word ? (size_t)(to - from) : sizeof word;
        if (!source_read(source, from, word, bytes))
            return true;
        for (size_t i = 0; i < bytes; i++)
            if (word[i] != 0)
                return false;
    }
    return true;
}

void chunks_scan(const struct source *source, struct model *model, struct chunks *chunks)
{
    struct nbt_file header;
    uint64_t budget = source->bytes * 4;
    if (!source_read(source, 0, &header, sizeof header))
        return;
    uint64_t offset = header.header_bytes >= NBT_HEADER_BYTES && header.header_bytes % 8 == 0
                          ? header.header_bytes
                          : NBT_HEADER_BYTES;
    while (offset < source->bytes && sizeof(struct nbt_chunk) <= source->bytes - offset) {
        struct chunk chunk;
        if (!chunk_at(source, offset, true, &budget, &chunk)) {
            uint64_t next = chunk_search(source, offset + 8, &budget);
            if (!all_zero(source, offset, next)) /* space that was reserved and not used is all zero */
                model_damage(model, "%s: %llu bytes at %llu are damaged", source->name,
                             (unsigned long long)(next - offset), (unsigned long long)offset);
            offset = next;
            continue;
        }
        TOOL_ROOM(chunks->items, chunks->count, chunks->room);
        chunks->items[chunks->count++] = chunk;
        uint64_t behind = offset + sizeof chunk.header + chunk.available;
        if (chunk.header.span_bytes <= source->bytes - offset)
            offset += chunk.header.span_bytes;
        else /* the file's end; or a span that is damaged, with chunks behind it */
            offset = chunk_search(source, behind, &budget);
    }
    if (offset < source->bytes && !all_zero(source, offset, source->bytes))
        model_damage(model, "%s: cut off within a chunk's header", source->name);
    if (header.file_bytes > source->bytes && header.file_bytes != UINT64_MAX)
        model_damage(model, "%s: cut off: %llu bytes of %llu are there", source->name,
                     (unsigned long long)source->bytes, (unsigned long long)header.file_bytes);
}

/* ---- payloads ------------------------------------------------------------------------------------------ */

static const char *kind_name(unsigned kind)
{
    static const char *const names[] = {"?",      "process", "modules",  "threads", "stacks",
                                        "events", "sites",   "timeline", "classes", "slabs",
                                        "marks",  "end",     "index",    "buckets"};
    return kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}

static void chunk_damage(const struct source *source, const struct chunk *chunk, struct model *model,
                         const char *what)
{
    model_damage(model, "%s: %s chunk at %llu: %s", source->name, kind_name(chunk->header.kind),
                 (unsigned long long)chunk->offset, what);
}

/* As far as it goes. The output grows with what really comes out, so that a lie about its size costs nothing.
 */
static bool decompress(const struct buffer *from, struct buffer *to)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (context == NULL)
        tool_die(TOOL_FAILED, "out of memory");
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 27);
    ZSTD_inBuffer in = {from->data, from->bytes, 0};
    size_t left = 1, step = ZSTD_DStreamOutSize();
    char *block = tool_make(step, 1);
    while (left != 0 && to->bytes <= raw_bytes_max) {
        ZSTD_outBuffer out = {block, step, 0};
        size_t before = in.pos;
        left = ZSTD_decompressStream(context, &out, &in);
        if (ZSTD_isError(left) || (out.pos == 0 && in.pos == before))
            break;
        buffer_add(to, block, out.pos);
    }
    free(block);
    ZSTD_freeDCtx(context);
    return left == 0;
}

bool chunk_load(const struct source *source, const struct chunk *chunk, struct model *model,
                struct buffer *payload)
{
    const struct nbt_chunk *header = &chunk->header;
    bool sealed = (header->flags & NBT_SEALED) != 0, whole = chunk->available == header->stored_bytes;
    struct buffer stored = {0};
    payload->bytes = 0;
    buffer_add(payload, "", 0); /* never NULL, for who adds to it */
    struct buffer *to = header->codec == NBT_RAW ? payload : &stored;
    if (to->room <= chunk->available) {
        to->room = (size_t)chunk->available + 1;
        to->data = tool_resize(to->data, to->room, 1);
    }
    to->bytes = (size_t)chunk->available;
    to->data[to->bytes] = '\0';
    if (!source_read(source, chunk->offset + sizeof *header, to->data, to->bytes)) {
        chunk_damage(source, chunk, model, "cannot be read");
        goto unusable;
    }
    if (sealed && whole && reader_crc32c(0, to->data, to->bytes) != header->checksum) {
        chunk_damage(source, chunk, model, "damaged (its checksum is another one); left out");
        goto unusable;
    }
    if (!whole)
        chunk_damage(source, chunk, model, "cut off; used as far as it goes");
    if (header->codec > NBT_ZSTD) {
        chunk_damage(source, chunk, model, "compressed in a way that is not known; left out");
        goto unusable;
    }
    if (header->codec == NBT_ZSTD) {
        bool good = decompress(&stored, payload);
        if (whole && (!good || payload->bytes != header->raw_bytes))
            chunk_damage(source, chunk, model, "does not decompress as it should; used as far as it goes");
    }
    buffer_finish(&stored);
    return true;
unusable:
    buffer_finish(&stored);
    payload->bytes = 0;
    return false;
}

/* ---- a file -------------------------------------------------------------------------------------------- */

char *reader_source(struct model *model, const struct source *source)
{
    struct reading reading = {.model = model, .source = source};
    char *refused = reader_header(source, &reading.header);
    if (refused != NULL)
        return refused;
    TOOL_ROOM(model->processes, model->process_count, model->process_room);
    reading.process = (uint32_t)model->process_count++;
    struct process *process = &model->processes[reading.process];
    *process = (struct process){
        .file = tool_copy(source->name, strlen(source->name)),
        .file_bytes = source->bytes,
        .pid = reading.header.pid,
        .start_unix_ns = reading.header.start_unix_ns,
        .mode = reading.header.mode <= NBT_MODE_TRACE ? (enum nbt_mode)reading.header.mode : NBT_MODE_OFF,
        .state = reading.header.state,
        .sample_bytes = reading.header.sample_bytes,
        .end_ns = reading.header.now_ns};
    process->totals.peak_ns = reading.header.peak_ns;
    process->totals.dropped = reading.header.dropped_events;
    process->totals.other_stack = reading.header.other_stack_events;
    chunks_scan(source, model, &reading.chunks);
    reading_records(&reading);
    reading_events(&reading);
    for (size_t i = 0; i < reading.stack_page_count; i++)
        free(reading.stack_page[i]);
    free(reading.stack_page);
    free(reading.module);
    free(reading.lane_threads);
    free(reading.chunks.items);
    progress_end();
    return NULL;
}

bool reader_writer_lives(const char *path, uint32_t pid)
{
    char *maps = tool_text("/proc/%u/maps", pid), real[PATH_MAX];
    FILE *file = fopen(maps, "r");
    free(maps);
    if (file == NULL || realpath(path, real) == NULL) {
        if (file != NULL)
            fclose(file);
        return false;
    }
    bool found = false;
    char *line = NULL;
    size_t room = 0;
    for (ssize_t length; !found && (length = getline(&line, &room, file)) > 0;) {
        line[length - (line[length - 1] == '\n')] = '\0';
        const char *name = strchr(line, '/');
        found = name != NULL && strcmp(name, real) == 0;
    }
    free(line);
    fclose(file);
    return found;
}

char *source_open(struct source *source, struct stat *status, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *refused = NULL;
    if (fd < 0 || fstat(fd, status) != 0)
        refused = tool_text("%s: %s", path, strerror(errno));
    else if (!S_ISREG(status->st_mode))
        refused = tool_text("%s: %s, not an .nbt file", path,
                            S_ISDIR(status->st_mode) ? "a folder" : "no regular file");
    if (refused != NULL && fd >= 0)
        close(fd);
    if (refused == NULL)
        *source = (struct source){.fd = fd, .bytes = (uint64_t)status->st_size, .name = path};
    return refused;
}

char *reader_file(struct model *model, const char *path)
{
    struct source source;
    struct stat status;
    char *refused = source_open(&source, &status, path);
    if (refused != NULL)
        return refused;
    refused = reader_source(model, &source);
    close(source.fd);
    if (refused == NULL) {
        struct process *process = &model->processes[model->process_count - 1];
        process->killed = process->state == NBT_RUNNING && !reader_writer_lives(path, (uint32_t)process->pid);
    }
    return refused;
}

void reader_files(struct model *model, char *const *paths, int count)
{
    for (int i = 0; i < count; i++) {
        char *refused = reader_file(model, paths[i]);
        if (refused != NULL)
            tool_die(TOOL_FAILED, "%s", refused);
    }
    model_sum(model);
}
