/* lock.c - futex mutex after Drepper's "Futexes are tricky", with a short spin first.
 *
 * Sync  L1: take acquires what the last give released */
#define _GNU_SOURCE
#include "os/lock.h"

#include "base/attr.h"
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FREE, HELD, CONTENDED };
enum { SPINS = 64 }; /* about the length of a critical section; with one core more is waste */
enum { TRIES = 100 }; /* of a try for all locks, each after the others ran */

struct lock neb_locks[LOCK_COUNT];

static _Thread_local bool holds_all __attribute__((tls_model("initial-exec")));

void neb_lock_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

bool neb_lock_try(struct lock *lock)
{
    uint32_t expected = FREE;
    return atomic_compare_exchange_strong_explicit(&lock->state, &expected, HELD, memory_order_acquire, /* L1 */
                                                   memory_order_relaxed);
}

static NEB_COLD void lock_take_slow(struct lock *lock)
{
    if (holds_all)
        return;
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&lock->state, memory_order_relaxed) == FREE && neb_lock_try(lock))
            return;
        neb_lock_pause();
    }
    while (atomic_exchange_explicit(&lock->state, CONTENDED, memory_order_acquire) != FREE) { /* L1 */
        /* Refused (seccomp) or woken by chance: both end in another look. */
        if (syscall(SYS_futex, &lock->state, FUTEX_WAIT_PRIVATE, CONTENDED, NULL, NULL, 0) != 0)
            sched_yield();
    }
}

void neb_lock_take(struct lock *lock)
{
    if (!neb_lock_try(lock))
        lock_take_slow(lock);
}

void neb_lock_give(struct lock *lock)
{
    if (holds_all)
        return;
    if (atomic_exchange_explicit(&lock->state, FREE, memory_order_release) == CONTENDED) /* L1 */
        syscall(SYS_futex, &lock->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void neb_lock_reset(struct lock *lock)
{
    atomic_store_explicit(&lock->state, FREE, memory_order_relaxed); /* the child has one thread */
}

void neb_locks_take_all(void)
{
    for (unsigned rank = 0; rank < LOCK_COUNT; rank++)
        neb_lock_take(&neb_locks[rank]);
    holds_all = true;
}

void neb_locks_give_all(void)
{
    holds_all = false;
    for (unsigned rank = LOCK_COUNT; rank-- > 0;)
        neb_lock_give(&neb_locks[rank]);
}

static bool try_patiently(struct lock *lock)
{
    for (int i = 0; i < TRIES; i++) {
        if (neb_lock_try(lock))
            return true;
        sched_yield();
    }
    return false;
}

bool neb_locks_try_all(void)
{
    for (unsigned rank = 0; rank < LOCK_COUNT; rank++)
        if (!try_patiently(&neb_locks[rank])) {
            while (rank-- > 0)
                neb_lock_give(&neb_locks[rank]);
            return false;
        }
    holds_all = true;
    return true;
}

void neb_locks_reset_all(void)
{
    holds_all = false;
    for (unsigned rank = 0; rank < LOCK_COUNT; rank++)
        neb_lock_reset(&neb_locks[rank]);
}
