/* contents.c - blocks have the promised alignment, do not overlap, and keep their contents; calloc's are zero also
 * where memory is used again; realloc keeps the common part, up and down through every kind of block.
 */
#include "claim.h"
#include <malloc.h>

enum { BLOCKS = 3000 };

static size_t size_of(unsigned i)
{
    return i % 100 == 0 ? 200000u + i * 11u : i % 10 == 0 ? 5000u + i * 7u : 1u + i % 1100u;
}

static void blocks_keep_their_contents(void)
{
    static void *blocks[BLOCKS];
    bool aligned = true, kept = true;

    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < BLOCKS; i++) {
            if (i % 4 != round && round != 0)
                continue;
            free(blocks[i]);
            blocks[i] = malloc(size_of(i));
            aligned = aligned && (uintptr_t)blocks[i] % (size_of(i) >= 16 ? 16 : 8) == 0;
            fill(blocks[i], size_of(i), i);
        }
        for (unsigned i = 0; i < BLOCKS; i++)
            kept = kept && is_filled(blocks[i], size_of(i), i);
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    claim_holds("blocks are aligned to 16 bytes (8 below 16 bytes)", aligned);
    claim_holds("3,000 blocks keep their contents while others come and go", kept);
}

static void calloc_is_zero(void)
{
    bool zero = true;

    for (unsigned round = 0; round < 3; round++)
        for (size_t size = 1; size < 40u << 20; size += size / 5 + 1) {
            void *used = malloc(size), *again;

            fill(used, size, 250);
            free(used);
            again = calloc(1, size);
            zero = zero && again != NULL && is_zero(again, size);
            fill(again, size, 251);
            free(again);
        }
    claim_holds("calloc's blocks are zero where dirty memory is used again, up to 40 MiB", zero);
}

static void realloc_keeps(void)
{
    bool kept = true;
    size_t size = 1, largest = 1;
    void *block = malloc(1);

    fill(block, 1, 9);
    for (bool growing = true; growing || size > 40;) {
        size_t step = size / (size > 1u << 20 ? 3 : 11) + 3, next = growing ? size + step : size - step;
        void *fence = malloc(100);

        block = realloc(block, next);
        kept = kept && block != NULL && is_filled(block, next < size ? next : size, 9);
        fill(block, next, 9);
        free(fence);
        size = next;
        largest = size > largest ? size : largest;
        growing = growing && size < 70u << 20;
    }
    free(block);
    claim_holds("realloc has grown a block beyond 64 MiB, and shrunk it to 40 bytes",
                largest > 64u << 20 && size <= 40);
    claim_holds("realloc keeps the common part, growing and shrinking", kept);

    block = memalign(4096, 100);
    fill(block, 100, 8);
    block = realloc(block, 1000000);
    claim_holds("realloc takes aligned blocks", block != NULL && is_filled(block, 100, 8));
    free(block);
}

static void alignment_holds(void)
{
    enum { KEPT = 23 * 24 };
    static void *blocks[KEPT];
    static size_t sizes[KEPT];
    bool aligned = true, kept = true, usable = true;
    unsigned count = 0;

    for (unsigned shift = 0; shift <= 22; shift++)
        for (unsigned k = 0; k < 24; k++) {
            size_t alignment = (size_t)1 << shift, size = 1 + (size_t)k * k * k * 37u;
            void *block = k % 2 ? memalign(alignment, size) : NULL;

            if (block == NULL && posix_memalign(&block, alignment < 8 ? 8 : alignment, size) != 0)
                block = NULL;
            aligned = aligned && block != NULL && (uintptr_t)block % alignment == 0;
            usable = usable && malloc_usable_size(block) >= size;
            fill(block, size, count);
            sizes[count] = size;
            blocks[count++] = block;
        }
    for (unsigned i = 0; i < count; i++)
        kept = kept && is_filled(blocks[i], sizes[i], i);
    for (unsigned i = 0; i < count; i++)
        free(blocks[(i * 5) % count]); /* count and 5 have no common factor: each once, in another order */
    claim_holds("memalign and posix_memalign align from 1 byte to 4 MiB", aligned);
    claim_holds("aligned blocks keep their contents", kept);
    claim_holds("malloc_usable_size of aligned blocks is enough", usable);
    void *page = valloc(100), *pages = pvalloc(100);
    size_t page_size = (size_t)sysconf(_SC_PAGESIZE);

    claim_holds("valloc and pvalloc align to pages", (uintptr_t)page % page_size == 0 && (uintptr_t)pages % page_size == 0);
    claim_holds("pvalloc rounds the size up to a page", malloc_usable_size(pages) >= page_size);
    memset(pages, 1, page_size);
    free(page);
    free(pages);
}

int main(void)
{
    blocks_keep_their_contents();
    calloc_is_zero();
    realloc_keeps();
    alignment_holds();
    claim_holds("the heap works after all that", heap_works(2));
    return 0;
}
