// subject.cpp - a program whose allocations are known, for run.py. With "once" it has no threads; with "wait" it prints its
// process id afterwards and sleeps; with "busy" it prints it first and allocates for as long as it is let.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <unistd.h>

#define APART __attribute__((noinline))

static void *volatile sink;
static void *shared_blocks[2][300];

APART static void leak()
{
    for (int i = 0; i < 10; i++)
        sink = malloc(1000);
}

APART static void churn()
{
    for (int i = 0; i < 5000; i++) {
        char *block = new char[64];
        sink = block;
        delete[] block;
    }
}

APART static void grow()
{
    void *block = nullptr;
    for (size_t size = 1000; size <= 40000; size += 1000) {
        block = block == nullptr ? realloc(malloc(10), size) : realloc(block, size);
        sink = block;
    }
    free(block);
}

APART static void worker(int number)
{
    for (void *&block : shared_blocks[number])
        block = malloc(128);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    if (strcmp(how, "busy") == 0) {
        printf("%ld\n", static_cast<long>(getpid()));
        fflush(stdout);
        for (;;) {
            for (size_t size = 16; size < 1000000; size *= 2) {
                sink = malloc(size);
                free(sink);
            }
            usleep(200);
        }
    }
    leak();
    churn();
    grow();
    if (strcmp(how, "once") != 0) {
        std::thread a(worker, 0), b(worker, 1);
        a.join();
        b.join();
        for (auto &blocks : shared_blocks)
            for (void *block : blocks)
                free(block);
    }
    if (strcmp(how, "wait") == 0) {
        printf("%ld\n", static_cast<long>(getpid()));
        fflush(stdout);
        sleep(100);
    }
    return 0;
}
