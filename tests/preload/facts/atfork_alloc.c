/* atfork_alloc.c - pthread_atfork handlers that allocate and free, registered by the program (so: after the library's
 * own, if it has any: prepare handlers run in reverse order, before the library's locks are taken; parent and child
 * handlers run after they were given back), while two threads keep those locks busy.
 */
#include "claim.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

static atomic_bool stop;
static int prepares, parents, children;
static void *from_prepare[2];
static bool good = true;

static void touch_heap(unsigned tag)
{
    static const size_t sizes[] = {16, 400, 9000, 70000, 3000000};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *block = malloc(opaque_size(sizes[i]));

        fill(block, sizes[i], tag);
        good = good && is_filled(block, sizes[i], tag);
        free(block);
    }
}

static void prepare(void)
{
    void *block = malloc(2000);

    touch_heap(1);
    fill(block, 2000, 2);
    from_prepare[prepares++ % 2] = block;
}

static void release_prepared(void *block)
{
    good = good && is_filled(block, 2000, 2);
    free(block);
    touch_heap(3);
}

static void in_parent(void)
{
    release_prepared(from_prepare[parents++ % 2]);
}

static void in_child(void)
{
    release_prepared(from_prepare[children++ % 2]);
}

static void *work(void *argument)
{
    (void)argument;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        void *large = malloc(opaque_size(100000)), *small = malloc(opaque_size(300));

        free(opaque(large));
        free(opaque(small));
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[2];
    bool children_good = true;

    pthread_atfork(prepare, in_parent, in_child);
    pthread_atfork(prepare, in_parent, in_child);
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, work, NULL);
    for (int turn = 0; turn < 40; turn++) {
        int status = -1;
        pid_t pid = fork();

        if (pid == 0)
            _exit(good && children == 2 && (parents % 16 != 0 || heap_works(1)) ? 0 : 1);
        children_good = pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 && children_good;
    }
    atomic_store_explicit(&stop, true, memory_order_relaxed);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    claim_is("calls of prepare and parent handlers", "%d and %d", prepares, parents);
    claim_holds("40 children with two allocating handlers each work", children_good);
    claim_holds("the handlers' blocks are unharmed in the parent", good);
    claim_holds("the heap works after all that", heap_works(8));
    return 0;
}
