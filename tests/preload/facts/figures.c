/* figures.c - mallinfo2, mallinfo and malloc_info tell the truth about this allocator, malloc_trim gives memory back,
 * mallopt takes glibc's settings; malloc_stats writes to the error output and does no harm.
 */
#include "claim.h"
#include <malloc.h>

enum { BLOCKS = 4096, SMALL = 1000 };

static const size_t mib = 1u << 20;

static size_t used(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.uordblks + info.hblkhd;
}

static size_t held(void)
{
    struct mallinfo2 info = mallinfo2();

    return info.arena + info.hblkhd;
}

/* Deprecated by glibc, and still what many programs call. */
static size_t used_by_mallinfo(void)
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    struct mallinfo info = mallinfo();
#pragma GCC diagnostic pop

    return (size_t)(unsigned)info.uordblks + (size_t)(unsigned)info.hblkhd;
}

static bool between(size_t value, size_t low, size_t high)
{
    return low <= value && value <= high;
}

static void figures(void)
{
    static void *blocks[BLOCKS];
    size_t at_start = used(), with_small, with_large, with_huge;
    void *large, *huge;

    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = malloc(opaque_size(SMALL));
    with_small = used();
    large = malloc(opaque_size(mib));
    with_large = used();
    huge = malloc(opaque_size(64 * mib));
    with_huge = used();
    claim_holds("4,096 blocks of 1,000 bytes show in mallinfo2's used bytes",
                between(with_small - at_start, BLOCKS * SMALL, BLOCKS * SMALL * 5 / 4));
    claim_holds("so does a block of 1 MiB", between(with_large - with_small, mib, mib * 5 / 4));
    claim_holds("so does a block of 64 MiB", between(with_huge - with_large, 64 * mib, 80 * mib));
    claim_holds("what is held from the system is at least what is used", held() >= with_huge);
    claim_holds("mallinfo agrees, as far as its ints go", used_by_mallinfo() == used());
    free(huge);
    free(large);
    for (int i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    claim_holds("all is gone again when freed", used() <= at_start + 64 * 1024);
}

static void info(void)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    int status = malloc_info(0, stream);

    fclose(stream);
    claim_is("malloc_info(0)", "%d", status);
    claim_holds("malloc_info writes an XML element <malloc ...>",
                length > 20 && strncmp(text, "<malloc version=", 16) == 0 && strstr(text, "</malloc>") != NULL);
    free(text);
    errno = 0;
    claim_is("malloc_info(1)", "%d", malloc_info(1, stdout));
}

static void trim(void)
{
    static void *blocks[30000];
    long before, full, after;

    memset(blocks, 1, sizeof blocks); /* its own pages are resident from now on */
    malloc_trim(0);
    before = resident_kib();
    for (size_t i = 0; i < 30000; i++) {
        blocks[i] = malloc(opaque_size(2000));
        memset(blocks[i], 1, 2000);
    }
    full = resident_kib();
    for (size_t i = 0; i < 30000; i++)
        free(blocks[i]);
    malloc_trim(0);
    after = resident_kib();
    claim_holds("60 MB of small blocks are resident", full - before > 58000);
    claim_at_most("malloc_trim after they are freed leaves", after - before, 2048, "KiB");
    /* One in 40 stays: whole pages between them can go back all the same. */
    for (size_t i = 0; i < 30000; i++) {
        blocks[i] = malloc(opaque_size(2000));
        memset(blocks[i], 1, 2000);
    }
    for (size_t i = 0; i < 30000; i++)
        if (i % 40 != 0)
            free(blocks[i]);
    malloc_trim(0);
    claim_at_most("malloc_trim where one block in 40 stays leaves", resident_kib() - before, 12000, "KiB");
    for (size_t i = 0; i < 30000; i += 40)
        free(blocks[i]);
    claim_is("malloc_trim's answer when there is nothing to give back", "%s", malloc_trim(0) <= 1 ? "0 or 1" : "odd");
}

static void options(void)
{
    claim_is("mallopt(M_MMAP_THRESHOLD, 1 << 20)", "%d", mallopt(M_MMAP_THRESHOLD, 1 << 20));
    claim_is("mallopt(M_TRIM_THRESHOLD, 1 << 20)", "%d", mallopt(M_TRIM_THRESHOLD, 1 << 20));
    claim_is("mallopt(M_ARENA_MAX, 2)", "%d", mallopt(M_ARENA_MAX, 2));
    claim_is("mallopt(M_PERTURB, 0)", "%d", mallopt(M_PERTURB, 0));
}

static void stats(void)
{
    char text[200] = "";
    int pipe_ends[2], kept = dup(2);

    if (kept < 0 || pipe(pipe_ends) != 0)
        exit(1);
    dup2(pipe_ends[1], 2);
    malloc_stats();
    dup2(kept, 2);
    close(pipe_ends[1]);
    claim_holds("malloc_stats writes to the error output", read(pipe_ends[0], text, sizeof text) > 10);
    close(pipe_ends[0]);
}

int main(void)
{
    figures();
    info();
    trim();
    options();
    stats();
    claim_holds("the heap works after all that", heap_works(10));
    return 0;
}
