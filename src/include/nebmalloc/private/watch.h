/* watch.h - messages about misuse, and the tools that watch memory: AddressSanitizer, MemorySanitizer, Valgrind. A part of engine.h, private. */
#ifndef NEBMALLOC_PRIVATE_WATCH_H
#define NEBMALLOC_PRIVATE_WATCH_H

/* ---- messages ----------------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4), noreturn, cold, noinline)) NEB_ENGINE_ void neb_misuse_(const char *call, const void *object,
                                                                             const char *format, ...)
{
    char line[512];
    int length = snprintf(line, sizeof line, "nebmalloc: ERROR: %s(%p): ", call, object);
    va_list arguments;
    va_start(arguments, format);
    length += vsnprintf(line + length, sizeof line - (size_t)length, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 2)
        length = (int)sizeof line - 2;
    line[length] = '\n';
    if (write(STDERR_FILENO, line, (size_t)length + 1) < 0)
        abort();
    abort();
}

NEB_INTERNAL_ const char *neb_name_(const char *name)
{
    return name == NULL ? "(unnamed)" : name;
}

__attribute__((cold, noinline)) NEB_ENGINE_ void *neb_no_memory_(void)
{
    errno = ENOMEM;
    return NULL;
}

NEB_INTERNAL_ const char *neb_kind_(unsigned kind)
{
    return kind == NEB_KIND_SCOPE_ ? "scope" : kind == NEB_KIND_BUMP_ ? "bump arena" : kind == NEB_KIND_POOL_ ? "pool" : "stack";
}

/* ---- tools that watch memory ---------------------------------------------------------------------------------------------- */

/* Whether a tool wants to see every object. */
NEB_ENGINE_ bool neb_tool_watches_(void)
{
#if NEB_ASAN_ || NEB_MSAN_
    return true;
#elif NEB_VALGRIND_
    static int8_t known; /* atomic; asking takes a dozen instructions */
    int8_t answer = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (answer == 0) {
        answer = RUNNING_ON_VALGRIND > 0 ? 1 : -1;
        __atomic_store_n(&known, answer, __ATOMIC_RELAXED);
    }
    return answer > 0;
#else
    return false;
#endif
}

/* Usable from now on, contents undefined. */
NEB_INTERNAL_ void neb_tool_open_(void *p, size_t bytes)
{
    (void)p;
    (void)bytes;
#if NEB_ASAN_
    __asan_unpoison_memory_region(p, bytes);
#endif
#if NEB_MSAN_
    __msan_allocated_memory(p, bytes);
#endif
#if NEB_VALGRIND_
    (void)VALGRIND_MAKE_MEM_UNDEFINED(p, bytes);
#endif
}

/* Nobody's from now on. */
NEB_INTERNAL_ void neb_tool_close_(void *p, size_t bytes)
{
    (void)p;
    (void)bytes;
#if NEB_ASAN_
    __asan_poison_memory_region(p, bytes);
#endif
#if NEB_MSAN_
    __msan_poison(p, bytes);
#endif
#if NEB_VALGRIND_
    (void)VALGRIND_MAKE_MEM_NOACCESS(p, bytes);
#endif
}

/* The engine's own words, which are nobody else's. */
NEB_INTERNAL_ void neb_tool_own_(void *p, size_t bytes)
{
    (void)p;
    (void)bytes;
#if NEB_ASAN_
    __asan_unpoison_memory_region(p, bytes);
#endif
#if NEB_MSAN_
    __msan_unpoison(p, bytes);
#endif
#if NEB_VALGRIND_
    (void)VALGRIND_MAKE_MEM_DEFINED(p, bytes);
#endif
}

NEB_INTERNAL_ void neb_word_set_(void *p, uint64_t word)
{
    neb_tool_own_(neb_word_at_(p), 8);
    *neb_word_at_(p) = word;
#if NEB_ASAN_ || NEB_VALGRIND_
    neb_tool_close_(neb_word_at_(p), 8);
#endif
}

NEB_INTERNAL_ uint64_t neb_word_get_(void *p)
{
    neb_tool_own_(neb_word_at_(p), 8);
    uint64_t word = *neb_word_at_(p);
#if NEB_ASAN_ || NEB_VALGRIND_
    neb_tool_close_(neb_word_at_(p), 8);
#endif
    return word;
}

#endif
