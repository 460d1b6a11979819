/* lock.c - futex mutex after Drepper's "Futexes are tricky", with a short spin first.
 *
 * Sync    L1: take acquires what the last give released
 * Signals neb_hold.locks is counted up before a lock can be held, and down after it cannot be any more */
#define _GNU_SOURCE
#include "os/lock.h"

#include "base/attr.h"
#include "os/signal.h"
#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FREE, HELD, CONTENDED };
enum { SPINS = 64 }; /* about the length of a critical section; with one core more is waste */
enum { TRIES = 100 }; /* of a try for all locks, each after the others ran */

NEB_SECTION(".bss.locks") struct lock neb_locks[LOCK_COUNT];

_Thread_local struct hold neb_hold __attribute__((tls_model("initial-exec"))) = {.pick = 1, .pick_is_idle = true};

static void hold_more(void)
{
    neb_hold.locks++;
    atomic_signal_fence(memory_order_seq_cst);
}

static void hold_less(void)
{
    atomic_signal_fence(memory_order_seq_cst);
    neb_hold.locks--;
    atomic_signal_fence(memory_order_seq_cst);
    if (NEB_UNLIKELY(neb_hold.deferred != 0) && neb_hold.locks == 0)
        neb_signals_deliver();
}

void neb_lock_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool try_once(struct lock *lock)
{
    uint32_t expected = FREE;
    return atomic_compare_exchange_strong_explicit(&lock->state, &expected, HELD, memory_order_acquire, /* L1 */
                                                   memory_order_relaxed);
}

NEB_COMMON bool neb_lock_try(struct lock *lock)
{
    hold_more();
    bool taken = try_once(lock);
    if (!taken)
        hold_less();
    return taken;
}

/* errno is kept: locks are taken in calls that do nothing else to change it, as malloc_usable_size does. */
static NEB_COLD void lock_take_slow(struct lock *lock)
{
    if (neb_hold.all)
        return;
    int saved = errno;
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&lock->state, memory_order_relaxed) == FREE && try_once(lock))
            return;
        neb_lock_pause();
    }
    while (atomic_exchange_explicit(&lock->state, CONTENDED, memory_order_acquire) != FREE) { /* L1 */
        /* Refused (seccomp) or woken by chance: both end in another look. */
        if (syscall(SYS_futex, &lock->state, FUTEX_WAIT_PRIVATE, CONTENDED, NULL, NULL, 0) != 0)
            sched_yield();
    }
    errno = saved;
}

NEB_COMMON void neb_lock_take(struct lock *lock)
{
    hold_more();
    if (!try_once(lock))
        lock_take_slow(lock);
}

NEB_COMMON void neb_lock_give(struct lock *lock)
{
    if (!neb_hold.all && atomic_exchange_explicit(&lock->state, FREE, memory_order_release) == CONTENDED) /* L1 */
        syscall(SYS_futex, &lock->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    hold_less();
}

void neb_lock_reset(struct lock *lock)
{
    atomic_store_explicit(&lock->state, FREE, memory_order_relaxed); /* the child has one thread */
}

/* A handler that could not be put off may fork while its thread holds some: then none is waited for, and what the other
 * threads were doing is what the child finds. */
void neb_locks_take_all(void)
{
    if (neb_hold.locks != 0)
        return;
    for (unsigned rank = 0; rank < LOCK_COUNT; rank++)
        neb_lock_take(&neb_locks[rank]);
    neb_hold.all = true;
}

void neb_locks_give_all(void)
{
    if (!neb_hold.all)
        return;
    neb_hold.all = false;
    for (unsigned rank = LOCK_COUNT; rank-- > 0;)
        neb_lock_give(&neb_locks[rank]);
}

bool neb_lock_try_patiently(struct lock *lock)
{
    if (neb_hold.all) {
        hold_more(); /* the give that follows counts down */
        return true;
    }
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
        if (!neb_lock_try_patiently(&neb_locks[rank])) {
            while (rank-- > 0)
                neb_lock_give(&neb_locks[rank]);
            return false;
        }
    neb_hold.all = true;
    return true;
}

void neb_locks_reset_all(void)
{
    for (unsigned rank = 0; rank < LOCK_COUNT; rank++)
        neb_lock_reset(&neb_locks[rank]);
    if (neb_hold.all)
        neb_hold.locks = 0; /* else the interrupted call still counts its own down */
    neb_hold.all = false;
    if (neb_hold.deferred != 0)
        neb_signals_deliver(); /* what was pending stayed with the parent; blocked it is here too */
}
