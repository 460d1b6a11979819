/* map_count.c - the process has as many mappings as the kernel lets it have (vm.max_map_count): what needs another one
 * answers NULL with ENOMEM, everything else goes on, and all is well again when some are gone.
 *
 * Seconds: 300
 */
#include "claim.h"
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>

enum { LIMIT_MOST = 1 << 21, BLOCKS = 400 };

static unsigned char *page(size_t number, unsigned char *last)
{
    /* neighbours differ in their protection, so that none are joined */
    void *wanted = last == NULL ? NULL : last - 4096;
    void *got = mmap(wanted, 4096, number % 2 == 0 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return got == MAP_FAILED ? NULL : got;
}

static bool try_sizes(const char *what)
{
    static const size_t sizes[] = {1, 100, 1000, 10000, 40000, 300000, 3000000, 70000000};
    bool good = true;
    unsigned got = 0;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        errno = 0;
        void *block = malloc(opaque_size(sizes[i]));

        if (block == NULL)
            good = good && errno == ENOMEM;
        else
            fill(block, sizes[i] < 100000 ? sizes[i] : 100000, 3);
        got += block != NULL;
        void *larger = realloc(block, sizes[i] * 2);
        if (larger != NULL)
            good = good && (block == NULL || is_filled(larger, sizes[i] < 100000 ? sizes[i] : 100000, 3));
        free(larger != NULL ? larger : block);
        free(calloc(sizes[i], 2));
        void *aligned = NULL;
        int answer = posix_memalign(&aligned, 1 << 20, sizes[i]);
        good = good && (answer == 0 ? aligned != NULL : answer == ENOMEM);
        free(aligned);
    }
    claim_holds(what, good);
    return got > 0;
}

static void *thread_body(void *argument)
{
    *(bool *)argument = heap_works(2);
    return NULL;
}

int main(void)
{
    static unsigned char *pages[LIMIT_MOST];
    static void *blocks[BLOCKS];
    size_t count = 0;
    bool good = true, worked = false;
    pthread_t thread;

    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(i * 300 + 1);
        fill(blocks[i], i * 300 + 1, 9);
    }
    unsigned char *last = NULL;
    while (count < LIMIT_MOST && (last = page(count, last)) != NULL)
        pages[count++] = last;
    claim_holds("the kernel gives no more mappings", count > 1000 && count < LIMIT_MOST && errno == ENOMEM);
    claim_ours("some sizes are still to be had", try_sizes("NULL comes with ENOMEM"));
    for (size_t i = 0; i < BLOCKS; i++) {
        good = good && is_filled(blocks[i], i * 300 + 1, 9);
        free(blocks[i]);
    }
    claim_holds("blocks from before are whole, and can be freed", good);
    (void)malloc_trim(0);
    claim_holds("malloc_trim returns", true);
    for (size_t i = 0; i < count; i++)
        good = munmap(pages[i], 4096) == 0 && good;
    claim_holds("the mappings go", good);
    claim_holds("the heap works", heap_works(1));
    good = pthread_create(&thread, NULL, thread_body, &worked) == 0 && pthread_join(thread, NULL) == 0;
    claim_holds("a thread's too", good && worked);
    return 0;
}
