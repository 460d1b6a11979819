/* dangling.c - blocks that are used after they were freed. */
#include "corpus.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

enum { NEW = 64 };

static void *fresh[NEW];

static unsigned allocate_new(size_t size)
{
    unsigned count = size > 1000000 ? 4 : NEW;
    for (unsigned i = 0; i < count; i++)
        memset(fresh[i] = alloc(size), 5, size);
    return count;
}

/* Whoever has the memory now is hit. */
static void written_after_reuse(size_t size, size_t amount)
{
    unsigned char *p = alloc(size);
    release(p);
    unsigned count = allocate_new(size);
    ((unsigned char *)hide(p))[amount] = 9;
    after();
    for (unsigned i = 0; i < count; i++)
        if (!all_are(fresh[i], size, 5)) {
            harm("a victim's data changed");
            break;
        }
    for (unsigned i = 0; i < count; i++)
        release(fresh[i]);
}

static void written(size_t size, size_t amount)
{
    unsigned char *p = alloc(size);
    release(p);
    ((unsigned char *)hide(p))[amount] = 9;
    after();
}

static void *write_it(void *p)
{
    *(unsigned char *)p = 9;
    return NULL;
}

static void written_by_thread(size_t size, size_t amount)
{
    unsigned char *p = alloc(size);
    (void)amount;
    release(p);
    in_thread(write_it, p);
    after();
}

static void written_after_move(size_t size, size_t amount)
{
    unsigned char *p = alloc(size), *q = hide(realloc(p, amount));
    (void)q;
    ((unsigned char *)hide(p))[1] = 9;
    after();
}

/* What the block held is read back through the old pointer. */
static void read_back(size_t size, size_t amount)
{
    unsigned char *p = alloc(size);
    memset(p, 0x42, size);
    release(p);
    bool same = ((volatile unsigned char *)hide(p))[amount] == 0x42;
    after();
    if (same)
        harm("old data read back");
}

/* What one user left is what the next one gets. */
static void left_behind(size_t size, size_t amount)
{
    (void)amount;
    for (int i = 0; i < 8; i++) {
        unsigned char *p = alloc(size);
        memset(p, 0x42, size);
        release(p);
    }
    unsigned char *q = alloc(size);
    after();
    if (((volatile unsigned char *)q)[size / 2] == 0x42)
        harm("old data read back");
    release(q);
}

static void resized(size_t size, size_t amount)
{
    void *p = alloc(size);
    release(p);
    (void)!hide(realloc(hide(p), amount));
    after();
    check_distinct(size, NULL, 0);
}

static void measured(size_t size, size_t amount)
{
    void *p = alloc(size);
    (void)amount;
    release(p);
    (void)malloc_usable_size(hide(p));
    after();
}

static void *free_it(void *p)
{
    release(p);
    return NULL;
}

static void resized_other_thread(size_t size, size_t amount)
{
    void *p = alloc(size);
    in_thread(free_it, p);
    (void)!hide(realloc(hide(p), amount));
    after();
    check_distinct(size, NULL, 0);
}

#define FREED "heap-use-after-free"
const struct bug dangling[] = {
    {"write_after_free_first", FREED, written, 100, 0},
    {"write_after_free_middle", FREED, written, 100, 50},
    {"write_after_free_last", FREED, written, 100, 99},
    {"write_after_free_8", FREED, written, 8, 7},
    {"write_after_free_32768", FREED, written, 32768, 20000},
    {"write_after_free_large", FREED, written, 100000, 70000},
    {"write_after_free_huge", FREED, written, 3000000, 2000000},
    {"write_after_free_other_thread", FREED, written_by_thread, 100, 0},
    {"write_after_realloc", FREED, written_after_move, 100, 100000},
    {"write_after_reuse", FREED, written_after_reuse, 100, 8},
    {"write_after_reuse_large", FREED, written_after_reuse, 100000, 8},
    {"read_after_free", "-", read_back, 100, 50},
    {"read_after_free_large", FREED, read_back, 100000, 50000},
    {"read_after_free_huge", FREED, read_back, 3000000, 50000},
    {"old_data_in_new_block", "-", left_behind, 100, 0},
    {"realloc_freed", FREED, resized, 100, 1000},
    {"realloc_freed_smaller", FREED, resized, 100, 90},
    {"realloc_freed_large", FREED, resized, 100000, 200000},
    {"realloc_freed_huge", FREED, resized, 3000000, 6000000},
    {"realloc_freed_by_other_thread", FREED, resized_other_thread, 100, 1000},
    {"usable_size_freed", FREED, measured, 100, 0},
    ARRAY_END,
};
