/* record.c - a preloaded library that writes down every allocation of a program, and how much of each block
 * was used.
 *
 *   block as handed out |requested size, filled|trailer|      fill: 0xA7, or 0 after calloc
 *                        ^^^^^^^^^^^ at the free: the last byte that differs from the fill = bytes touched
 *
 *   FILE = $NEB_RECORD, mapped sparse and shared: a program that is killed loses nothing. Processes that it
 * starts write FILE.PID.
 *
 * Invariant  every block has a trailer in the last 16 bytes of its usable size
 * Locks      takes none; a record's place is drawn from a counter in the file (T1)
 * Failure    a file that cannot be made: the program runs on, unrecorded, with one line on stderr
 * Scope      on glibc only: the blocks come from its __libc_ functions
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trace.h"

#define EXPORT __attribute__((visibility("default")))

enum { FILL = 0xA7, WAITING = 0, STARTING, RECORDING, OFF };
static const uint64_t records_max = UINT64_C(1) << 31;

struct trailer {
    uint64_t size;
    uint64_t fill;
};

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *at);

void *memalign(size_t alignment, size_t size);
size_t malloc_usable_size(void *at);
void *valloc(size_t size);
void *pvalloc(size_t size);

static size_t (*usable_size)(void *);
static struct trace_header *trace;
static atomic_int state;
static atomic_uint threads;
static _Thread_local uint32_t thread_number; /* plus 1; 0 = none yet */

static int trace_open(const char *path)
{
    char other[4096];
    int file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file >= 0 || errno != EEXIST)
        return file;
    snprintf(other, sizeof other, "%s.%d", path, (int)getpid());
    return open(other, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
}

static int trace_map(const char *path)
{
    size_t bytes = sizeof *trace + records_max * sizeof(struct trace_record);
    int file = trace_open(path);
    void *at = MAP_FAILED;
    if (file >= 0 && ftruncate(file, (off_t)bytes) == 0)
        at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
    if (file >= 0)
        close(file);
    if (at == MAP_FAILED)
        return 0;
    trace = at;
    memcpy(trace->magic, TRACE_MAGIC, sizeof trace->magic);
    return 1;
}

/* A child that goes on without exec would write into its parent's trace. */
static void child_off(void)
{
    atomic_store_explicit(&state, OFF, memory_order_relaxed); /* one thread only */
}

static void recording_start(void)
{
    static const char failed[] = "record: cannot write the trace; running unrecorded\n";
    const char *path = getenv("NEB_RECORD");
    *(void **)&usable_size = dlsym(RTLD_NEXT, "malloc_usable_size");
    int mapped = path != NULL && trace_map(path);
    if (path != NULL && !mapped && write(STDERR_FILENO, failed, sizeof failed - 1) < 0)
        errno = 0;
    pthread_atfork(NULL, NULL, child_off);
    atomic_store_explicit(&state, mapped ? RECORDING : OFF, memory_order_release);
}

/* The first call comes before there is a second thread, and long before any constructor of this library. */
static int recording(void)
{
    int now = atomic_load_explicit(&state, memory_order_acquire);
    if (now == WAITING) {
        atomic_store_explicit(&state, STARTING, memory_order_relaxed);
        recording_start();
        now = atomic_load_explicit(&state, memory_order_relaxed);
    }
    return now == RECORDING;
}

static uint32_t thread_get(void)
{
    if (thread_number == 0)
        thread_number =
            1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed); /* a counter alone */
    return thread_number - 1;
}

static void record(enum trace_kind kind, size_t alignment, const void *address, uint64_t value)
{
    if (!recording())
        return;
    struct trace_record *records = (void *)(trace + 1);
    uint64_t place = __atomic_fetch_add(&trace->count, 1, __ATOMIC_ACQ_REL); /* T1: the order of the trace */
    if (place >= records_max)
        return;
    records[place] =
        (struct trace_record){(uint16_t)kind, (uint16_t)__builtin_ctzll(alignment | (UINT64_C(1) << 63)),
                              thread_get(), (uintptr_t)address, value};
}

static struct trailer *trailer_of(void *at)
{
    return (void *)((char *)at + ((usable_size(at) - sizeof(struct trailer)) & ~(size_t)15));
}

static void trailer_write(void *at, size_t size, unsigned char fill)
{
    *trailer_of(at) = (struct trailer){size, fill};
}

static size_t padded(size_t size)
{
    size_t bytes = size + 2 * sizeof(struct trailer);
    return bytes < size ? SIZE_MAX : bytes;
}

/* Up to the last byte that was written; what was written with the very value of the fill is not seen. */
static uint64_t touched(const unsigned char *at, const struct trailer *trailer)
{
    uint64_t end = trailer->size;
    while (end > 0 && at[end - 1] == (unsigned char)trailer->fill)
        end--;
    return end;
}

static void *block_begin(enum trace_kind kind, void *at, size_t alignment, size_t size)
{
    if (at == NULL)
        return NULL;
    unsigned char fill = kind == TRACE_ZEROED ? 0 : FILL;
    recording(); /* usable_size is known from here on */
    if (kind != TRACE_ZEROED)
        memset(at, fill, size);
    trailer_write(at, size, fill);
    record(kind, alignment, at, size);
    return at;
}

EXPORT void *malloc(size_t size)
{
    return block_begin(TRACE_ALLOC, __libc_malloc(padded(size)), 16, size);
}

EXPORT void *calloc(size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX;
    return block_begin(TRACE_ZEROED, __libc_calloc(1, padded(bytes)), 16, bytes);
}

EXPORT void free(void *at)
{
    int saved = errno;
    if (at == NULL)
        return;
    record(TRACE_FREE, 16, at, touched(at, trailer_of(at)));
    __libc_free(at);
    errno = saved;
}

static void *block_resize(void *old, size_t size)
{
    struct trailer was = *trailer_of(old);
    record(TRACE_RE_BEGIN, 16, old, touched(old, &was));
    char *at = __libc_realloc(old, padded(size));
    if (at != NULL && size > was.size)
        memset(at + was.size, (int)was.fill, size - was.size);
    if (at != NULL)
        trailer_write(at, size, (unsigned char)was.fill);
    record(TRACE_RE_END, 16, at, size);
    return at;
}

EXPORT void *realloc(void *old, size_t size)
{
    if (old == NULL)
        return malloc(size);
    if (size > 0)
        return block_resize(old, size);
    free(old);
    return NULL;
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    return block_begin(TRACE_ALIGNED, __libc_memalign(alignment, padded(size)), alignment, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

EXPORT int posix_memalign(void **at, size_t alignment, size_t size)
{
    void *block = memalign(alignment, size);
    if (block == NULL)
        return ENOMEM;
    *at = block;
    return 0;
}

EXPORT void *valloc(size_t size)
{
    return memalign((size_t)sysconf(_SC_PAGESIZE), size);
}

EXPORT void *pvalloc(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return memalign(page, (size + page - 1) & ~(page - 1));
}

/* What lies beyond the requested size belongs to the trailer. */
EXPORT size_t malloc_usable_size(void *at)
{
    return at == NULL ? 0 : trailer_of(at)->size;
}
