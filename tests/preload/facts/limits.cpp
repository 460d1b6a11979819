/* limits.cpp - when the kernel gives no more memory the caller gets NULL with ENOMEM (or bad_alloc), the heap stays
 * whole, and after a free the program goes on.
 *
 * address, data   RLIMIT_AS or RLIMIT_DATA of 64 MiB, in force before the program starts, as under ulimit -v 65536
 * address-late,   the limit set at run time, 8 MiB above what a heap that has been used already occupies: mmap begins
 * data-late       to fail under it; later the limit goes away again
 * tiny            RLIMIT_AS of 24 MiB before the start: the program still starts, and gets a megabyte
 *
 * Variants: address data address-late data-late tiny
 */
#include "claim.h"
#include <initializer_list>
#include <malloc.h>
#include <new>
#include <pthread.h>
#include <sys/resource.h>

namespace
{
const std::size_t mib = 1u << 20;

/* All blocks of one exhaustion, chained through their first words. */
struct Chain {
    struct Link {
        Link *next;
        std::size_t size;
    };
    Link *first = nullptr;
    std::size_t bytes = 0, count = 0;

    bool add(void *block, std::size_t size)
    {
        auto *link = static_cast<Link *>(block);

        if (block == nullptr)
            return false;
        link->next = first;
        link->size = size;
        fill(link + 1, size - sizeof(Link), static_cast<unsigned>(size));
        first = link;
        bytes += size;
        count++;
        return true;
    }

    bool drop()
    {
        Link *link = first;
        const bool good = is_filled(link + 1, link->size - sizeof(Link), static_cast<unsigned>(link->size));

        first = link->next;
        bytes -= link->size;
        count--;
        free(link);
        return good;
    }

    bool drop_all()
    {
        bool good = true;

        while (first != nullptr)
            good = drop() && good;
        return good;
    }
};

void say(void (*kind)(const char *, bool), const char *what, std::size_t size, bool holds)
{
    char claim[120];

    snprintf(claim, sizeof claim, "%s, blocks of %zu bytes", what, size);
    kind(claim, holds);
}

void exhaust(std::size_t size, std::size_t at_least)
{
    Chain chain;
    bool good = true;

    errno = 0;
    while (chain.add(malloc(opaque_size(size)), size))
        ;
    say(claim_holds, "NULL comes with ENOMEM", size, errno == ENOMEM);
    const std::size_t reached = chain.bytes;
    say(claim_ours, "most of the room can be used", size, reached >= at_least);
    void *out = &chain;
    good = posix_memalign(&out, 64, 256 * mib) == ENOMEM && out == &chain;
    errno = 0;
    good = good && calloc(opaque_size(256 * mib), 1) == nullptr && errno == ENOMEM;
    errno = 0;
    good = good && realloc(chain.first, 256 * mib) == nullptr && errno == ENOMEM;
    say(claim_holds, "calloc, realloc, posix_memalign fail as well", size, good);
    bool thrown = false;
    try {
        opaque(::operator new(opaque_size(256 * mib)));
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    say(claim_holds, "new throws, nothrow new gives null", size,
        thrown && ::operator new(opaque_size(256 * mib), std::nothrow) == nullptr);
    good = true;
    if (chain.count > 1) { /* how many fit is the allocator's business */
        good = chain.drop();
        void *again = malloc(opaque_size(size));
        good = good && again != nullptr;
        free(again);
    }
    say(claim_holds, "after one free there is one block", size, good);
    say(claim_holds, "no block was harmed", size, chain.drop_all());
    while (chain.add(malloc(opaque_size(size)), size))
        ;
    say(claim_holds, "after all were freed, nearly as much is there again", size, chain.bytes >= reached / 4 * 3);
    say(claim_holds, "no block of the second round was harmed", size, chain.drop_all());
}

void *thread_body(void *)
{
    for (std::size_t i = 0; i < 200; i++) {
        const std::size_t size = i * 50 + 16;
        void *block = malloc(opaque_size(size));

        if (block == nullptr)
            return nullptr;
        fill(block, size, 1);
        if (!is_filled(block, size, 1))
            return nullptr;
        free(block);
    }
    return const_cast<char *>("good");
}

void threads_work()
{
    pthread_attr_t attributes;
    bool started = true, good = true;

    malloc_trim(0); /* the stacks need the address space that the heap may have kept; glibc's cannot give it back */
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 * 1024);
    for (int turn = 0; turn < 20 && started; turn++) {
        pthread_t thread;
        void *result = nullptr;

        started = pthread_create(&thread, &attributes, thread_body, nullptr) == 0;
        good = started && pthread_join(thread, &result) == 0 && result != nullptr && good;
    }
    pthread_attr_destroy(&attributes);
    claim_ours("twenty threads, one after the other, start under the limit", started);
    claim_ours("they allocate", good);
}

bool set_limit(bool address, rlim_t bytes)
{
    struct rlimit limit = {bytes, RLIM_INFINITY};

    return (address ? setrlimit(RLIMIT_AS, &limit) : setrlimit(RLIMIT_DATA, &limit)) == 0;
}

int under_a_limit(std::size_t room)
{
    for (std::size_t size : {std::size_t{100}, std::size_t{3000}, std::size_t{50000}, std::size_t{700000}, 5 * mib})
        exhaust(size, room / 2);
    threads_work();
    claim_holds("the heap works under the limit", room < 20 * mib || heap_works(1));
    return 0;
}

int late(bool address)
{
    Chain used;

    claim_holds("the heap works before", heap_works(2));
    for (std::size_t i = 0; i < 20000; i++)
        used.add(malloc(opaque_size(i % 700 + 32)), i % 700 + 32);
    const long now = proc_kib("/proc/self/status", address ? "VmSize:" : "VmData:");
    if (now < 0 || !set_limit(address, static_cast<rlim_t>(now) * 1024 + 8 * mib))
        return 1;
    under_a_limit(0);
    claim_holds("blocks from before the limit are whole", used.drop_all());
    if (!set_limit(address, RLIM_INFINITY))
        return 1;
    void *large = malloc(opaque_size(100 * mib));
    claim_holds("without the limit there is memory again", large != nullptr);
    free(large);
    claim_holds("the heap works after it", heap_works(3));
    return 0;
}

int restart(bool address, std::size_t bytes, const char *variant)
{
    char self[4096] = "", argument[40];
    char *command[] = {self, argument, nullptr};

    snprintf(argument, sizeof argument, "%s-started", variant);
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0 || !set_limit(address, bytes))
        return 1;
    execv(self, command);
    return 1;
}
} // namespace

int main(int argc, char **argv)
{
    const char *variant = argc > 1 ? argv[1] : "";

    if (strcmp(variant, "address") == 0 || strcmp(variant, "data") == 0)
        return restart(variant[0] == 'a', 64 * mib, variant);
    if (strcmp(variant, "address-started") == 0 || strcmp(variant, "data-started") == 0)
        return under_a_limit(64 * mib);
    if (strcmp(variant, "address-late") == 0 || strcmp(variant, "data-late") == 0)
        return late(variant[0] == 'a');
    if (strcmp(variant, "tiny") == 0)
        return restart(true, 24 * mib, variant);
    if (strcmp(variant, "tiny-started") != 0)
        return 2;
    Chain chain;
    for (std::size_t i = 0; i < 1000 && chain.add(malloc(opaque_size(1048)), 1048); i++)
        ;
    claim_holds("a megabyte in a thousand blocks", chain.count == 1000 && chain.drop_all());
    return 0;
}
