/* pack.c - see pack.h. Nothing is lost: a chunk that is damaged is left out, as every reader would. */
#include "tool/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

enum { LEVEL = 9 };

struct packing {
    FILE *out;
    uint64_t offset;
    struct nbt_index_entry *index;
    size_t count, room;
    ZSTD_CCtx *context;
};

static void put(struct packing *packing, const void *data, size_t bytes)
{
    fwrite(data, 1, bytes, packing->out);
    packing->offset += bytes;
}

static void put_chunk(struct packing *packing, struct nbt_chunk header, const struct buffer *payload)
{
    size_t bound = ZSTD_compressBound(payload->bytes);
    char *stored = tool_make(bound, 1);
    size_t bytes = ZSTD_compress2(packing->context, stored, bound, payload->data, payload->bytes);
    header.codec = NBT_ZSTD;
    header.raw_bytes = payload->bytes;
    if (ZSTD_isError(bytes) || bytes >= payload->bytes) {
        header.codec = NBT_RAW;
        header.raw_bytes = 0;
        bytes = payload->bytes;
        memcpy(stored, payload->data == NULL ? "" : payload->data, bytes);
    }
    size_t padding = (8 - bytes % 8) % 8;
    header.flags |= NBT_SEALED;
    header.checksum = reader_crc32c(0, stored, bytes);
    header.stored_bytes = bytes;
    header.span_bytes = sizeof header + bytes + padding;
    TOOL_ROOM(packing->index, packing->count, packing->room);
    packing->index[packing->count++] = (struct nbt_index_entry){.offset = packing->offset,
                                                                .kind = header.kind,
                                                                .lane = header.lane,
                                                                .base = header.base,
                                                                .time_ns = header.time_ns};
    put(packing, &header, sizeof header);
    put(packing, stored, bytes);
    put(packing, "\0\0\0\0\0\0\0", padding);
    free(stored);
}

static void put_index(struct packing *packing)
{
    size_t bytes = packing->count * sizeof *packing->index;
    struct nbt_chunk header = {.magic = NBT_CHUNK_MAGIC,
                               .kind = NBT_INDEX,
                               .flags = NBT_SEALED,
                               .checksum = reader_crc32c(0, packing->index, bytes),
                               .span_bytes = sizeof header + bytes,
                               .stored_bytes = bytes};
    put(packing, &header, sizeof header);
    put(packing, packing->index, bytes);
}

static bool pack_source(const struct source *source, FILE *out)
{
    struct model damage; /* only for what it says of damage, which the reader of the packed file could not say
                            any more */
    struct nbt_file header;
    struct chunks chunks = {0};
    struct packing packing = {.out = out, .context = ZSTD_createCCtx()};
    struct buffer payload = {0};
    if (packing.context == NULL || !source_read(source, 0, &header, sizeof header))
        return false;
    ZSTD_CCtx_setParameter(packing.context, ZSTD_c_compressionLevel, LEVEL);
    model_init(&damage);
    chunks_scan(source, &damage, &chunks);
    put(&packing, &header, sizeof header);
    for (size_t i = 0; i < chunks.count; i++) {
        const struct chunk *chunk = &chunks.items[i];
        if (chunk->header.kind == NBT_INDEX || chunk->available == 0 ||
            !chunk_load(source, chunk, &damage, &payload))
            continue;
        put_chunk(&packing, chunk->header, &payload);
        progress_show("compressing", chunk->offset, source->bytes);
    }
    put_index(&packing);
    header.file_bytes = packing.offset;
    bool whole = damage.damage_count == 0; /* a damaged file is evidence: it stays as it is */
    whole = whole && fseek(out, 0, SEEK_SET) == 0 && fwrite(&header, sizeof header, 1, out) == 1;
    ZSTD_freeCCtx(packing.context);
    free(packing.index);
    free(chunks.items);
    buffer_finish(&payload);
    model_finish(&damage);
    progress_end();
    return whole;
}

char *pack_file(const char *path, uint64_t *bytes_before, uint64_t *bytes_after)
{
    struct source source;
    struct stat status;
    char *refused = source_open(&source, &status, path);
    if (refused != NULL)
        return refused;
    struct nbt_file header;
    char *temporary = tool_text("%s.%ld.tmp", path, (long)getpid());
    refused = reader_header(&source, &header);
    FILE *out = refused == NULL ? fopen(temporary, "wx") : NULL;
    if (refused == NULL && out == NULL)
        refused = tool_text("%s: %s", temporary, strerror(errno));
    if (out != NULL) {
        errno = 0;
        bool good = pack_source(&source, out);
        good = fflush(out) == 0 && good && ferror(out) == 0;
        good = fclose(out) == 0 && good;
        good = good && chmod(temporary, status.st_mode & 0777) == 0 && rename(temporary, path) == 0;
        if (!good) {
            refused =
                tool_text("%s: left as it is: %s", path, errno == 0 ? "it is damaged" : strerror(errno));
            unlink(temporary);
        }
    }
    struct stat after;
    *bytes_before = (uint64_t)status.st_size;
    *bytes_after = stat(path, &after) == 0 ? (uint64_t)after.st_size : 0;
    free(temporary);
    close(source.fd);
    return refused;
}
