/* throw_threads.cpp - a C++ program that throws, catches, and hands exceptions and containers from thread to thread
 * computes the same as with glibc's malloc.
 *
 * Exceptions live in blocks that the thrower allocates and the catcher frees; exception_ptr and futures move them to
 * other threads, nested exceptions keep several alive.
 */
#include "claim.h"
#include <exception>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <queue>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace
{
struct Failure : std::runtime_error {
    std::vector<std::string> trail;

    explicit Failure(const std::string &what, int depth) : std::runtime_error(what)
    {
        for (int i = 0; i < depth; i++)
            trail.push_back("frame " + std::to_string(i) + " of " + what);
    }
};

unsigned descend(int depth, unsigned seed)
{
    std::string local(static_cast<std::size_t>(depth) * 40 + 1, 'd');
    auto owned = std::make_unique<std::vector<int>>(static_cast<std::size_t>(depth) * 10 + 1, depth);

    if (depth == 0 && seed % 3 == 0)
        throw Failure("failure " + std::to_string(seed), static_cast<int>(seed % 30));
    if (depth == 0)
        return seed;
    try {
        return descend(depth - 1, seed) + static_cast<unsigned>(owned->size());
    } catch (Failure &failure) {
        failure.trail.push_back(local);
        if (depth % 5 == 0)
            std::throw_with_nested(std::logic_error("at depth " + std::to_string(depth)));
        throw;
    }
}

unsigned weigh(const std::exception &exception)
{
    unsigned weight = static_cast<unsigned>(std::string(exception.what()).size());

    if (const auto *failure = dynamic_cast<const Failure *>(&exception))
        for (const auto &text : failure->trail)
            weight = weight * 31 + static_cast<unsigned>(text.size());
    try {
        std::rethrow_if_nested(exception);
    } catch (const std::exception &nested) {
        weight = weight * 17 + weigh(nested);
    }
    return weight;
}

unsigned one_task(unsigned seed)
{
    try {
        return descend(static_cast<int>(seed % 23), seed);
    } catch (const std::exception &exception) {
        return weigh(exception);
    }
}

/* Exceptions thrown in one thread, caught in another. */
unsigned across_threads()
{
    std::queue<std::exception_ptr> queue;
    std::mutex mutex;
    std::vector<std::thread> throwers;
    unsigned sum = 0;

    for (unsigned t = 0; t < 4; t++)
        throwers.emplace_back([t, &queue, &mutex] {
            for (unsigned i = 0; i < 500; i++)
                try {
                    descend(static_cast<int>(i % 20), (t * 500 + i) * 3);
                } catch (...) {
                    const std::lock_guard<std::mutex> guard(mutex);
                    queue.push(std::current_exception());
                }
        });
    for (auto &thread : throwers)
        thread.join();
    while (!queue.empty()) {
        try {
            std::rethrow_exception(queue.front());
        } catch (const std::exception &exception) {
            sum += weigh(exception); /* a sum: the order in the queue does not matter */
        }
        queue.pop();
    }
    return sum;
}

std::string containers(unsigned seed)
{
    std::map<std::string, std::vector<unsigned>> ordered;
    std::unordered_map<unsigned, std::shared_ptr<std::string>> shared;
    std::ostringstream out;
    unsigned x = seed;

    for (int i = 0; i < 5000; i++) {
        x = x * 1664525u + 1013904223u;
        ordered["key " + std::to_string(x % 997)].push_back(x);
        auto &slot = shared[x % 1009];
        if (slot == nullptr || x % 5 == 0)
            slot = std::make_shared<std::string>(x % 200, 's');
        if (x % 7 == 0)
            ordered.erase(ordered.begin());
    }
    for (const auto &[key, values] : ordered)
        out << key << ' ' << std::accumulate(values.begin(), values.end(), 0u) << '\n';
    for (unsigned i = 0; i < 1009; i++)
        if (shared.count(i) != 0)
            out << shared[i]->size() << ',';
    return out.str();
}

unsigned hash(const std::string &text)
{
    unsigned h = 2166136261u;

    for (const char c : text)
        h = (h ^ static_cast<unsigned char>(c)) * 16777619u;
    return h;
}
} // namespace

int main()
{
    unsigned alone = 0, together = 0;

    for (unsigned i = 0; i < 4000; i++)
        alone = alone * 7 + one_task(i);
    claim_is("4,000 tasks that may throw", "%u", alone);
    std::vector<std::future<unsigned>> futures;
    for (unsigned t = 0; t < 8; t++)
        futures.push_back(std::async(std::launch::async, [t] {
            unsigned sum = 0;

            for (unsigned i = 0; i < 1000; i++)
                sum = sum * 7 + one_task(t * 1000 + i);
            if (t % 2 == 1)
                throw Failure("result " + std::to_string(sum), 40);
            return sum;
        }));
    for (auto &future : futures)
        try {
            together = together * 11 + future.get();
        } catch (const Failure &failure) {
            together = together * 13 + weigh(failure);
        }
    claim_is("8,000 tasks in eight threads, half of which end with an exception", "%u", together);
    claim_is("2,000 exceptions caught in another thread", "%u", across_threads());
    std::vector<std::future<std::string>> texts;
    for (unsigned t = 0; t < 4; t++)
        texts.push_back(std::async(std::launch::async, containers, t));
    for (unsigned t = 0; t < 4; t++) {
        const std::string text = texts[t].get();

        claim_is(("containers of thread " + std::to_string(t)).c_str(), "%zu characters, hash %u", text.size(),
                 hash(text));
    }
    claim_holds("the heap works after all that", heap_works(9));
    return 0;
}
