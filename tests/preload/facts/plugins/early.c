/* early.c - a second preloaded library: allocates in its constructor, keeps the block, frees it in its destructor. */
#include "claim.h"

void *early_block(void);

static void *block;

__attribute__((constructor)) static void start(void)
{
    char *name = strdup("early");

    block = calloc(300, 10);
    block = is_zero(block, 3000) ? realloc(block, 6000) : NULL;
    fill(block, 6000, 42);
    free(name);
}

__attribute__((destructor)) static void finish(void)
{
    void *late = malloc(100000);

    fill(late, 100000, 1);
    claim_holds("the preloaded library's destructor frees its constructor's block, and allocates",
                is_filled(block, 6000, 42) && is_filled(late, 100000, 1));
    free(block);
    free(late);
}

void *early_block(void)
{
    return block;
}
