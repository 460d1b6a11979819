/* claim.h - what the programs in facts/ print, and how they look at their own memory.
 *
 * Every line is one claim; `run` reads them (its head says what it does with each kind):
 *
 *   claim_is      an answer that must be the one glibc's malloc gives in the same run
 *   claim_holds   a fact that must hold with every allocator, glibc's included
 *   claim_at_most a bar: only the library has to stay under it
 *
 * Laws  a claim is written with one write(2) from a buffer on the stack: claiming allocates nothing
 *       each claim's text is unique in its program
 */
#ifndef CLAIM_H
#define CLAIM_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The compiler must not see through a value or a block: sizes stay unknown, allocations stay. */
static inline size_t opaque_size(size_t n)
{
    __asm__ volatile("" : "+r"(n));
    return n;
}

static inline void *opaque(void *p)
{
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p;
}

static inline void claim_write(const char *line, int length)
{
    ssize_t done = write(STDOUT_FILENO, line, (size_t)length);

    if (done != (ssize_t)length)
        _exit(99);
}

__attribute__((format(printf, 2, 3))) static inline void claim_is(const char *claim, const char *format, ...)
{
    char answer[256], line[512];
    va_list list;

    va_start(list, format);
    vsnprintf(answer, sizeof answer, format, list);
    va_end(list);
    claim_write(line, snprintf(line, sizeof line, "is  %s = %s\n", claim, answer));
}

static inline void claim_holds(const char *claim, bool holds)
{
    char line[512];

    claim_write(line, snprintf(line, sizeof line, "%s %s\n", holds ? "yes" : "NO ", claim));
}

/* For facts that glibc's malloc need not show: only the library is judged. */
static inline void claim_ours(const char *claim, bool holds)
{
    char line[512];

    claim_write(line, snprintf(line, sizeof line, "%s %s\n", holds ? "bar" : "BAR", claim));
}

static inline void claim_at_most(const char *claim, long value, long bar, const char *unit)
{
    char line[512];

    claim_write(line, snprintf(line, sizeof line, "%s %s = %ld %s, at most %ld\n", value <= bar ? "bar" : "BAR",
                               claim, value, unit, bar));
}

/* The value of "KEY: n kB" in a file of /proc, -1 when there is none. Allocates nothing. */
static inline long proc_kib(const char *path, const char *key)
{
    char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    const char *found;

    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return -1;
    text[length] = '\0';
    found = strstr(text, key);
    return found == NULL ? -1 : strtol(found + strlen(key), NULL, 10);
}

/* Resident memory now. From the page tables: VmRSS is a sum of per-cpu counters that may be 64 pages a cpu off. */
static inline long resident_kib(void)
{
    return proc_kib("/proc/self/smaps_rollup", "Rss:");
}

/* Highest resident memory so far, as exact as the kernel keeps it. */
static inline long resident_peak_kib(void)
{
    return proc_kib("/proc/self/status", "VmHWM:");
}

/* A block's contents that depend on its address's owner's tag, and their check. */
static inline void fill(void *block, size_t size, unsigned tag)
{
    unsigned char *bytes = (unsigned char *)block;

    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(tag * 31u + i * 7u);
}

static inline bool is_filled(const void *block, size_t size, unsigned tag)
{
    const unsigned char *bytes = (const unsigned char *)block;

    for (size_t i = 0; i < size; i++)
        if (bytes[i] != (unsigned char)(tag * 31u + i * 7u))
            return false;
    return true;
}

static inline bool is_zero(const void *block, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)block;

    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0)
            return false;
    return true;
}

/* A round of mixed work that every healthy heap survives: sizes from 1 byte to 4 MiB, contents checked. */
static inline bool heap_works(unsigned seed)
{
    enum { SLOTS = 256, STEPS = 3000 };
    void *blocks[SLOTS] = {NULL};
    size_t sizes[SLOTS] = {0};
    unsigned x = seed * 2654435761u + 1u;
    bool good = true;

    for (unsigned step = 0; step < STEPS && good; step++) {
        unsigned slot = (x >> 8) % SLOTS, kind = (x >> 4) % 4u;
        size_t size = 1u + (x >> 10) % (step % 1000 == 1 ? 4194304u : step % 20 == 0 ? 65536u : 900u);
        size_t kept = 0;
        void *block;

        x = x * 1664525u + 1013904223u;
        good = blocks[slot] == NULL || is_filled(blocks[slot], sizes[slot], slot);
        if (kind == 0 && blocks[slot] != NULL) {
            kept = size < sizes[slot] ? size : sizes[slot];
            block = realloc(blocks[slot], size);
        } else {
            free(blocks[slot]);
            blocks[slot] = NULL;
            block = kind == 1 ? calloc(1, size) : malloc(size);
        }
        if (block == NULL) {
            good = false;
            break;
        }
        good = good && (kind != 1 || is_zero(block, size)) && is_filled(block, kept, slot);
        blocks[slot] = block;
        sizes[slot] = size;
        fill(block, size, slot);
    }
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        good = good && (blocks[slot] == NULL || is_filled(blocks[slot], sizes[slot], slot));
        free(blocks[slot]);
    }
    return good;
}

#endif
