/* memory_resting.c - a program that freed 64 MiB, and from then on only takes and gives one small block now and then, keeps at most 4 MiB.
 *
 * The small block is one that was there before, so that a magazine has it at hand. Memory may go back after a short decay: main waits for
 * at most thirty seconds, a call each 50 ms.
 *
 * Variants: small medium large huge threads hardened
 * Alone: bars for the library
 */
#include "claim.h"
#include <pthread.h>

enum { TOTAL = 64 << 20, THREADS = 4 };

static size_t size, share; /* bytes: of a block, of all blocks of a thread */

static void *hold_and_free(void *unused)
{
    size_t count = share / size;
    void **blocks = opaque(calloc(count, sizeof *blocks));

    if (blocks == NULL)
        exit(1);
    for (size_t i = 0; i < count; i++)
        if ((blocks[i] = opaque(malloc(size))) != NULL)
            memset(blocks[i], 1, size);
    for (size_t i = 0; i < count; i++)
        free(blocks[i]);
    free(blocks);
    return unused;
}

static void in_threads(void)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, hold_and_free, NULL) != 0)
            exit(1);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static size_t size_of(const char *variant)
{
    static const struct {
        const char *name;
        size_t size;
    } sizes[] = {{"small", 100}, {"medium", 9000}, {"large", 300000}, {"huge", 8 << 20}, {"threads", 500}, {"hardened", 100}};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (strcmp(sizes[i].name, variant) == 0)
            return sizes[i].size;
    exit(2);
}

/* Once more, with the option. */
static void harden(char **argv)
{
    if (getenv("NEBMALLOC") != NULL)
        return;
    setenv("NEBMALLOC", "harden=1", 1);
    execv("/proc/self/exe", argv);
    exit(1);
}

int main(int argc, char **argv)
{
    const char *variant = argc > 1 ? argv[1] : "";
    bool with_threads = strcmp(variant, "threads") == 0;
    long before, now;

    if (strcmp(variant, "hardened") == 0)
        harden(argv);
    size = size_of(variant);
    share = with_threads ? TOTAL / THREADS : TOTAL;
    free(opaque(malloc(opaque_size(64))));
    before = resident_kib();
    if (with_threads)
        in_threads();
    else
        hold_and_free(NULL);
    now = resident_kib();
    for (int i = 0; i < 600 && now - before > 4096; i++) {
        free(opaque(malloc(opaque_size(64))));
        usleep(50000);
        now = resident_kib();
    }
    claim_at_most("resident memory that is kept", now - before, 4096, "KiB");
    return 0;
}
