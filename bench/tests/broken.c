/* broken.c - an allocator that is very fast and wrong: every 1000th block is handed out twice.
 *
 * The benchmark must throw it out of every workload in which this matters; test_driver.py sees to that.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define EXPORT __attribute__((visibility("default")))

enum { HEADER = 16, TWICE_EVERY = 1000 };
static const size_t mapping_bytes = (size_t)4 << 30;

static char *next, *end, *last;
static size_t last_size;
static unsigned calls;

void *malloc(size_t size);
void free(void *at);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);

static int mapping_init(void)
{
    if (next != NULL)
        return 1;
    next =
        mmap(NULL, mapping_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    end = next + mapping_bytes;
    return next != MAP_FAILED;
}

EXPORT void *malloc(size_t size)
{
    size_t bytes = HEADER + ((size + 15) & ~(size_t)15);
    if (!mapping_init() || bytes < size || (size_t)(end - next) < bytes)
        return NULL;
    if (++calls % TWICE_EVERY == 0 && last_size == size)
        return last;
    last = next + HEADER;
    last_size = size;
    next += bytes;
    memcpy(last - HEADER, &size, sizeof size);
    return last;
}

EXPORT void free(void *at)
{
    (void)at;
}

EXPORT void *calloc(size_t count, size_t size)
{
    size_t bytes;
    void *at = __builtin_mul_overflow(count, size, &bytes) ? NULL : malloc(bytes);
    return at == NULL ? NULL : memset(at, 0, bytes);
}

EXPORT void *realloc(void *old, size_t size)
{
    size_t kept = 0;
    void *at = malloc(size);
    if (old != NULL)
        memcpy(&kept, (char *)old - HEADER, sizeof kept);
    if (at != NULL && old != NULL && at != old)
        memcpy(at, old, kept < size ? kept : size);
    return at;
}
