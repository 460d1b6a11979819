/* memory_threads_gone.c - 2,000 threads that allocated 1 MiB each and are gone leave at most 8 MiB of resident memory.
 *
 * one-block: 1 MiB in one piece; many-blocks: as 1,024 blocks of 1,000 bytes; each freed by the thread itself, or by
 * the main thread after the thread has gone. Fifty threads live at a time. Memory may go back after a short decay:
 * main waits for at most five seconds, allocating a little now and then as programs do.
 *
 * Variants: one-block many-blocks one-block-freed-by-main many-blocks-freed-by-main
 * Alone: bars for the library
 */
#include "claim.h"
#include <pthread.h>

enum { WAVES = 40, TOGETHER = 50, BLOCKS = 1024 };

static size_t block_size, block_count;
static bool freed_by_main, allocating;
static void *blocks[TOGETHER][BLOCKS];

static bool blocks_free(unsigned index)
{
    bool good = true;

    for (size_t i = 0; i < block_count; i++) {
        good = good && is_filled(blocks[index][i], 64, index);
        free(blocks[index][i]);
    }
    return good;
}

static void *body(void *argument)
{
    unsigned index = *(unsigned *)argument;

    if (!allocating)
        return argument;
    for (size_t i = 0; i < block_count; i++) {
        blocks[index][i] = malloc(block_size);
        if (blocks[index][i] == NULL)
            return NULL;
        memset(blocks[index][i], 1, block_size);
        fill(blocks[index][i], 64, index);
    }
    return freed_by_main || blocks_free(index) ? argument : NULL;
}

static bool wave(void)
{
    pthread_t threads[TOGETHER];
    unsigned indices[TOGETHER];
    bool good = true;
    void *result;

    for (unsigned i = 0; i < TOGETHER; i++) {
        pthread_attr_t attributes;

        indices[i] = i;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 128 * 1024);
        if (pthread_create(&threads[i], &attributes, body, &indices[i]) != 0)
            exit(1);
        pthread_attr_destroy(&attributes);
    }
    for (unsigned i = 0; i < TOGETHER; i++)
        good = pthread_join(threads[i], &result) == 0 && result != NULL && good;
    for (unsigned i = 0; i < TOGETHER && allocating && freed_by_main; i++)
        good = blocks_free(i) && good;
    return good;
}

int main(int argc, char **argv)
{
    const char *variant = argc > 1 ? argv[1] : "";
    bool many = strncmp(variant, "many", 4) == 0, good = true;
    long before, now;

    freed_by_main = strstr(variant, "main") != NULL;
    block_count = many ? BLOCKS : 1;
    block_size = many ? 1000 : 1u << 20;
    memset(blocks, 0xff, sizeof blocks);
    wave(); /* the stacks' memory is there now */
    before = resident_kib();
    allocating = true;
    for (int i = 0; i < WAVES; i++)
        good = wave() && good;
    now = resident_kib();
    for (int i = 0; i < 100 && now - before > 8192; i++) {
        usleep(50000);
        for (size_t size = 16; size < 1u << 20; size *= 2)
            free(opaque(malloc(opaque_size(size))));
        now = resident_kib();
    }
    claim_holds("2,000 threads found their blocks as they wrote them", good);
    claim_at_most("resident memory that they leave behind", now - before, 8192, "KiB");
    return 0;
}
