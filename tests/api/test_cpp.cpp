// test_cpp.cpp - the C++ header: owners that end what they hold, exceptions, std::pmr resources.
#include <nebmalloc/nebmalloc.hpp>

#include "claim.h"
#include <map>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

static int alive;

struct counted {
    explicit counted(int v) : value(v)
    {
        alive++;
    }
    counted(const counted &) = delete;
    ~counted()
    {
        alive--;
    }
    int value;
    char padding[100] = {};
};

static void throw_from_depth(int depth)
{
    neb::scope scope("depth");
    scope.create<counted>(depth);
    CLAIM(neb_scope_innermost() == scope.get());
    if (depth == 0)
        throw std::runtime_error(scope.printf("from %s", "below"));
    throw_from_depth(depth - 1);
}

static void exceptions_leave_scopes()
{
    neb::scope outer("outer");
    char *kept = outer.strdup("kept");
    bool caught = false;
    try {
        throw_from_depth(5);
    } catch (const std::runtime_error &error) {
        caught = std::string(error.what()) == "from below";
    }
    CLAIM(caught && alive == 0 && neb_scope_innermost() == outer.get() && strcmp(kept, "kept") == 0);
}

static void throw_through_the_macro()
{
    NEB_SCOPE(scope);
    CLAIM(neb_scope_alloc(scope, 10) != nullptr);
    throw 5;
}

static void exceptions_leave_the_macros_scope_too()
{
    bool caught = false;
    try {
        throw_through_the_macro();
    } catch (int five) {
        caught = five == 5;
    }
    CLAIM(caught && neb_scope_innermost() == nullptr);
}

static void containers_live_in_scopes()
{
    neb::scope scope("containers");
    std::pmr::vector<std::pmr::string> words(scope.resource());
    std::pmr::map<int, std::pmr::string> by_number(scope.resource());
    for (int i = 0; i < 5000; i++) {
        words.emplace_back(std::string(static_cast<std::size_t>(i % 50 + 1), 'x'));
        by_number.emplace(i, "a text that is longer than any small string would be");
    }
    CLAIM(words.size() == 5000 && words[4999].size() == 50 && by_number.at(77).size() == 52);
    CLAIM(*scope.resource() == *scope.resource() && scope.resource()->is_equal(neb::scope_resource(scope.get())));
    CLAIM(!scope.resource()->is_equal(*std::pmr::new_delete_resource()));
}

static void objects_in_scopes_are_destroyed_backwards()
{
    CLAIM(alive == 0);
    {
        neb::scope scope;
        for (int i = 0; i < 100; i++)
            CLAIM(scope.create<counted>(i)->value == i);
        neb_mark mark = scope.mark();
        scope.create<counted>(1);
        CLAIM(alive == 101);
        scope.release(mark);
        CLAIM(alive == 100);
        struct alignas(128) wide {
            int value = 5;
        };
        wide *w = scope.create<wide>();
        CLAIM(IS_ALIGNED(reinterpret_cast<std::size_t>(w), 128) && w->value == 5);
    }
    CLAIM(alive == 0);
}

static void arenas_are_resources()
{
    neb::bump arena;
    {
        std::pmr::unordered_map<int, std::pmr::string> map(&arena);
        for (int i = 0; i < 3000; i++)
            map[i] = "a text that is longer than any small string would be";
        CLAIM(map.size() == 3000 && map[55].size() == 52);
    }
    CLAIM(neb_bump_stats(arena.get()).used_bytes > 3000 * 52);
    arena.reset();
    CLAIM(neb_bump_stats(arena.get()).used_bytes == 0);
    neb::bump moved(std::move(arena));
    CLAIM(arena.get() == nullptr && *moved.create<int>(7) == 7);
    bool thrown = false;
    try {
        neb_bump_options options = {};
        options.initial_bytes = 1000;
        options.flags = NEB_BUMP_FIXED;
        neb::bump small(options);
        (void)static_cast<std::pmr::memory_resource &>(small).allocate(100000);
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    CLAIM(thrown);
}

static void pools_are_resources()
{
    neb::pool_resource pool(96);
    {
        std::pmr::map<int, int> map(&pool);
        std::pmr::unordered_map<int, int> buckets(&pool);
        for (int i = 0; i < 3000; i++)
            map[i] = buckets[i] = i * 2;
        for (int i = 0; i < 3000; i += 2)
            map.erase(i);
        CLAIM(map.size() == 1500 && map.at(99) == 198 && buckets.at(100) == 200);
        CLAIM(neb_pool_get_stats(pool.get()).live_blocks == 4500);
    }
    CLAIM(neb_pool_get_stats(pool.get()).live_blocks == 0);
}

struct refuses {
    refuses()
    {
        throw std::runtime_error("no");
    }
};

static void object_pools_construct_and_destroy()
{
    neb::object_pool<counted> pool;
    std::vector<counted *> all;
    for (int i = 0; i < 1000; i++)
        all.push_back(pool.create(i));
    CLAIM(alive == 1000 && all[500]->value == 500);
    for (counted *one : all)
        pool.destroy(one);
    CLAIM(alive == 0);
    neb::object_pool<refuses> refused;
    bool thrown = false;
    try {
        refused.create();
    } catch (const std::runtime_error &) {
        thrown = true;
    }
    CLAIM(thrown && neb_pool_get_stats(refused.get()).live_blocks == 0);
}

int main()
{
    RUN(exceptions_leave_scopes);
    RUN(exceptions_leave_the_macros_scope_too);
    RUN(containers_live_in_scopes);
    RUN(objects_in_scopes_are_destroyed_backwards);
    RUN(arenas_are_resources);
    RUN(pools_are_resources);
    RUN(object_pools_construct_and_destroy);
    return 0;
}
