/* composer profile|trace|symbols|many OUT - writes a composed file, whose frames are functions of this
 * program: so that the tool's symbols can be checked without the library.
 *
 * "many N": a trace of N events on four lanes, for measuring the reader. */
#include "tests/tool/compose.h"

#include <dlfcn.h>
#include <limits.h>
#include <unistd.h>

static uint64_t seed = 1;

static uint64_t next_random(void)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return seed >> 33;
}

static struct composed compose_many(const char *exe, uint64_t events)
{
    enum { LANES = 4, LIVE = 20000, STACKS = 3000, CHUNK_EVENTS = 60000 };
    struct composed file = compose(3);
    put_head(&file, "trace", exe);
    chunk_begin(&file, 4, 0, 21, 0, 0);
    for (uint64_t id = 21; id < 21 + STACKS; id++)
        put_stack(&file, id, 16 + next_random() % (id - 16), 1, next_random() % 100000);
    chunk_end(&file, true);
    uint64_t number[LANES] = {0}, done = 0, time_ns = 0, epoch = 0;
    static uint64_t live[LANES][LIVE];
    size_t live_count[LANES] = {0};
    while (done < events) {
        for (unsigned lane = 0; lane < LANES; lane++) {
            chunk_begin(&file, 5, lane, number[lane], time_ns, epoch);
            for (unsigned i = 0; i < CHUNK_EVENTS; i++, done++) {
                size_t *count = &live_count[lane];
                if (*count < LIVE && (*count == 0 || next_random() % 2 == 0)) {
                    uint64_t stack = 16 + next_random() % (5 + STACKS) / (1 + next_random() % 50);
                    if (next_random() % 4 == 0)
                        event_alloc(&file, stack, next_random() % 1000);
                    else
                        event_alloc_again(&file, stack);
                    live[lane][(*count)++] = number[lane]++;
                } else {
                    size_t back = next_random() %
                                  (1 + (next_random() % 10 == 0 ? *count - 1 : (*count - 1) / 100)),
                           which = *count - 1 - back;
                    event_free(&file, number[lane] - live[lane][which]);
                    memmove(&live[lane][which], &live[lane][which + 1],
                            (*count - 1 - which) * sizeof live[lane][0]);
                    (*count)--;
                }
                if (i % 256 == 255)
                    event_stamp(&file, 1, 100000);
            }
            chunk_end(&file, true);
        }
        epoch += CHUNK_EVENTS / 256;
        time_ns += CHUNK_EVENTS / 256 * 100000;
    }
    return file;
}

/* ---- functions to find again --------------------------------------------------------------------------- */

static uintptr_t at_plain, at_inlined;

__attribute__((noinline)) static uintptr_t return_address(void)
{
    __asm__ volatile("" ::: "memory"); /* two calls are two calls */
    return (uintptr_t)__builtin_return_address(0);
}

static inline __attribute__((always_inline)) uintptr_t inlined_function(void)
{
    uintptr_t at = return_address();
    __asm__ volatile("" ::: "memory"); /* no tail call */
    return at;
}

__attribute__((noinline)) static void plain_function(void)
{
    at_plain = return_address();
    at_inlined = inlined_function();
}

/* A profile of one stack: the inlined function, in plain_function, in plain_function. */
static struct composed compose_symbols(const char *exe)
{
    Dl_info info;
    plain_function();
    if (dladdr((const void *)&at_plain, &info) == 0)
        abort();
    uintptr_t base = (uintptr_t)info.dli_fbase;
    struct composed file = compose(2);
    chunk_begin(&file, 2, 0, 0, 0, 0);
    put_module(&file, 0, base, exe);
    chunk_end(&file, true);
    chunk_begin(&file, 4, 0, 16, 0, 0);
    put_stack(&file, 16, 0, 0, at_plain - base);
    put_stack(&file, 17, 16, 0, at_inlined - base);
    chunk_end(&file, true);
    chunk_begin(&file, 6, 0, 0, 0, 0);
    put_site(&file, 17, (const uint64_t[SITE_FIELDS]){1, 10, 0, 0, 1, 10, 1, 10, 0, 10}, 0, 3);
    chunk_end(&file, false);
    return file;
}

int main(int argc, char **argv)
{
    char exe[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (argc < 3 || length < 0) {
        fputs("usage: composer profile|trace|symbols OUT, composer many OUT EVENTS\n", stderr);
        return 2;
    }
    exe[length] = '\0';
    struct composed file;
    if (strcmp(argv[1], "profile") == 0)
        file = compose_profile(exe);
    else if (strcmp(argv[1], "trace") == 0)
        file = compose_trace(exe);
    else if (strcmp(argv[1], "symbols") == 0)
        file = compose_symbols(exe);
    else
        file = compose_many(exe, strtoull(argc > 3 ? argv[3] : "1000000", NULL, 10));
    FILE *out = fopen(argv[2], "wb");
    bool good = out != NULL && fwrite(file.data, 1, file.bytes, out) == file.bytes;
    good = out != NULL && fclose(out) == 0 && good;
    free(file.data);
    return good ? 0 : 1;
}
