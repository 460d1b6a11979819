/* cancel.c - a thread that was asked to end goes through malloc, free and what belongs to them unharmed: none of them is a
 * cancellation point, also where the library reads a file or writes a complaint.
 */
#include "claim.h"
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>

struct visit {
    pthread_barrier_t asked;
    void (*what)(void);
    bool came_back;
};

static void *body(void *argument)
{
    struct visit *visit = argument;

    pthread_barrier_wait(&visit->asked); /* is no cancellation point */
    visit->what();
    visit->came_back = true;
    pthread_testcancel();
    return argument;
}

static bool comes_back(void (*what)(void))
{
    struct visit visit = {.what = what};
    pthread_t thread;
    void *answer = NULL;

    pthread_barrier_init(&visit.asked, NULL, 2);
    if (pthread_create(&thread, NULL, body, &visit) != 0)
        return false;
    pthread_cancel(thread);
    pthread_barrier_wait(&visit.asked);
    pthread_join(thread, &answer);
    return visit.came_back && answer == PTHREAD_CANCELED;
}

static void blocks_of_all_sizes(void)
{
    enum { KEPT = 2000 };
    static void *kept[KEPT];

    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < KEPT; i++)
            kept[i] = opaque(malloc(opaque_size(i % 100 == 0 ? 3 << 20 : i % 10 == 0 ? 100000 : 16 * i)));
        for (size_t i = 0; i < KEPT; i++)
            kept[i] = opaque(realloc(kept[i], opaque_size(i % 2 == 0 ? 5000 : 50)));
        for (size_t i = 0; i < KEPT; i++)
            free(kept[i]);
    }
}

static void figures(void)
{
    malloc_stats();
    (void)mallinfo2();
    (void)malloc_trim(0);
}

static void impossible(void)
{
    free(opaque(malloc(opaque_size(PTRDIFF_MAX))));
    free(opaque(malloc(opaque_size((size_t)1 << 46))));
}

int main(void)
{
    int nowhere = open("/dev/null", O_WRONLY);

    dup2(nowhere, STDERR_FILENO);
    claim_holds("blocks of all sizes", comes_back(blocks_of_all_sizes));
    claim_holds("figures", comes_back(figures));
    claim_holds("impossible requests", comes_back(impossible));
    claim_holds("the heap works afterwards", heap_works(1));
    return 0;
}
