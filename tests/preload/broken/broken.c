/* broken.c - allocators that are wrong in one thing each, made from glibc's: what the preload tests must notice.
 *
 * Compiled with -DBREAK=NAME for one of the names below; broken/run has the table of which test catches which.
 */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum mistake {
    NOTHING,
    DIRTY_CALLOC,    /* calloc's large blocks are not zero */
    LOSING_REALLOC,  /* realloc of a large block changes a byte of it */
    OVERLAP,         /* every thousandth block of 600 to 1,100 bytes is handed out twice */
    ERRNO_FREE,      /* free changes errno */
    NO_ENOMEM,       /* NULL without ENOMEM */
    NO_OVERFLOW,     /* calloc's product wraps around */
    SMALL_USABLE,    /* malloc_usable_size tells less than was asked for */
    NULL_NEW,        /* operator new gives null where it should throw */
    LEAKING,         /* large blocks and those of about 1,000 bytes are never freed */
    TALKATIVE,       /* prints a line at the first larger malloc */
    FORK_LOCK,       /* a lock that fork copies while it is held */
    FAT_THREAD,      /* a thread's first malloc touches 256 KiB */
    FAT_START,       /* touches 1 MiB when it starts */
    GONE_AT_EXIT,    /* aborts once its destructor has run */
    NULL_UNDER_LIMIT /* after the first failure everything fails for ever */
};

void *__libc_malloc(size_t size);
void __libc_free(void *block);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
size_t malloc_usable_size(void *block);
void *_Znwm(size_t size);
void *_Znam(size_t size);

static const size_t large = 100000;
static int gone, failed, has_talked;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static __thread int thread_has_started;

static void touch(size_t size)
{
    char *block = __libc_malloc(size);

    if (block != NULL)
        memset(block, 1, size); /* and kept */
    __asm__ volatile("" : : "r"(block) : "memory");
}

__attribute__((constructor)) static void start(void)
{
    if (BREAK == FAT_START)
        touch(1u << 20);
}

__attribute__((destructor)) static void finish(void)
{
    gone = BREAK == GONE_AT_EXIT;
}

static void *same_block_again(size_t size)
{
    static void *last;
    static unsigned count;

    if (size < 600 || size > 1100)
        return NULL;
    if (++count % 1000 != 0) {
        if (count % 1000 == 999)
            last = __libc_malloc(size + 2000);
        return count % 1000 == 999 ? last : NULL;
    }
    return last;
}

static void *checked(void *block)
{
    if (BREAK == NO_ENOMEM && block == NULL)
        errno = 0;
    if (BREAK == NULL_UNDER_LIMIT && block == NULL)
        failed = 1;
    return block;
}

void *malloc(size_t size)
{
    void *block = NULL;

    if (gone)
        abort();
    if (failed) {
        errno = ENOMEM;
        return NULL;
    }
    if (BREAK == TALKATIVE && size > 60000 && !has_talked++ && write(2, "a message\n", 10) != 10)
        _exit(1);
    if (BREAK == OVERLAP)
        block = same_block_again(size);
    if (BREAK == FAT_THREAD && !thread_has_started) {
        thread_has_started = 1;
        touch(256 * 1024);
    }
    if (BREAK == FORK_LOCK)
        pthread_mutex_lock(&lock);
    if (block == NULL)
        block = __libc_malloc(size);
    if (BREAK == FORK_LOCK)
        pthread_mutex_unlock(&lock);
    return checked(block);
}

void free(void *block)
{
    size_t usable = BREAK == LEAKING && block != NULL ? malloc_usable_size(block) : 0;

    if (usable > large || (usable >= 1000 && usable < 1050))
        return;
    __libc_free(block);
    if (BREAK == ERRNO_FREE)
        errno = EAGAIN;
}

void *calloc(size_t count, size_t size)
{
    void *block = BREAK == NO_OVERFLOW ? __libc_calloc(1, count * size) : __libc_calloc(count, size);

    if (BREAK == DIRTY_CALLOC && block != NULL && count * size > large)
        ((char *)block)[count * size / 2] = 1;
    return checked(block);
}

void *realloc(void *block, size_t size)
{
    char *moved = __libc_realloc(block, size);

    if (BREAK == LOSING_REALLOC && block != NULL && moved != NULL && size > large)
        moved[large / 2] = (char)(moved[large / 2] ^ 0x40);
    return checked(moved);
}

#if BREAK_USABLE
size_t malloc_usable_size(void *block)
{
    return block == NULL ? 0 : 8;
}
#endif

#if BREAK_NEW
void *_Znwm(size_t size)
{
    return __libc_malloc(size);
}
#endif
