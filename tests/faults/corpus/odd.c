/* odd.c - correct programs that look odd: nothing may be said of them, and nothing may be broken. */
#define _GNU_SOURCE
#include "corpus.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void zero_sizes(size_t size, size_t amount)
{
    (void)amount;
    void *p[8] = {alloc(size), alloc(size), hide(calloc(0, 5)), hide(realloc(NULL, 0)), hide(memalign(64, 0))};
    for (int i = 0; i < 5; i++)
        release(p[i]);
    release(NULL);
}

static void usable_bytes(size_t size, size_t amount)
{
    for (size_t n = size; n < amount; n += n / 3 + 1) {
        unsigned char *p = alloc(n);
        memset(p, 1, malloc_usable_size(p));
        release(p);
    }
}

static void grows_and_shrinks(size_t size, size_t amount)
{
    unsigned char *p = NULL;
    for (size_t n = size; n < amount; n = n * 2 + 1) {
        p = hide(realloc(p, n));
        memset(p, 4, n);
    }
    for (size_t n = amount; n > size; n /= 3) {
        p = hide(realloc(p, n));
        memset(p, 4, n);
    }
    release(p);
}

static void *free_all(void *argument)
{
    void **p = argument;
    for (int i = 0; i < 200; i++)
        release(p[i]);
    return NULL;
}

static void others_free(size_t size, size_t amount)
{
    static void *p[200];
    for (size_t round = 0; round < amount; round++) {
        for (size_t i = 0; i < 200; i++)
            memset(p[i] = alloc(size * i), 2, size * i);
        in_thread(free_all, p);
    }
}

static void *make_all(void *argument)
{
    void **p = argument;
    for (size_t i = 0; i < 200; i++)
        memset(p[i] = alloc(i * 7), 2, i * 7);
    return NULL;
}

static void outlives_its_thread(size_t size, size_t amount)
{
    static void *p[200];
    (void)size;
    for (size_t round = 0; round < amount; round++) {
        in_thread(make_all, p);
        (void)free_all(p);
    }
}

static void in_the_child(size_t size, size_t amount)
{
    void *p = alloc(size), *q = alloc(amount);
    pid_t child = fork();
    if (child == 0) {
        release(p);
        memset(q, 1, amount);
        release(q);
        _exit(0);
    }
    (void)waitpid(child, NULL, 0);
    release(p);
    release(q);
}

static void *kept_for_exit;

static void at_exit(void)
{
    release(kept_for_exit);
}

static void freed_at_exit(size_t size, size_t amount)
{
    (void)amount;
    kept_for_exit = alloc(size);
    (void)atexit(at_exit);
}

static void never_freed(size_t size, size_t amount)
{
    for (size_t i = 0; i < amount; i++)
        memset(alloc(size), 1, size);
}

static void alignments(size_t size, size_t amount)
{
    for (size_t alignment = 1; alignment <= amount; alignment *= 2) {
        void *p = hide(memalign(alignment, size));
        if ((uintptr_t)p % alignment != 0)
            harm("not aligned");
        memset(p, 1, size);
        release(alignment % 2 == 0 ? hide(realloc(p, size * 2)) : p);
    }
}

static void new_and_delete(size_t size, size_t amount)
{
    for (size_t i = 0; i < amount; i++) {
        void *p = hide(_Znwm(size)), *q = hide(_Znam(size)), *r = hide(_ZnwmSt11align_val_t(size, 128));
        memset(p, 1, size);
        memset(q, 1, size);
        _ZdlPvm(p, size);
        _ZdaPv(q);
        _ZdlPvSt11align_val_t(r, 128);
    }
    _ZdlPv(NULL);
    _ZdaPv(NULL);
}

static void in_handler(int number)
{
    (void)number;
    release(alloc(100));
}

static void from_a_handler(size_t size, size_t amount)
{
    (void)signal(SIGUSR1, in_handler);
    for (size_t i = 0; i < amount; i++) {
        void *p = alloc(size);
        (void)raise(SIGUSR1);
        release(p);
    }
}

/* glibc's own libraries do this: an address is compared after it was freed, never followed. */
static void compared_after_free(size_t size, size_t amount)
{
    void *p = alloc(size);
    uintptr_t old = (uintptr_t)p;
    (void)amount;
    release(p);
    void *q = alloc(size);
    if ((uintptr_t)q == old)
        memset(q, 1, size);
    release(q);
}

static void page_sizes(size_t size, size_t amount)
{
    for (size_t i = 0; i < amount; i++) {
        unsigned char *p = alloc(size * (i + 1));
        p[0] = p[size * (i + 1) - 1] = 1;
        release(p);
    }
}

static void strings(size_t size, size_t amount)
{
    char *text = NULL, *line = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    for (size_t i = 0; i < amount; i++)
        fprintf(stream, "%zu lines of %zu\n", i, size);
    (void)fclose(stream);
    stream = fmemopen(text, length, "r");
    length = 0;
    while (getline(&line, &length, stream) > 0) {
        char *copy = strdup(line);
        release(copy);
    }
    (void)fclose(stream);
    free(line);
    free(text);
}

static void trims(size_t size, size_t amount)
{
    void *p[64];
    for (size_t round = 0; round < amount; round++) {
        for (size_t i = 0; i < 64; i++)
            memset(p[i] = alloc(size * (i + 1)), 1, size * (i + 1));
        for (size_t i = 0; i < 64; i += 2)
            release(p[i]);
        (void)malloc_trim(0);
        for (size_t i = 1; i < 64; i += 2) {
            if (!all_are(p[i], size * (i + 1), 1))
                harm("the block changed");
            release(p[i]);
        }
    }
}

const struct bug odd[] = {
    {"odd_zero_sizes", "", zero_sizes, 0, 0},
    {"odd_usable_bytes", "", usable_bytes, 0, 5000000},
    {"odd_grows_and_shrinks", "", grows_and_shrinks, 1, 8000000},
    {"odd_others_free", "", others_free, 11, 20},
    {"odd_others_free_large", "", others_free, 700, 5},
    {"odd_outlives_its_thread", "", outlives_its_thread, 0, 20},
    {"odd_child_frees", "", in_the_child, 100, 100000},
    {"odd_freed_at_exit", "", freed_at_exit, 100, 0},
    {"odd_never_freed", "", never_freed, 33, 1000},
    {"odd_alignments", "", alignments, 100, 1 << 21},
    {"odd_alignments_large", "", alignments, 70000, 1 << 18},
    {"odd_new_and_delete", "", new_and_delete, 24, 500},
    {"odd_from_a_handler", "", from_a_handler, 100, 500},
    {"odd_compared_after_free", "", compared_after_free, 100, 0},
    {"odd_page_sizes", "", page_sizes, 4096, 200},
    {"odd_strings", "", strings, 1, 1000},
    {"odd_trims", "", trims, 500, 5},
    ARRAY_END,
};
