/* table.c - the edge cases of every entry point of C's allocator: one line for each call, with its answer.
 *
 *   CALL = null|block[ misaligned][ small][ not zero], errno N
 *
 * errno is 77 before each call. Where success depends on the machine's memory (alignments from 256 MiB on, sizes that
 * are possible but too large) the answer is "fair" when it is an aligned block, or NULL with ENOMEM. `run` compares the
 * lines with and without the library. Blocks are freed; nothing is printed about addresses. */
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BEFORE = 77 };
#define FAIR_ALIGNMENT ((size_t)1 << 28)
#define FAIR_SIZE ((size_t)1 << 30)

static const size_t sizes[] = {0, 1, 15, 16, 17, 24, 25, 1000, 1024, 1025, 32768, 32769, 65536, 2097152, 2097153, 1 << 24,
                               (size_t)1 << 46, (size_t)1 << 47, (size_t)1 << 62, PTRDIFF_MAX - 65536, PTRDIFF_MAX - 4096, PTRDIFF_MAX - 1,
                               PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX / 2 + 2, SIZE_MAX - 65536, SIZE_MAX - 4096, SIZE_MAX - 100,
                               SIZE_MAX - 15, SIZE_MAX - 1, SIZE_MAX};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

static const size_t odd_alignments[] = {0, 3, 5, 6, 12, 24, 48, 100, 1000, 4095, 4097, SIZE_MAX / 2, SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 2,
                                        PTRDIFF_MAX, SIZE_MAX - 1, SIZE_MAX};
enum { ODD_ALIGNMENTS = sizeof odd_alignments / sizeof odd_alignments[0] };

static size_t opaque_size(size_t n)
{
    __asm__ volatile("" : "+r"(n));
    return n;
}

static void *opaque(void *p)
{
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p;
}

static bool is_zero(const unsigned char *p, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (p[i] != 0)
            return false;
    return true;
}

/* Prints what a call answered, and frees it. */
static void say(const char *call, void *p, int error, size_t size, size_t alignment, bool zeroed)
{
    bool depends = alignment >= FAIR_ALIGNMENT || size >= FAIR_SIZE;
    bool aligned = p == NULL || alignment == 0 || (uintptr_t)p % alignment == 0;
    bool roomy = p == NULL || malloc_usable_size(p) >= size;

    printf("%s = ", call);
    if (depends && size <= PTRDIFF_MAX && aligned && roomy && (p == NULL ? error == ENOMEM : error == BEFORE))
        printf("fair\n");
    else
        printf("%s%s%s%s, errno %d\n", p == NULL ? "null" : "block", aligned ? "" : " misaligned", roomy ? "" : " small",
               p == NULL || !zeroed || is_zero(p, size) ? "" : " not zero", error);
    free(p);
}

#define SAY(size, alignment, zeroed, expression, ...)                                                                            \
    do {                                                                                                                         \
        char call_[160];                                                                                                         \
        snprintf(call_, sizeof call_, __VA_ARGS__);                                                                              \
        errno = BEFORE;                                                                                                          \
        void *p_ = opaque(expression);                                                                                           \
        say(call_, p_, errno, size, alignment, zeroed);                                                                          \
    } while (0)

static void plain_calls(void)
{
    for (int i = 0; i < SIZES; i++) {
        size_t size = opaque_size(sizes[i]);

        SAY(size, 16, false, malloc(size), "malloc(%zu)", size);
        SAY(size, 16, false, realloc(NULL, size), "realloc(NULL, %zu)", size);
        SAY(size, 4096, false, valloc(size), "valloc(%zu)", size);
        SAY(size, 4096, false, pvalloc(size), "pvalloc(%zu)", size);
        SAY(size, 16, true, calloc(1, size), "calloc(1, %zu)", size);
        SAY(size, 16, true, calloc(size, 1), "calloc(%zu, 1)", size);
        SAY(0, 16, true, calloc(0, size), "calloc(0, %zu)", size);
        SAY(0, 16, true, calloc(size, 0), "calloc(%zu, 0)", size);
        SAY(size, 16, false, reallocarray(NULL, size, 1), "reallocarray(NULL, %zu, 1)", size);
        SAY(0, 16, false, reallocarray(NULL, 0, size), "reallocarray(NULL, 0, %zu)", size);
    }
}

static void products(void)
{
    static const size_t factors[] = {2, 3, 16, 65536, (size_t)1 << 32, ((size_t)1 << 32) + 1, SIZE_MAX / 2, SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 2,
                                     SIZE_MAX};

    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++)
        for (size_t j = 0; j < sizeof factors / sizeof *factors; j++) {
            size_t a = opaque_size(factors[i]), b = opaque_size(factors[j]), product;
            bool overflows = __builtin_mul_overflow(a, b, &product);

            if (overflows)
                product = SIZE_MAX;
            SAY(product, 16, true, calloc(a, b), "calloc(%zu, %zu)", a, b);
            SAY(product, 16, false, reallocarray(NULL, a, b), "reallocarray(NULL, %zu, %zu)", a, b);
        }
}

static void alignments(size_t alignment)
{
    static const size_t some[] = {0, 1, 100, 4096, 100000, PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 4096, SIZE_MAX};

    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        size_t size = opaque_size(some[i]), asked = opaque_size(alignment);
        size_t promised = (asked & (asked - 1)) == 0 ? asked : 0;
        void *out = &out;
        char call[160];

        SAY(size, promised, false, memalign(asked, size), "memalign(%zu, %zu)", asked, size);
        SAY(size, promised, false, aligned_alloc(asked, size), "aligned_alloc(%zu, %zu)", asked, size);
        errno = BEFORE;
        int answer = posix_memalign(&out, asked, size);
        int after = errno;
        bool untouched = answer != 0 && out == &out;
        snprintf(call, sizeof call, "posix_memalign(%zu, %zu) [%s]", asked, size,
                 asked >= FAIR_ALIGNMENT && size <= PTRDIFF_MAX && (answer == 0 || answer == ENOMEM)
                     ? "fair"
                     : answer == 0 ? "block" : answer == EINVAL ? "EINVAL" : answer == ENOMEM ? "ENOMEM" : "?");
        if (answer == 0)
            say(call, out, after, size, promised, false);
        else if (asked >= FAIR_ALIGNMENT && size <= PTRDIFF_MAX && answer == ENOMEM && untouched)
            printf("%s = fair\n", call);
        else
            printf("%s = %s, errno %d\n", call, untouched ? "out untouched" : "out written", after);
    }
}

/* A block of the first size is resized to the second: kept contents, or unharmed after NULL. */
static void resizing(void)
{
    static const size_t olds[] = {1, 24, 1000, 40000, 3000000};

    for (size_t i = 0; i < sizeof olds / sizeof *olds; i++)
        for (int j = 0; j < SIZES; j++) {
            size_t old = opaque_size(olds[i]), size = opaque_size(sizes[j]), kept = old < size ? old : size;
            unsigned char *p = malloc(old);

            memset(p, 0x5C, old);
            errno = BEFORE;
            unsigned char *q = opaque(realloc(p, size));
            int error = errno;
            const unsigned char *whole = q == NULL && size != 0 ? p : q;
            bool good = true;

            for (size_t k = 0; whole != NULL && k < (q == NULL ? old : kept); k++)
                good = good && whole[k] == 0x5C;
            printf("realloc(block of %zu, %zu) = ", old, size);
            if (size >= FAIR_SIZE && size <= PTRDIFF_MAX && good && (q == NULL ? error == ENOMEM : error == BEFORE))
                printf("fair\n");
            else
                printf("%s%s, errno %d\n", q == NULL ? "null" : "block", good ? "" : " harmed", error);
            if (q != NULL)
                free(q);
            else if (size != 0)
                free(p);
        }
}

static void the_rest(void)
{
    errno = BEFORE;
    free(opaque(NULL));
    printf("free(NULL) = errno %d\n", errno);
    printf("malloc_usable_size(NULL) = %zu, errno %d\n", malloc_usable_size(opaque(NULL)), errno);
    for (size_t size = 1; size < (size_t)1 << 26; size = size * 7 + 1) {
        void *p = malloc(opaque_size(size));

        errno = BEFORE;
        free(opaque(p));
        printf("free(block of %zu) = errno %d\n", size, errno);
    }
    void *zero = malloc(opaque_size(0)), *other = malloc(opaque_size(0));
    printf("malloc(0) twice = %s\n", zero != other ? "different" : "the same");
    free(zero);
    free(other);
    printf("mallopt(M_MMAP_THRESHOLD, 1 << 20) = %d\n", mallopt(M_MMAP_THRESHOLD, 1 << 20));
    printf("mallopt(12345, 0) = %d\n", mallopt(12345, 0));
    printf("malloc_info(1, stdout) = %d\n", malloc_info(1, stdout));
}

int main(void)
{
    plain_calls();
    products();
    for (unsigned bits = 0; bits <= 40; bits++)
        alignments((size_t)1 << bits);
    for (int i = 0; i < ODD_ALIGNMENTS; i++)
        alignments(odd_alignments[i]);
    resizing();
    the_rest();
    return 0;
}
