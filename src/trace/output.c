/* output.c - see output.h.
 *
 * Sync  T2: what lies below stored_bytes is written before it (readers are other processes, too) */
#include "trace/output.h"

#include "base/ptr.h"
#include "os/clock.h"
#include "os/env.h"
#include "os/file.h"
#include "os/lock.h"
#include "os/vm.h"
#include "trace/crc.h"
#include "trace/state.h"
#include <string.h>

static struct os_file file = {.descriptor = -1};
static struct nbt_file *first_page, *held_page;
static uint64_t file_end;       /* LOCK_TRACE_FILE */
static _Atomic int output_error; /* written under the lock */

static size_t page_bytes(void)
{
    size_t page = neb_vm_page_size();
    return page > NBT_CHUNK_ALIGN ? page : NBT_CHUNK_ALIGN;
}

int neb_output_open(const char *path, const struct nbt_file *first)
{
    int error = neb_file_create(&file, path);
    if (error != 0)
        return error;
    error = neb_file_reserve(&file, 0, page_bytes());
    void *base = error == 0 ? neb_file_map(&file, 0, page_bytes()) : NULL;
    if (base == NULL) {
        (void)neb_file_remove(file.path); /* no half-written files */
        neb_file_close(&file);
        return error != 0 ? error : OS_NO_MEMORY;
    }
    memcpy(base, first, sizeof *first);
    first_page = base;
    first_page->header_bytes = (uint32_t)page_bytes();
    file_end = page_bytes();
    first_page->file_bytes = file_end;
    memcpy(first_page->magic, NBT_MAGIC, sizeof first_page->magic);
    atomic_store_explicit(&output_error, 0, memory_order_relaxed);
    return 0;
}

bool neb_output_is_open(void)
{
    return first_page != NULL;
}

int neb_output_error(void)
{
    return atomic_load_explicit(&output_error, memory_order_relaxed);
}

struct nbt_file *neb_output_first(void)
{
    return first_page;
}

const char *neb_output_path(void)
{
    return file.path;
}

/* ---- chunks ---------------------------------------------------------------------------------------------------------- */

/* LOCK_TRACE_FILE is held. */
static void fail(int error)
{
    atomic_store_explicit(&output_error, error, memory_order_relaxed);
    trace_mode_set(NBT_MODE_OFF);
    first_page->state = NBT_FULL;
    neb_os_complain_file(file.path, error, "; recording has stopped, what was written stays readable");
}

static void *grow(size_t span)
{
    void *base = NULL;
    neb_lock_take(&neb_locks[LOCK_TRACE_FILE]);
    if (first_page != NULL && neb_output_error() == 0) {
        int error = neb_file_reserve(&file, file_end, span);
        if (error == 0 && (base = neb_file_map(&file, file_end, span)) == NULL)
            error = OS_NO_MEMORY;
        if (error != 0) {
            fail(error);
        } else {
            neb_vm_populate(base, span); /* all of it will be written: one call instead of a fault for each page */
            file_end += span;
            first_page->file_bytes = file_end;
        }
    }
    neb_lock_give(&neb_locks[LOCK_TRACE_FILE]);
    return base;
}

struct nbt_chunk *neb_output_begin(enum nbt_kind kind, size_t span, uint32_t lane, uint64_t base, uint64_t epoch)
{
    int saved = neb_os_error();
    struct nbt_chunk *chunk = grow(size_align_up(span, page_bytes()));
    neb_os_set_error(saved);
    if (chunk == NULL)
        return NULL;
    chunk->kind = (uint16_t)kind;
    chunk->lane = lane;
    chunk->span_bytes = size_align_up(span, page_bytes());
    chunk->base = base;
    chunk->epoch = epoch;
    chunk->time_ns = atomic_load_explicit(&neb_trace_page.state.now_ns, memory_order_relaxed);
    __atomic_store_n(&chunk->magic, NBT_CHUNK_MAGIC, __ATOMIC_RELEASE); /* T2 */
    return chunk;
}

unsigned char *neb_output_payload(struct nbt_chunk *chunk)
{
    return ptr_add(chunk, sizeof *chunk);
}

size_t neb_output_room(const struct nbt_chunk *chunk)
{
    return (size_t)chunk->span_bytes - sizeof *chunk;
}

void neb_output_commit(struct nbt_chunk *chunk, size_t stored)
{
    __atomic_store_n(&chunk->stored_bytes, stored, __ATOMIC_RELEASE); /* T2 */
}

void neb_output_seal_in_place(struct nbt_chunk *chunk)
{
    chunk->checksum = neb_crc32c(neb_output_payload(chunk), (size_t)chunk->stored_bytes);
    __atomic_store_n(&chunk->flags, NBT_SEALED, __ATOMIC_RELEASE); /* T2 */
}

void neb_output_seal(struct nbt_chunk *chunk)
{
    size_t span = (size_t)chunk->span_bytes;
    int saved = neb_os_error();
    neb_output_seal_in_place(chunk);
    (void)neb_vm_unmap(chunk, span);
    neb_os_set_error(saved);
}

void neb_output_drop(struct nbt_chunk **chunk)
{
    if (*chunk != NULL)
        (void)neb_vm_unmap(*chunk, (size_t)(*chunk)->span_bytes);
    *chunk = NULL;
}

/* ---- streams ----------------------------------------------------------------------------------------------------------- */

enum { STREAM_BYTES = NBT_CHUNK_ALIGN };

static struct nbt_chunk *stream_chunk(const struct output_stream *stream)
{
    struct nbt_chunk *chunk = neb_output_begin(stream->kind, STREAM_BYTES, 0, stream->base, 0);
    if (chunk != NULL && stream->time_ns != 0)
        chunk->time_ns = stream->time_ns;
    return chunk;
}

bool neb_output_append(struct output_stream *stream, const void *bytes, size_t count)
{
    struct nbt_chunk *chunk = stream->chunk;
    if (chunk != NULL && chunk->stored_bytes + count > neb_output_room(chunk)) {
        neb_output_seal(chunk);
        chunk = NULL;
    }
    if (chunk == NULL)
        chunk = stream_chunk(stream);
    stream->chunk = chunk;
    if (chunk == NULL || count > neb_output_room(chunk))
        return false;
    memcpy(neb_output_payload(chunk) + chunk->stored_bytes, bytes, count);
    neb_output_commit(chunk, (size_t)chunk->stored_bytes + count);
    return true;
}

void neb_output_finish(struct output_stream *stream)
{
    if (stream->chunk != NULL)
        neb_output_seal(stream->chunk);
    stream->chunk = NULL;
}

/* ---- the whole file ---------------------------------------------------------------------------------------------------- */

int neb_output_copy(const char *path)
{
    neb_lock_take(&neb_locks[LOCK_TRACE_FILE]);
    uint64_t end = file_end;
    neb_lock_give(&neb_locks[LOCK_TRACE_FILE]);
    return neb_file_copy(&file, end, path, offsetof(struct nbt_file, state), NBT_CLOSED);
}

void neb_output_close(enum nbt_state state)
{
    neb_lock_take(&neb_locks[LOCK_TRACE_FILE]);
    struct nbt_file *page = first_page;
    uint64_t end = file_end;
    first_page = NULL;
    neb_lock_give(&neb_locks[LOCK_TRACE_FILE]);
    if (page == NULL)
        return;
    __atomic_store_n(&page->state, state, __ATOMIC_RELEASE); /* T2 */
    (void)neb_file_cut(&file, end);
    neb_file_close(&file);
    if (page != held_page)
        (void)neb_vm_unmap(page, page->header_bytes);
}

void neb_output_hold_first(void)
{
    held_page = first_page;
}

void neb_output_let_go(struct nbt_file *page)
{
    held_page = NULL;
    if (page != first_page)
        (void)neb_vm_unmap(page, page->header_bytes);
}

void neb_output_forget(void)
{
    if (first_page == NULL)
        return;
    (void)neb_vm_unmap(first_page, first_page->header_bytes);
    first_page = NULL;
    neb_file_close(&file);
}
