/* sequence.c - any sequence of calls, from the bytes of an input, beside a shadow model of the heap.
 *
 *   input: | operation, arguments | operation, arguments | ...     one byte each, sizes are made of two
 *
 * The model knows of each block where it is, how long, how aligned, and what stands in it. The sequence moves between
 * heaps, ends them, lets system calls fail, trims. At its end all blocks are freed from whichever heap is in use, and
 * nothing may be live.
 *
 * Under ASan the memory of small blocks that were freed lately is poisoned: the core must not touch it, but where it clears
 * or fills a block that it is about to return (calloc, realloc). Not under a policy that fills freed blocks: it touches all
 * of them. Under MSan the contents of fresh blocks are undefined: the core must not depend on them.
 *
 *   with -fsanitize=fuzzer  LLVMFuzzerTestOneInput
 *   with -DSEQUENCE_MAIN    sequence --files FOLDER | --random COUNT SEED | --digest COUNT SEED
 *                           digest: no call fails (which one would depends on where mappings come to lie), and a digest of all
 *                           answers is printed, which must not depend on the compiler or its options
 *
 * A difference from the model ends in one line and abort. */
#define _GNU_SOURCE
#include "front/alloc.h"
#include "front/stats.h"
#include "heap/upkeep.h"
#include "policy/policy.h"
#include "wrapped.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SEQUENCE_ASAN 1
#endif
#if __has_feature(memory_sanitizer)
#define SEQUENCE_MSAN 1
#endif
#endif
#if defined(SEQUENCE_ASAN)
#include <sanitizer/asan_interface.h>
#define memory_poison(p, bytes) __asan_poison_memory_region(p, bytes)
#define memory_unpoison(p, bytes) __asan_unpoison_memory_region(p, bytes)
#define memory_is_fresh(p, bytes) ((void)0)
#define memory_is_zero(p, bytes) ((void)0)
#elif defined(SEQUENCE_MSAN)
#include <sanitizer/msan_interface.h>
#define memory_poison(p, bytes) ((void)0)
#define memory_unpoison(p, bytes) ((void)0)
#define memory_is_fresh(p, bytes) __msan_poison(p, bytes)
#define memory_is_zero(p, bytes) __msan_unpoison(p, bytes)
#else
#define memory_poison(p, bytes) ((void)0)
#define memory_unpoison(p, bytes) ((void)0)
#define memory_is_fresh(p, bytes) ((void)0)
#define memory_is_zero(p, bytes) ((void)0)
#endif

/* ---- memory that nobody may touch ---------------------------------------------------------------------------------------- */

enum { FREED = 256 };

static struct freed {
    unsigned char *p; /* NULL: none */
    size_t bytes;
} freed[FREED];
static unsigned freed_next;

static void memory_is_used(void *base, size_t bytes)
{
    unsigned char *begin = base;
    for (unsigned i = 0; i < FREED; i++)
        if (freed[i].p != NULL && freed[i].p < begin + bytes && begin < freed[i].p + freed[i].bytes) {
            memory_unpoison(freed[i].p, freed[i].bytes);
            freed[i].p = NULL;
        }
}

static void memory_is_free(void *base, size_t bytes)
{
    if (POLICY_FILL)
        return;
    struct freed *entry = &freed[freed_next++ % FREED];
    if (entry->p != NULL)
        memory_unpoison(entry->p, entry->bytes);
    *entry = (struct freed){base, bytes};
    memory_poison(base, bytes);
}

/* Around calls that write into a block before they return it. */
static void memory_may_be_touched(bool may)
{
    for (unsigned i = 0; i < FREED; i++)
        if (freed[i].p != NULL && may)
            memory_unpoison(freed[i].p, freed[i].bytes);
        else if (freed[i].p != NULL)
            memory_poison(freed[i].p, freed[i].bytes);
}

/* ---- system calls that fail ---------------------------------------------------------------------------------------------- */

static bool may_fail = true;
static unsigned fails_after; /* calls from now; 0: none fails */
static bool has_failed;

static bool fails(void)
{
    if (fails_after == 0 || --fails_after > 0)
        return false;
    errno = ENOMEM;
    has_failed = true;
    return true;
}

/* No more than this at a time, so that inputs stay small and nobody's machine suffers. */
enum { MAPPING_MAX = 512 << 20 };

void *__wrap_mmap(void *address, size_t bytes, int protection, int flags, int descriptor, off_t offset)
{
    if (fails() || bytes > MAPPING_MAX) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void *base = __real_mmap(address, bytes, protection, flags, descriptor, offset);
    if (base != MAP_FAILED) {
        memory_is_used(base, bytes);
        memory_is_zero(base, bytes);
    }
    return base;
}

/* Its name with _FILE_OFFSET_BITS=64. */
void *__wrap_mmap64(void *address, size_t bytes, int protection, int flags, int descriptor, off_t offset)
{
    return __wrap_mmap(address, bytes, protection, flags, descriptor, offset);
}

int __wrap_munmap(void *address, size_t bytes)
{
    if (fails())
        return -1;
    memory_is_used(address, bytes); /* whoever is given the addresses next */
    return __real_munmap(address, bytes);
}

int __wrap_mprotect(void *address, size_t bytes, int protection)
{
    return fails() ? -1 : __real_mprotect(address, bytes, protection);
}

int __wrap_madvise(void *address, size_t bytes, int advice)
{
    int answer = fails() ? -1 : __real_madvise(address, bytes, advice);
    if (answer == 0 && advice == MADV_DONTNEED)
        memory_is_zero(address, bytes);
    return answer;
}

void *__wrap_mremap(void *address, size_t old_bytes, size_t new_bytes, int flags, ...)
{
    va_list list;
    va_start(list, flags);
    void *target = (flags & MREMAP_FIXED) != 0 ? va_arg(list, void *) : NULL;
    va_end(list);
    if (fails())
        return MAP_FAILED;
    memory_is_used(address, old_bytes);
    void *base = __real_mremap(address, old_bytes, new_bytes, flags, target);
    if (base != MAP_FAILED) {
        memory_is_used(base, new_bytes);
        memory_is_zero(base, new_bytes); /* pages that moved took their contents along, but not what is known of them */
        /* Of a mapping that grew as it moved valgrind 3.19 takes the new part's protection from another mapping. */
        if (target != NULL && new_bytes > old_bytes)
            (void)__real_mprotect(base, new_bytes, PROT_READ | PROT_WRITE);
    }
    return base;
}

/* ---- the model ----------------------------------------------------------------------------------------------------------- */

enum { SLOTS = 300, HEAPS = 3, FILLED = 4096, LIVE_MAX = 64 << 20 };

struct block {
    unsigned char *p;
    size_t size, usable;
    uint64_t tag;
};

static struct block blocks[SLOTS];
static size_t live_bytes;
static uint64_t tags, digest;
static struct tls thread_of[HEAPS]; /* of threads that are asleep now */
static unsigned thread_now;

static _Noreturn void differs(const char *what, const struct block *block)
{
    fprintf(stderr, "sequence: %s (block %p of %zu bytes)\n", what, (void *)block->p, block->size);
    abort();
}

static void digest_add(uint64_t value)
{
    digest = (digest ^ value) * UINT64_C(0x100000001B3);
}

/* The parts of a block that are written and looked at: both ends. */
static void block_fill(struct block *block)
{
    size_t edge = block->size < FILLED ? block->size : FILLED;
    block->tag = ++tags;
    for (size_t i = 0; i < edge; i++) {
        block->p[i] = (unsigned char)(block->tag * 131 + i);
        block->p[block->size - 1 - i] = (unsigned char)(block->tag * 131 + (block->size - 1 - i));
    }
}

static void bytes_check(const struct block *block, const unsigned char *p, size_t count)
{
    size_t edge = count < FILLED ? count : FILLED;
    for (size_t i = 0; i < edge; i++)
        if (p[i] != (unsigned char)(block->tag * 131 + i))
            differs("contents have changed", block);
}

static void block_check(const struct block *block)
{
    bytes_check(block, block->p, block->size);
    size_t edge = block->size < FILLED ? block->size : FILLED;
    for (size_t i = block->size - edge; i < block->size; i++)
        if (block->p[i] != (unsigned char)(block->tag * 131 + i))
            differs("contents at the end have changed", block);
}

/* What the allocator has answered becomes a block of the model. */
static void block_begin(struct block *block, size_t alignment)
{
    digest_add((uint64_t)(uintptr_t)block->p & 0xFFFF);
    if ((uintptr_t)block->p % alignment != 0)
        differs("not aligned", block);
    block->usable = neb_usable_size(block->p);
    digest_add(block->usable);
    if (block->usable < block->size)
        differs("less is usable than was asked for", block);
    for (unsigned i = 0; i < SLOTS; i++) {
        const struct block *other = &blocks[i];
        if (other != block && other->p != NULL && block->p < other->p + other->usable && other->p < block->p + block->usable)
            differs("overlaps another block", block);
    }
    block_fill(block);
    live_bytes += block->size;
}

static void refused(const struct block *block, size_t size)
{
    digest_add(size);
    if (errno != ENOMEM)
        differs("NULL without ENOMEM", block);
    if (!has_failed && size < (size_t)MAPPING_MAX / 4)
        differs("NULL though there was memory", block);
}

static void block_make(struct block *block, size_t size, unsigned how, unsigned alignment_bits)
{
    size_t alignment = 16;
    block->size = size;
    errno = 0;
    if (how == 0) {
        memory_may_be_touched(true);
        block->p = neb_calloc(1, size);
        memory_may_be_touched(false);
    } else if (how == 1) {
        alignment = (size_t)1 << alignment_bits;
        block->p = neb_memalign(alignment, size);
    } else {
        block->p = how == 2 ? neb_realloc(NULL, size) : neb_malloc(size);
    }
    if (block->p == NULL) {
        refused(block, size);
        return;
    }
    memory_is_used(block->p, neb_usable_size(block->p));
    for (size_t i = 0; how == 0 && i < size; i += i < FILLED ? 1 : 509)
        if (block->p[i] != 0)
            differs("calloc's memory is not zero", block);
    if (how != 0)
        memory_is_fresh(block->p, size);
    block_begin(block, alignment);
}

static void block_free(struct block *block)
{
    block_check(block);
    live_bytes -= block->size;
    if (block->usable <= SMALL_MAX)
        memory_is_free(block->p, block->usable);
    errno = 4711;
    neb_free(block->p);
    if (errno != 4711)
        differs("free changed errno", block);
    block->p = NULL;
}

static void block_resize(struct block *block, size_t size)
{
    struct block old = *block;
    block_check(block);
    memory_may_be_touched(true);
    errno = 0;
    unsigned char *p = neb_realloc(block->p, size);
    int error = errno;
    memory_may_be_touched(false);
    errno = error;
    if (p == NULL && size != 0) {
        refused(block, size);
        block_check(block);
        return;
    }
    live_bytes -= old.size;
    if (p != old.p && old.usable <= SMALL_MAX)
        memory_is_free(old.p, old.usable);
    block->p = p;
    block->size = size;
    if (p == NULL)
        return;
    memory_is_used(p, neb_usable_size(p));
    bytes_check(&old, p, old.size < size ? old.size : size);
    block_begin(block, 16);
}

/* ---- operations ----------------------------------------------------------------------------------------------------------- */

struct input {
    const unsigned char *next, *end;
};

static unsigned byte_next(struct input *input)
{
    return input->next < input->end ? *input->next++ : 0;
}

/* Every number of bits, and borders: what is small in the input need not be small. */
static size_t size_next(struct input *input)
{
    unsigned first = byte_next(input), second = byte_next(input);
    unsigned bits = first % 25;
    size_t size = (size_t)1 << bits;
    size += bits < 8 ? second >> (8 - bits) : (size_t)second << (bits - 8);
    size -= first / 25 % 3; /* one or two below */
    return live_bytes + size > LIVE_MAX ? size % 600 : size;
}

static struct block *slot_next(struct input *input)
{
    unsigned number = byte_next(input) * 2;
    return &blocks[(number + (input->next < input->end && *input->next & 1)) % SLOTS];
}

static void thread_use(unsigned number)
{
    thread_of[thread_now] = neb_tls;
    thread_now = number;
    neb_tls = thread_of[number];
    if (neb_tls.heap == NULL)
        neb_tls = (struct tls){.heap = &neb_heap_none, .source = &neb_heap_none, .slow_calls = YOUNG_CALLS, .state = THREAD_YOUNG};
}

static void many(struct input *input)
{
    unsigned first = byte_next(input), count = byte_next(input) % 64 + 1;
    size_t size = size_next(input) % 40000;
    for (unsigned i = 0; i < count; i++) {
        struct block *block = &blocks[(first + i) % SLOTS];
        if (block->p == NULL && live_bytes < LIVE_MAX)
            block_make(block, size, 3, 0);
        else if (block->p != NULL)
            block_free(block);
    }
}

static void impossible(struct input *input)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX / 2 + 2};
    size_t size = sizes[byte_next(input) % (sizeof sizes / sizeof sizes[0])];
    struct block none = {NULL, size, 0, 0};
    errno = 0;
    void *p = neb_calloc(size, 2);
    if (p == NULL && errno == ENOMEM)
        p = neb_malloc(size);
    if (p == NULL && errno == ENOMEM)
        p = neb_memalign(64, size);
    if (p != NULL || errno != ENOMEM)
        differs("what cannot be was answered", &none);
}

static void step(struct input *input)
{
    unsigned operation = byte_next(input);
    struct block *block = slot_next(input);
    switch (operation % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
        if (block->p == NULL) {
            size_t size = size_next(input);
            block_make(block, size, operation / 16 % 4, operation / 64 + byte_next(input) % 22);
        }
        break;
    case 4:
    case 5:
        if (block->p != NULL)
            block_resize(block, operation >= 240 ? 0 : size_next(input));
        break;
    case 6:
    case 7:
    case 8:
    case 9:
        if (block->p != NULL)
            block_free(block);
        break;
    case 10:
    case 11:
        many(input);
        break;
    case 12:
        thread_use(operation / 16 % HEAPS);
        if (neb_tls.state == THREAD_ENDED && operation >= 128) /* another thread begins */
            neb_tls = (struct tls){.heap = &neb_heap_none, .source = &neb_heap_none, .slow_calls = YOUNG_CALLS, .state = THREAD_YOUNG};
        break;
    case 13:
        if (operation / 16 < 4)
            neb_heap_end();
        else
            (void)neb_trim();
        break;
    case 14:
        fails_after = may_fail ? operation / 16 + 1 : 0;
        break;
    default:
        if (operation < 64)
            impossible(input);
        else if (block->p != NULL)
            block_check(block);
    }
}

enum { TURNS = 12 }; /* a batch may be passed on: its slab has another owner by then, which a trim finds out */

static void check_at_rest(void)
{
    struct stats stats;
    struct block none = {NULL, 0, 0, 0};
    for (int turn = 0; turn < TURNS; turn++) {
        for (unsigned thread = 0; thread < HEAPS; thread++) {
            thread_use(thread);
            (void)neb_trim();
        }
        neb_lock_take(&neb_locks[LOCK_SHARED_HEAP]);
        if (neb_heap_shared.id != 0)
            (void)neb_heap_trim(&neb_heap_shared);
        neb_lock_give(&neb_locks[LOCK_SHARED_HEAP]);
    }
    neb_stats_take(&stats);
    if (stats.all.live != stats.blocks_lost || stats.large.large_blocks != 0 || stats.large.huge_blocks != 0)
        differs("blocks are live after all were freed", &none);
}

static void sequence_run(const unsigned char *data, size_t count)
{
    struct input input = {data, data + count};
    has_failed = false;
    while (input.next < input.end)
        step(&input);
    fails_after = 0;
    for (unsigned i = 0; i < SLOTS; i++)
        if (blocks[i].p != NULL)
            block_free(&blocks[i]);
    check_at_rest();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t count);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t count)
{
    sequence_run(data, count);
    return 0;
}

#ifdef SEQUENCE_MAIN
#include "fuzz/folder.h"

enum { RANDOM_BYTES = 2000 };

static void random_run(uint64_t x)
{
    unsigned char data[RANDOM_BYTES];
    for (size_t i = 0; i < sizeof data; i++) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        data[i] = (unsigned char)(x >> 40);
    }
    sequence_run(data, sizeof data);
}

int main(int argc, char **argv)
{
    neb_heap_set_decay(3600000); /* the clock must not change the answers */
    may_fail = argc != 4 || strcmp(argv[1], "--digest") != 0;
    if (argc == 4 && (!may_fail || strcmp(argv[1], "--random") == 0)) {
        uint64_t count = strtoull(argv[2], NULL, 10), seed = strtoull(argv[3], NULL, 10);
        for (uint64_t i = 0; i < count; i++)
            random_run(seed + i);
    } else if (argc == 3 && strcmp(argv[1], "--files") == 0) {
        unsigned count = folder_run(argv[2], LLVMFuzzerTestOneInput);
        printf("%u inputs\n", count);
        if (count == 0)
            return 1;
    } else {
        fprintf(stderr, "usage: sequence --files FOLDER | --random COUNT SEED | --digest COUNT SEED\n");
        return 2;
    }
    if (!may_fail)
        printf("digest %016llx\n", (unsigned long long)digest);
    return 0;
}

#endif
