// nebmalloc.hpp - the opt-in API for C++17: owners that end what they hold, and std::pmr resources over it.
//
//     void handle(const request &r)
//     {
//         neb::scope scope("request");
//         std::pmr::vector<row> rows(scope.resource());
//         char *path = scope.printf("%s/%s", r.root, r.name);
//     }                                    // left here, also by an exception
//
// Threads, alignment, complexity: as in scope.h, bump.h, pool.h. Errors: what answers NULL there throws std::bad_alloc
// here. Destructors of objects in a scope or arena are not run, unless create() made them: then in reverse order at its
// end.
#ifndef NEBMALLOC_NEBMALLOC_HPP
#define NEBMALLOC_NEBMALLOC_HPP

#include <nebmalloc/nebmalloc.h>

#include <cstddef>
#include <memory_resource>
#include <new>
#include <type_traits>
#include <utility>

namespace neb
{

namespace detail
{

inline void *or_throw(void *p)
{
    if (p == nullptr)
        throw std::bad_alloc();
    return p;
}

template <typename T> void destroy(void *object)
{
    static_cast<T *>(object)->~T();
}

} // namespace detail

// A std::pmr resource over any open scope of this thread; deallocation does nothing. Two are equal when their scopes are.
class scope_resource final : public std::pmr::memory_resource
{
  public:
    explicit scope_resource(neb_scope *scope) noexcept : scope_(scope)
    {
    }

    neb_scope *get() const noexcept
    {
        return scope_;
    }

  private:
    void *do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        return detail::or_throw(alignment <= 16 ? neb_scope_alloc(scope_, bytes) : neb_scope_alloc_aligned(scope_, alignment, bytes));
    }

    void do_deallocate(void *, std::size_t, std::size_t) override
    {
    }

    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
    {
        const auto *that = dynamic_cast<const scope_resource *>(&other);
        return that != nullptr && that->scope_ == scope_;
    }

    neb_scope *scope_;
};

// A scope from here to the end of the block, however it ends.
class scope
{
  public:
    explicit scope(const char *name = nullptr, unsigned flags = 0) : scope_(neb_scope_enter_with(name, flags)), resource_(scope_)
    {
        if (scope_ == nullptr)
            throw std::bad_alloc();
    }

    scope(const scope &) = delete;
    scope &operator=(const scope &) = delete;

    ~scope()
    {
        neb_scope_leave(scope_);
    }

    neb_scope *get() const noexcept
    {
        return scope_;
    }

    std::pmr::memory_resource *resource() noexcept
    {
        return &resource_;
    }

    void *allocate(std::size_t bytes, std::size_t alignment = 16)
    {
        return resource_.allocate(bytes, alignment);
    }

    // An object whose destructor runs when the scope ends (if it has one).
    template <typename T, typename... Arguments> T *create(Arguments &&...arguments)
    {
        T *object = new (allocate(sizeof(T), alignof(T))) T(std::forward<Arguments>(arguments)...);
        if constexpr (!std::is_trivially_destructible_v<T>) {
            if (!neb_scope_defer(scope_, detail::destroy<T>, object)) {
                object->~T();
                throw std::bad_alloc();
            }
        }
        return object;
    }

    template <typename... Arguments> char *printf(const char *format, Arguments... arguments)
    {
        return static_cast<char *>(detail::or_throw(neb_scope_printf(scope_, format, arguments...)));
    }

    char *strdup(const char *string)
    {
        return static_cast<char *>(detail::or_throw(neb_scope_strdup(scope_, string)));
    }

    neb_mark mark()
    {
        return neb_scope_mark(scope_);
    }

    void release(const neb_mark &mark)
    {
        neb_scope_release(scope_, mark);
    }

  private:
    neb_scope *scope_;
    scope_resource resource_;
};

// A bump arena that is also a std::pmr resource: destroyed with it. Movable.
class bump final : public std::pmr::memory_resource
{
  public:
    bump() : bump_(neb_bump_create(nullptr))
    {
        detail::or_throw(bump_);
    }

    explicit bump(const neb_bump_options &options) : bump_(neb_bump_create(&options))
    {
        detail::or_throw(bump_);
    }

    bump(bump &&other) noexcept : bump_(std::exchange(other.bump_, nullptr))
    {
    }

    bump &operator=(bump &&other) noexcept
    {
        std::swap(bump_, other.bump_);
        return *this;
    }

    bump(const bump &) = delete;
    bump &operator=(const bump &) = delete;

    ~bump() override
    {
        neb_bump_destroy(bump_);
    }

    neb_bump *get() const noexcept
    {
        return bump_;
    }

    // An object whose destructor is never run.
    template <typename T, typename... Arguments> T *create(Arguments &&...arguments)
    {
        static_assert(std::is_trivially_destructible_v<T>, "an arena runs no destructors");
        return new (allocate(sizeof(T), alignof(T))) T(std::forward<Arguments>(arguments)...);
    }

    void reset()
    {
        neb_bump_reset(bump_);
    }

    neb_mark mark()
    {
        return neb_bump_mark(bump_);
    }

    void restore(const neb_mark &mark)
    {
        neb_bump_restore(bump_, mark);
    }

  private:
    void *do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        return detail::or_throw(alignment <= 16 ? neb_bump_alloc(bump_, bytes) : neb_bump_alloc_aligned(bump_, alignment, bytes));
    }

    void do_deallocate(void *, std::size_t, std::size_t) override
    {
    }

    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
    {
        return this == &other;
    }

    neb_bump *bump_;
};

// A pool as a std::pmr resource, for node-based containers: requests up to the block size come from the pool, larger
// ones (the buckets of an unordered container) from upstream. Any thread.
class pool_resource final : public std::pmr::memory_resource
{
  public:
    explicit pool_resource(std::size_t block_bytes, std::size_t alignment = 16,
                           std::pmr::memory_resource *upstream = std::pmr::get_default_resource())
        : upstream_(upstream)
    {
        const neb_pool_options options = {block_bytes, alignment, 0, 0, 0, 0, "neb::pool_resource"};
        pool_ = neb_pool_create(&options);
        detail::or_throw(pool_);
        alignment_ = alignment;
        block_bytes_ = neb_pool_get_stats(pool_).block_bytes;
    }

    pool_resource(const pool_resource &) = delete;
    pool_resource &operator=(const pool_resource &) = delete;

    ~pool_resource() override
    {
        neb_pool_destroy(pool_);
    }

    neb_pool *get() const noexcept
    {
        return pool_;
    }

  private:
    bool fits(std::size_t bytes, std::size_t alignment) const noexcept
    {
        return bytes <= block_bytes_ && alignment <= alignment_;
    }

    void *do_allocate(std::size_t bytes, std::size_t alignment) override
    {
        return fits(bytes, alignment) ? detail::or_throw(neb_pool_alloc(pool_)) : upstream_->allocate(bytes, alignment);
    }

    void do_deallocate(void *p, std::size_t bytes, std::size_t alignment) override
    {
        if (fits(bytes, alignment))
            neb_pool_free(pool_, p);
        else
            upstream_->deallocate(p, bytes, alignment);
    }

    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
    {
        return this == &other;
    }

    std::pmr::memory_resource *upstream_;
    neb_pool *pool_;
    std::size_t alignment_, block_bytes_;
};

// Objects of one type in a pool of their own: constructed and destroyed one by one. Those left when it ends are not
// destroyed, their memory goes.
template <typename T> class object_pool
{
  public:
    object_pool()
    {
        const neb_pool_options options = {sizeof(T), alignof(T) < 16 ? 16 : alignof(T), 0, 0, 0, 0, "neb::object_pool"};
        pool_ = neb_pool_create(&options);
        detail::or_throw(pool_);
    }

    object_pool(const object_pool &) = delete;
    object_pool &operator=(const object_pool &) = delete;

    ~object_pool()
    {
        neb_pool_destroy(pool_);
    }

    template <typename... Arguments> T *create(Arguments &&...arguments)
    {
        void *block = detail::or_throw(neb_pool_alloc(pool_));
        try {
            return new (block) T(std::forward<Arguments>(arguments)...);
        } catch (...) {
            neb_pool_free(pool_, block);
            throw;
        }
    }

    void destroy(T *object)
    {
        if (object != nullptr) {
            object->~T();
            neb_pool_free(pool_, object);
        }
    }

    neb_pool *get() const noexcept
    {
        return pool_;
    }

  private:
    neb_pool *pool_;
};

} // namespace neb

#endif
