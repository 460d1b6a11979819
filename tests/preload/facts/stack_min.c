/* stack_min.c - threads with the smallest stack that the system allows (PTHREAD_STACK_MIN, 16 KiB) allocate small, large
 * and huge blocks, resize, free other threads' blocks, and end.
 */
#include "claim.h"
#include <limits.h>
#include <malloc.h>
#include <pthread.h>

enum { THREADS = 60 };

static void *left[THREADS + 1];

static void *thread_body(void *argument)
{
    size_t number = *(size_t *)argument;
    bool good = true;

    for (size_t size = 1; size < 8u << 20; size = size * 2 + 1) {
        unsigned char *block = malloc(opaque_size(size));

        block[0] = 1;
        block[size - 1] = 2;
        block = realloc(block, size * 2);
        good = good && block[size - 1] == 2;
        free(block);
        block = calloc(size, 1);
        good = good && block[size / 2] == 0;
        free(block);
        void *aligned = NULL;
        good = good && posix_memalign(&aligned, 4096, size) == 0;
        free(aligned);
    }
    free(left[number]); /* the thread before left it */
    for (int i = 0; i < 3000; i++)
        free(malloc(opaque_size((size_t)i % 500u)));
    if (number % 7 == 0)
        (void)malloc_trim(0);
    left[number + 1] = good ? strdup("left for the next thread") : NULL;
    return left[number + 1];
}

int main(void)
{
    pthread_attr_t attributes;
    bool good = true;

    pthread_attr_init(&attributes);
    claim_holds("the smallest stack is accepted", pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN) == 0);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_t thread;
        void *result = NULL;

        good = pthread_create(&thread, &attributes, thread_body, &i) == 0 && good;
        pthread_join(thread, &result);
        good = good && result != NULL;
    }
    free(left[THREADS]);
    claim_holds("sixty threads allocate on it", good);
    claim_holds("the heap works", heap_works(1));
    return 0;
}
