/* fallback.h - the opt-in API on malloc, for a process without the library; and the search for the library.
 *
 * Memory comes from malloc and goes back by free; scopes keep a list of what they took and free it when they end. What
 * the library alone can do is said where it is declared: ambient scopes, free() of scope memory, visiting.
 *
 * Under AddressSanitizer, MemorySanitizer and Valgrind this is what runs even beside the library: it is compiled into the
 * program, so the tool sees each object come and go, and what is used after its end.
 *
 * Everything here is private; included by engine.h. */
#ifndef NEBMALLOC_FALLBACK_H
#define NEBMALLOC_FALLBACK_H

#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/prctl.h>

/* Programs that are linked against an old C library without these in libc itself go without. */
#pragma weak dlsym
#pragma weak pthread_key_create
#pragma weak pthread_setspecific
#if defined(__GLIBC__) && (__GLIBC__ > 2 || (__GLIBC__ == 2 && __GLIBC_MINOR__ >= 33))
#define NEB_HAS_MALLINFO2_ 1
#else
#define NEB_HAS_MALLINFO2_ 0
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* One for the whole program: weak, so that all files that include this share them. */
__attribute__((weak)) __thread neb_thread *neb_fallback_thread_1;
__attribute__((weak)) uint64_t neb_fallback_threads_1;
__attribute__((weak)) uint32_t neb_fallback_key_lock_1, neb_fallback_key_made_1;
__attribute__((weak)) pthread_key_t neb_fallback_key_1;

NEB_ENGINE_ void *neb_fallback_take_(size_t bytes, size_t *got, unsigned kind)
{
    (void)kind;
    int saved = errno;
    void *memory = malloc(bytes);
    errno = saved;
    *got = bytes;
    return memory;
}

NEB_ENGINE_ void neb_fallback_give_(void *memory, size_t bytes)
{
    (void)bytes;
    free(memory);
}

NEB_ENGINE_ void neb_fallback_segments_give_(neb_segment *newest, neb_segment *oldest, size_t count, size_t bytes, unsigned kind)
{
    (void)oldest;
    (void)bytes;
    (void)kind;
    for (neb_segment *older; count-- > 0; newest = older) {
        older = newest->older;
#if NEB_ASAN_ || NEB_VALGRIND_
        neb_tool_open_(neb_at_(newest, sizeof *newest), newest->bytes - sizeof *newest);
#endif
        free(newest);
    }
}

/* Runs when a thread ends: scopes that it left open end too. */
NEB_ENGINE_ void neb_fallback_thread_end_(void *value)
{
    neb_thread *thread = (neb_thread *)value;
    while (thread->innermost != NULL) {
        neb_scope_run_defers_(thread->innermost, NULL);
        neb_scope_end_(thread->innermost);
    }
    for (neb_segment *block = thread->blocks, *older; block != NULL; block = older) {
        older = block->older;
        free(block);
    }
    neb_fallback_thread_1 = NULL;
    free(thread->root);
    free(thread);
}

NEB_ENGINE_ void neb_fallback_watch_(neb_thread *thread)
{
    if (pthread_key_create == NULL || pthread_setspecific == NULL)
        return;
    neb_spin_lock_(&neb_fallback_key_lock_1);
    if (neb_fallback_key_made_1 == 0 && pthread_key_create(&neb_fallback_key_1, neb_fallback_thread_end_) == 0)
        neb_fallback_key_made_1 = 1;
    bool is_made = neb_fallback_key_made_1 != 0;
    neb_spin_unlock_(&neb_fallback_key_lock_1);
    if (is_made)
        (void)pthread_setspecific(neb_fallback_key_1, thread);
}

NEB_ENGINE_ neb_thread *neb_fallback_thread_of_(void)
{
    neb_thread *thread = neb_fallback_thread_1;
    if (NEB_LIKELY_(thread != NULL))
        return thread;
    thread = (neb_thread *)calloc(1, sizeof *thread);
    if (thread == NULL)
        return NULL;
    thread->serial = __atomic_add_fetch(&neb_fallback_threads_1, 1, __ATOMIC_RELAXED);
    neb_fallback_thread_1 = thread;
    neb_fallback_watch_(thread);
    return thread;
}

NEB_ENGINE_ void neb_fallback_ambient_(neb_scope *scope)
{
    (void)scope; /* malloc is somebody else's */
}

NEB_ENGINE_ bool neb_fallback_stats_(neb_memory_stats *stats, bool of_thread)
{
#if NEB_HAS_MALLINFO2_ && !NEB_ASAN_ && !NEB_MSAN_
    if (of_thread)
        return false;
    struct mallinfo2 info = mallinfo2();
    neb_memory_stats all;
    size_t bytes = stats->bytes < sizeof all ? stats->bytes : sizeof all;
    memset(&all, 0, sizeof all);
    all.bytes = stats->bytes;
    all.live_bytes = info.uordblks + info.hblkhd;
    all.large_bytes = info.hblkhd;
    all.large_blocks = info.hblks;
    all.cached_bytes = info.fordblks;
    all.mapped_bytes = info.arena + info.hblkhd;
    memcpy(stats, &all, bytes);
    return true;
#else
    (void)stats;
    (void)of_thread;
    return false;
#endif
}

NEB_ENGINE_ size_t neb_fallback_trim_(void)
{
#if defined(__GLIBC__) && !NEB_ASAN_ && !NEB_MSAN_
    return (size_t)malloc_trim(0);
#else
    return 0;
#endif
}

NEB_ENGINE_ bool neb_fallback_visit_(bool (*visit)(void *argument, const neb_block_info *block), void *argument)
{
    (void)visit;
    (void)argument;
    errno = ENOSYS;
    return false;
}

NEB_ENGINE_ bool neb_fallback_name_(void *memory, size_t bytes, const char *name)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), gap = (size_t)(0 - neb_address_(memory)) & (page - 1);
    if (bytes < gap + page) {
        errno = EINVAL;
        return false;
    }
    enum { SET_VMA = 0x53564d41, SET_VMA_ANON_NAME = 0 };
    return prctl(SET_VMA, SET_VMA_ANON_NAME, neb_address_(memory) + gap, (bytes - gap) & ~(page - 1), neb_address_(name)) == 0;
}

#define NEB_TEXT_2_(x) #x
#define NEB_TEXT_(x) NEB_TEXT_2_(x)

static const neb_ops neb_fallback_ops_ = {
    NEB_ABI, (uint32_t)sizeof(neb_ops), 0, 0,
    NEB_TEXT_(NEB_VERSION_MAJOR) "." NEB_TEXT_(NEB_VERSION_MINOR) "." NEB_TEXT_(NEB_VERSION_PATCH) " malloc",
    neb_fallback_take_, neb_fallback_give_, neb_fallback_segments_give_, neb_fallback_thread_of_, neb_fallback_ambient_,
    NEB_ENGINE_OPS_, neb_fallback_stats_, neb_fallback_trim_, neb_fallback_visit_, neb_fallback_name_};

NEB_ENGINE_ const neb_ops *neb_engine_ops_(void)
{
    return &neb_fallback_ops_;
}

NEB_ENGINE_ bool neb_engine_may_run_(const void *p)
{
    (void)p;
    return false;
}

/* In a program that isn't position-independent the linker resolves the weak symbol to null; dlsym finds it then. */
NEB_ENGINE_ const neb_ops *neb_ops_find_(void)
{
    if (neb_tool_watches_())
        return &neb_fallback_ops_;
    const neb_ops *ops = &neb_ops_2;
    if (ops == NULL && dlsym != NULL)
        ops = (const neb_ops *)dlsym(NULL, "neb_ops_2");
    return ops != NULL && ops->abi == NEB_ABI && ops->bytes >= sizeof(neb_ops) ? ops : &neb_fallback_ops_;
}

#ifdef __cplusplus
}
#endif

#endif
