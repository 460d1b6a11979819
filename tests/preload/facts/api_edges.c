/* api_edges.c - zero, odd and impossible arguments of the C entry points answer as glibc's malloc answers.
 *
 * Each answer is "block" or "NULL" with errno (set to 0 before the call, and printed for NULL only: a call that
 * succeeds may change errno).
 */
#include "claim.h"
#include <malloc.h>

static const char *errno_name(int code)
{
    return code == 0 ? "0" : code == ENOMEM ? "ENOMEM" : code == EINVAL ? "EINVAL" : "another";
}

/* Prints what a call answered, and frees it. */
static void answer(const char *claim, void *block)
{
    int code = errno;

    if (block != NULL)
        claim_is(claim, "block");
    else
        claim_is(claim, "NULL, errno %s", errno_name(code));
    free(block);
    errno = 0;
}

static void sizes_of_zero(void)
{
    void *a = malloc(opaque_size(0)), *b = malloc(opaque_size(0)), *c = calloc(opaque_size(0), 8);

    claim_holds("malloc(0) twice gives two different blocks", a != NULL && b != NULL && a != b);
    claim_holds("calloc(0, 8) gives another one", c != NULL && c != a && c != b);
    free(a);
    free(b);
    free(c);
    errno = 0;
    answer("calloc(8, 0)", calloc(8, opaque_size(0)));
    answer("realloc(NULL, 0)", realloc(NULL, opaque_size(0)));
    answer("realloc(NULL, 100)", realloc(NULL, opaque_size(100)));
    answer("realloc(p, 0)", realloc(malloc(100), opaque_size(0)));
    answer("realloc(large, 0)", realloc(malloc(opaque_size(300000)), opaque_size(0)));
    answer("realloc(huge, 0)", realloc(malloc(opaque_size(64u << 20)), opaque_size(0)));
    answer("reallocarray(p, 0, 8)", reallocarray(malloc(100), opaque_size(0), 8));
    answer("memalign(64, 0)", memalign(64, opaque_size(0)));
    answer("aligned_alloc(64, 0)", aligned_alloc(64, opaque_size(0)));
    answer("valloc(0)", valloc(opaque_size(0)));
    answer("pvalloc(0)", pvalloc(opaque_size(0)));
    free(NULL);
    claim_is("free(NULL) leaves errno", "%s", errno_name(errno));
}

static void impossible_sizes(void)
{
    static const struct {
        const char *name;
        size_t size;
    } sizes[] = {
        {"PTRDIFF_MAX - 4096", (size_t)PTRDIFF_MAX - 4096},
        {"PTRDIFF_MAX", (size_t)PTRDIFF_MAX},
        {"PTRDIFF_MAX + 1", (size_t)PTRDIFF_MAX + 1},
        {"SIZE_MAX - 4096", SIZE_MAX - 4096},
        {"SIZE_MAX - 100", SIZE_MAX - 100},
        {"SIZE_MAX - 15", SIZE_MAX - 15},
        {"SIZE_MAX", SIZE_MAX},
        {"1 PiB", (size_t)1 << 50},
    };
    char claim[100];

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = opaque_size(sizes[i].size);
        void *kept = malloc(100), *out = &claim;
        int status;

#define ANSWER(NAME, CALL)                                                                                           \
    do {                                                                                                             \
        snprintf(claim, sizeof claim, NAME, sizes[i].name);                                                          \
        errno = 0;                                                                                                   \
        answer(claim, CALL);                                                                                         \
    } while (0)
        ANSWER("malloc(%s)", malloc(size));
        ANSWER("calloc(1, %s)", calloc(1, size));
        ANSWER("calloc(%s, 1)", calloc(size, 1));
        ANSWER("realloc(NULL, %s)", realloc(NULL, size));
        ANSWER("memalign(64, %s)", memalign(64, size));
        ANSWER("aligned_alloc(4096, %s)", aligned_alloc(4096, size));
        ANSWER("valloc(%s)", valloc(size));
        ANSWER("pvalloc(%s)", pvalloc(size));
        fill(kept, 100, 1);
        ANSWER("realloc(p, %s)", realloc(opaque(kept), size));
        snprintf(claim, sizeof claim, "realloc(p, %s) leaves the block alone", sizes[i].name);
        claim_holds(claim, is_filled(kept, 100, 1));
        free(kept);
        status = posix_memalign(&out, 64, size);
        snprintf(claim, sizeof claim, "posix_memalign(64, %s)", sizes[i].name);
        claim_is(claim, "%s, pointer %s", errno_name(status), out == &claim ? "untouched" : "changed");
    }
#undef ANSWER
}

static void overflowing_products(void)
{
    void *kept = malloc(100);

    fill(kept, 100, 2);
    errno = 0;
    answer("calloc(SIZE_MAX / 2 + 2, 2)", calloc(opaque_size(SIZE_MAX / 2 + 2), 2));
    answer("calloc(2, SIZE_MAX / 2 + 2)", calloc(2, opaque_size(SIZE_MAX / 2 + 2)));
    answer("calloc(1 << 32, 1 << 32)", calloc(opaque_size((size_t)1 << 32), (size_t)1 << 32));
    answer("calloc(SIZE_MAX, SIZE_MAX)", calloc(opaque_size(SIZE_MAX), opaque_size(SIZE_MAX)));
    answer("calloc(SIZE_MAX, 0)", calloc(opaque_size(SIZE_MAX), 0));
    answer("reallocarray(NULL, 1 << 32, 1 << 32)", reallocarray(NULL, opaque_size((size_t)1 << 32), (size_t)1 << 32));
    answer("reallocarray(NULL, 10, 10)", reallocarray(NULL, opaque_size(10), 10));
    answer("reallocarray(p, SIZE_MAX / 2 + 2, 2)", reallocarray(opaque(kept), opaque_size(SIZE_MAX / 2 + 2), 2));
    claim_holds("reallocarray that overflows leaves the block alone", is_filled(kept, 100, 2));
    free(kept);
}

static void alignments(void)
{
    static const size_t tried[] = {0, 1, 2, 3, 4, 7, 8, 12, 16, 24, 48, 64, 100, 4096, 65536, 1u << 20, 1u << 22,
                                   (size_t)1 << 62, ((size_t)1 << 63) - 1, (size_t)1 << 63, SIZE_MAX};
    char claim[100];

    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        size_t alignment = opaque_size(tried[i]);
        void *block = &claim;
        int status;

        snprintf(claim, sizeof claim, "posix_memalign(%#zx, 40)", alignment);
        errno = 0;
        status = posix_memalign(&block, alignment, 40);
        claim_is(claim, "%s, pointer %s, aligned %s", errno_name(status), /* errno is nobody's promise here */
                 block == &claim ? "untouched" : "changed",
                 status != 0 || (uintptr_t)block % alignment == 0 ? "yes" : "no");
        if (status == 0)
            free(block);
        errno = 0;
        snprintf(claim, sizeof claim, "aligned_alloc(%#zx, 40)", alignment);
        answer(claim, aligned_alloc(alignment, 40));
        snprintf(claim, sizeof claim, "memalign(%#zx, 40)", alignment);
        answer(claim, memalign(alignment, 40));
    }
}

static void errno_after_free(void)
{
    static const size_t sizes[] = {1, 100, 5000, 40000, 300000, 3u << 20, 64u << 20};
    bool kept = true;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        void *block = malloc(opaque_size(sizes[i]));

        fill(block, sizes[i], 3);
        errno = 4711;
        free(block);
        kept = kept && errno == 4711;
    }
    claim_holds("free leaves errno alone, from 1 byte to 64 MiB", kept);
}

static void usable_sizes(void)
{
    bool enough = true, stays = true;

    for (size_t size = 0; size < 70000; size += size < 2100 ? 1 : 997) {
        void *block = malloc(opaque_size(size));
        size_t usable = malloc_usable_size(block);

        enough = enough && usable >= size;
        memset(block, 0x5a, usable); /* all of it may be written */
        stays = stays && malloc_usable_size(block) == usable;
        free(block);
    }
    claim_holds("malloc_usable_size is at least the size asked for", enough);
    claim_holds("malloc_usable_size stays what it was", stays);
    claim_is("malloc_usable_size(NULL)", "%zu", malloc_usable_size(NULL));
}

int main(void)
{
    sizes_of_zero();
    impossible_sizes();
    overflowing_products();
    alignments();
    errno_after_free();
    usable_sizes();
    claim_holds("the heap works after all that", heap_works(1));
    return 0;
}
