/* thread.c - see thread.h.
 *
 * The hook is a pthread key's destructor. glibc runs four rounds of them as long as values are set again; ours sets its
 * value again once. So other libraries' destructors still find a heap in the first round, and a heap that is made only
 * in the second is given up in the fourth. (One that a thread makes in the third or fourth, its first allocations ever,
 * is not; nor is the last round a good place for more, since tools such as ThreadSanitizer take their own state away
 * in it.) A round's value is the address of an element, so that the count needs no thread-local storage. */
#define _GNU_SOURCE
#include "os/thread.h"

#include "base/ptr.h"
#include "os/maps.h"
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_key_t key;
static bool key_exists; /* written in the constructor, before there are threads */
static void (*exit_hook)(void);
static _Atomic(void (*)(void)) early_hook, late_hook;
static char rounds[2];

static void hooks_run(void)
{
    void (*early)(void) = atomic_load_explicit(&early_hook, memory_order_relaxed); /* a function: nothing to publish */
    if (early != NULL)
        early();
    exit_hook();
    void (*late)(void) = atomic_load_explicit(&late_hook, memory_order_relaxed);
    if (late != NULL)
        late();
}

static void round_end(void *value)
{
    char *round = value;
    if (round == rounds + sizeof rounds - 1 || pthread_setspecific(key, round + 1) != 0)
        hooks_run();
}

bool neb_thread_watch_init(void (*hook)(void))
{
    exit_hook = hook;
    key_exists = pthread_key_create(&key, round_end) == 0;
    return key_exists;
}

void neb_thread_watch_also(void (*hook)(void))
{
    atomic_store_explicit(&early_hook, hook, memory_order_relaxed);
}

void neb_thread_watch_last(void (*hook)(void))
{
    atomic_store_explicit(&late_hook, hook, memory_order_relaxed);
}

bool neb_thread_watch(void)
{
    return key_exists && pthread_setspecific(key, rounds) == 0;
}

/* glibc's; they may be missing elsewhere. */
void _IO_list_lock(void) __attribute__((weak));
void _IO_list_unlock(void) __attribute__((weak));
void _IO_list_resetlock(void) __attribute__((weak));

void neb_streams_take(void)
{
    if (_IO_list_lock != NULL)
        _IO_list_lock();
}

void neb_streams_give(void)
{
    if (_IO_list_unlock != NULL)
        _IO_list_unlock();
}

void neb_streams_reset(void)
{
    if (_IO_list_resetlock != NULL)
        _IO_list_resetlock();
}

void neb_thread_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    (void)pthread_atfork(prepare, parent, child);
}

uint32_t neb_os_thread_id(void)
{
    return (uint32_t)syscall(SYS_gettid);
}

/* ---- what stands above a stack ------------------------------------------------------------------------------------------- */

uintptr_t neb_thread_self(void)
{
    return (uintptr_t)pthread_self();
}

struct tls_search {
    uintptr_t start, self, lowest;
};

/* That of libraries that came later lies elsewhere. */
static int tls_compare(struct dl_phdr_info *info, size_t size, void *argument)
{
    struct tls_search *search = argument;
    uintptr_t at = size < offsetof(struct dl_phdr_info, dlpi_tls_data) + sizeof info->dlpi_tls_data ? 0 : ptr_address(info->dlpi_tls_data);
    if (at >= search->start && at < search->lowest)
        search->lowest = at;
    return 0;
}

size_t neb_thread_tls_bytes(void)
{
    struct os_mapping mapping;
    struct tls_search search = {0, neb_thread_self(), neb_thread_self()};
    search.start = neb_os_mapping_of(search.self, &mapping) ? mapping.start : search.self;
    (void)dl_iterate_phdr(tls_compare, &search);
    return search.self - search.lowest;
}
