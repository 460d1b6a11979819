/* nothing.c - a malloc that does as little as possible: it takes the next bytes and never reuses any. Run
 * under it, a workload costs what the harness itself costs, which is stated beside the results.
 *
 *   mapping |#### lane 0 ####|#### lane 1 ####| ...      each thread takes a piece, then cuts blocks from it
 *
 * Layout   16 bytes before each block hold its size, for realloc and malloc_usable_size
 * Newest   freeing it takes the pointer back: without this a loop of malloc and free would run through new
 *          cache lines for ever and cost more than under a real allocator
 * Fresh    the first part is faulted in by the constructor, before the workload's clock starts: page faults
 *          are the allocator's business, not the harness's
 * Failure  NULL once the mapping is used up; the workload then says that it does not fit */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define EXPORT __attribute__((visibility("default")))

enum { HEADER = 16, PIECE = 1 << 20, ALIGNMENT = 16 };
static const size_t mapping_bytes = (size_t)32 << 30; /* address space only */
static const size_t ready_bytes = (size_t)512 << 20;  /* what smoke-length workloads take at most */

static char *mapping;
static _Atomic size_t taken;
static _Thread_local char *next, *end;

void *malloc(size_t size);
void free(void *at);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
void *memalign(size_t alignment, size_t size);
int posix_memalign(void **at, size_t alignment, size_t size);
size_t malloc_usable_size(void *at);

__attribute__((constructor)) static void mapping_init(void)
{
    if (mapping != NULL)
        return;
    char *at =
        mmap(NULL, mapping_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED)
        return;
    madvise(at, ready_bytes, MADV_HUGEPAGE);
    for (size_t i = 0; i < ready_bytes; i += 4096)
        at[i] = 0;
    mapping = at;
}

static size_t round_up(size_t size, size_t to)
{
    return (size + to - 1) & ~(to - 1);
}

/* Takes a new piece for this thread, large enough for `bytes`. */
static int piece_take(size_t bytes)
{
    mapping_init();
    size_t piece = round_up(bytes, PIECE);
    size_t at = atomic_fetch_add_explicit(&taken, piece, memory_order_relaxed); /* a counter alone */
    if (mapping == NULL || piece < bytes || at > mapping_bytes - piece)
        return 0;
    next = mapping + at;
    end = next + piece;
    return 1;
}

static void *block_take(size_t alignment, size_t size)
{
    size_t bytes = round_up(size, ALIGNMENT) + HEADER + alignment;
    if (bytes < size || ((size_t)(end - next) < bytes && !piece_take(bytes))) {
        errno = ENOMEM;
        return NULL;
    }
    size_t pad = -(uintptr_t)(next + HEADER) & (alignment - 1);
    char *at = next + pad + HEADER;
    next = at + round_up(size, ALIGNMENT);
    memcpy(at - HEADER, &size, sizeof size);
    return at;
}

EXPORT void *malloc(size_t size)
{
    return block_take(ALIGNMENT, size);
}

EXPORT void free(void *at)
{
    size_t size;
    if (at == NULL)
        return;
    memcpy(&size, (char *)at - HEADER, sizeof size);
    if ((char *)at + round_up(size, ALIGNMENT) == next)
        next = (char *)at - HEADER;
}

EXPORT void *calloc(size_t count, size_t size)
{
    size_t bytes;
    void *at = __builtin_mul_overflow(count, size, &bytes) ? NULL : malloc(bytes);
    if (at != NULL)
        memset(at, 0, bytes); /* the newest block may have been given back dirty */
    return at;
}

EXPORT size_t malloc_usable_size(void *at)
{
    size_t size = 0;
    if (at != NULL)
        memcpy(&size, (char *)at - HEADER, sizeof size);
    return size;
}

EXPORT void *realloc(void *old, size_t size)
{
    void *at = malloc(size);
    size_t kept = malloc_usable_size(old);
    if (at != NULL && old != NULL)
        memcpy(at, old, kept < size ? kept : size);
    return at;
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    return block_take(alignment < ALIGNMENT ? ALIGNMENT : alignment, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

EXPORT int posix_memalign(void **at, size_t alignment, size_t size)
{
    *at = memalign(alignment, size);
    return *at == NULL ? ENOMEM : 0;
}
