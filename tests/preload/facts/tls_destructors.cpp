/* tls_destructors.cpp - destructors of thread-local things allocate and free when their thread's heap may be gone.
 *
 * C++ thread_local objects die first, then the values of pthread keys, in up to PTHREAD_DESTRUCTOR_ITERATIONS rounds:
 * a key's destructor that sets its value again is called in the next round. Every call here allocates, frees a block
 * of its own, one of another thread, and one that an earlier round left.
 */
#include "claim.h"
#include <atomic>
#include <climits>
#include <pthread.h>
#include <string>
#include <thread>
#include <vector>

namespace
{
std::atomic<int> key_calls{0}, object_calls{0}, wrong{0};
pthread_key_t first_key, second_key;
std::atomic<void *> handed_over{nullptr};

struct Value {
    int round;
    void *block;
};

void touch_heap(unsigned tag)
{
    for (std::size_t size : {24u, 700u, 5000u, 90000u}) {
        void *block = malloc(size), *old;

        fill(block, size, tag);
        block = realloc(block, size + 4000);
        wrong += !is_filled(block, size, tag);
        old = handed_over.exchange(block); /* another thread frees it, perhaps in its own destructor */
        free(old);
    }
}

void destroy_value(void *pointer)
{
    auto *value = static_cast<Value *>(pointer);

    key_calls++;
    wrong += !is_filled(value->block, 300, static_cast<unsigned>(value->round));
    free(value->block);
    touch_heap(static_cast<unsigned>(value->round));
    if (value->round + 1 < PTHREAD_DESTRUCTOR_ITERATIONS) {
        auto *next = static_cast<Value *>(calloc(1, sizeof(Value)));

        next->round = value->round + 1;
        next->block = malloc(300);
        fill(next->block, 300, static_cast<unsigned>(next->round));
        pthread_setspecific(first_key, next);
    }
    free(value);
}

void destroy_plain(void *block)
{
    wrong += !is_filled(block, 100, 9);
    free(block);
    touch_heap(9);
}

struct Object {
    std::vector<std::string> texts;

    Object()
    {
        for (int i = 0; i < 20; i++)
            texts.push_back(std::string(static_cast<std::size_t>(i * 10), 'o'));
    }
    Object(const Object &) = delete;
    Object &operator=(const Object &) = delete;
    ~Object()
    {
        object_calls++;
        touch_heap(5);
        texts.push_back("one more while dying");
        wrong += texts.size() != 21;
    }
};

thread_local Object object;

void body(int i)
{
    auto *value = static_cast<Value *>(malloc(sizeof(Value)));

    value->round = 0;
    value->block = malloc(300);
    fill(value->block, 300, 0);
    pthread_setspecific(first_key, value);
    void *plain = malloc(100);
    fill(plain, 100, 9);
    pthread_setspecific(second_key, plain);
    wrong += object.texts.size() != 20;
    if (i % 3 == 0)
        touch_heap(7);
}

/* A thread that does nothing but free another thread's blocks. */
void only_free(void **blocks, int count)
{
    for (int i = 0; i < count; i++)
        free(blocks[i]);
}
} // namespace

int main()
{
    enum { TURNS = 300, TOGETHER = 4 };
    long before = 0;

    pthread_key_create(&first_key, destroy_value);
    pthread_key_create(&second_key, destroy_plain);
    for (int turn = 0; turn < TURNS; turn++) {
        std::vector<std::thread> threads;

        for (int i = 0; i < TOGETHER; i++)
            threads.emplace_back(body, i);
        for (auto &thread : threads)
            thread.join();
        if (turn == TURNS / 6)
            before = resident_kib();
    }
    claim_is("calls of the key's destructor for each thread", "%d", key_calls / (TURNS * TOGETHER));
    claim_is("calls of the object's destructor for each thread", "%d", object_calls / (TURNS * TOGETHER));
    claim_holds("every block was what it should be", wrong == 0);
    claim_at_most("1,000 more threads with such destructors cost", resident_kib() - before, 8192, "KiB");
    before = resident_kib();
    for (int turn = 0; turn < 200; turn++) {
        void *blocks[200];

        for (std::size_t i = 0; i < 200; i++) {
            blocks[i] = malloc(i * 20 + 1);
            fill(blocks[i], i * 20 + 1, 1);
        }
        std::thread(only_free, blocks, 200).join();
    }
    claim_at_most("200 threads that only free main's blocks cost", resident_kib() - before, 8192, "KiB");
    free(handed_over.load());
    claim_holds("the heap works after all that", heap_works(7));
    return 0;
}
