/* signal.c - see signal.h. */
#define _GNU_SOURCE
#include "os/signal.h"

#include "base/ptr.h"
#include "os/lock.h"
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* glibc exports its sigaction under this name too, which nobody interposes. */
int __sigaction(int number, const struct sigaction *action, struct sigaction *old);

/* The linker's: the first byte of the loaded file, and what stands behind its code. (etext would be exported.) */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char _DYNAMIC[] __attribute__((visibility("hidden")));

int neb_os_sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
    return __sigaction(number, action, old);
}

/* A fault comes again as soon as its handler returns; abort ends the process if its handler does. */
static bool can_wait(int number, const siginfo_t *info)
{
    switch (number) {
    case SIGSEGV:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGTRAP:
    case SIGSYS:
        return info->si_code <= 0; /* sent by a process */
    case SIGABRT:
        return false;
    default:
        return true;
    }
}

/* All are blocked in the meantime: this one may come again (SA_NODEFER), and others would be put off in the midst of it.
 * Of the context's mask the kernel reads one word. */
bool neb_signal_defer(int number, siginfo_t *info, void *context)
{
    ucontext_t *interrupted = context;
    sigset_t all, before;
    int saved = errno;
    if (!can_wait(number, info))
        return false;
    (void)sigfillset(&all);
    bool sent = sigprocmask(SIG_BLOCK, &all, &before) == 0;
    if (sent && syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), number, info) != 0) {
        (void)sigprocmask(SIG_SETMASK, &before, NULL);
        sent = false;
    }
    if (sent) {
        (void)sigaddset(&interrupted->uc_sigmask, number);
        neb_hold.deferred |= UINT64_C(1) << (number - 1);
    }
    errno = saved;
    return sent;
}

void neb_signals_deliver(void)
{
    sigset_t set;
    int saved = errno;
    uint64_t deferred = neb_hold.deferred;
    neb_hold.deferred = 0; /* first: the handlers run within the call below */
    atomic_signal_fence(memory_order_seq_cst);
    (void)sigemptyset(&set);
    for (int number = 1; number < SIGNAL_COUNT; number++)
        if (deferred >> (number - 1) & 1)
            (void)sigaddset(&set, number);
    (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
    errno = saved;
}

uintptr_t neb_signal_pc(const void *context)
{
    const ucontext_t *interrupted = context;
#if defined(__x86_64__)
    return (uintptr_t)interrupted->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)interrupted->uc_mcontext.pc;
#else
#error "where does the context of a handler have the program counter?"
#endif
}

uintptr_t neb_signal_sp(const void *context)
{
    const ucontext_t *interrupted = context;
#if defined(__x86_64__)
    return (uintptr_t)interrupted->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    return (uintptr_t)interrupted->uc_mcontext.sp;
#else
#error "where does the context of a handler have the stack pointer?"
#endif
}

size_t neb_signal_stack_depth(const void *context, uintptr_t address)
{
    const ucontext_t *interrupted = context;
    size_t depth = address - ptr_address(interrupted->uc_stack.ss_sp);
    return depth < interrupted->uc_stack.ss_size ? depth : 0;
}

#if defined(__x86_64__)
static enum os_access access_of(const ucontext_t *interrupted)
{
    enum { PAGE_FAULT = 14, WAS_WRITE = 2 };
    if (interrupted->uc_mcontext.gregs[REG_TRAPNO] != PAGE_FAULT)
        return ACCESS_UNKNOWN;
    return (interrupted->uc_mcontext.gregs[REG_ERR] & WAS_WRITE) != 0 ? ACCESS_WRITE : ACCESS_READ;
}
#else
/* The kernel's records follow each other until one without a name; the fault's syndrome is in one of them. */
static enum os_access access_of(const ucontext_t *interrupted)
{
    const unsigned char *at = interrupted->uc_mcontext.__reserved, *end = at + sizeof interrupted->uc_mcontext.__reserved;
    enum { WAS_WRITE = 1 << 6 };
    struct _aarch64_ctx head = {0, 0};
    struct esr_context fault;
    for (; at + sizeof fault <= end; at += head.size) {
        memcpy(&head, at, sizeof head);
        if (head.magic == 0 || head.size == 0)
            break;
        if (head.magic != ESR_MAGIC)
            continue;
        memcpy(&fault, at, sizeof fault);
        return (fault.esr & WAS_WRITE) != 0 ? ACCESS_WRITE : ACCESS_READ;
    }
    return ACCESS_UNKNOWN;
}
#endif

const char *neb_signal_access_name(const struct os_fault *fault)
{
    static const char *const names[] = {"access", "read", "write"};
    return names[fault->access];
}

struct os_fault neb_signal_fault(const siginfo_t *info, const void *context)
{
    return (struct os_fault){info->si_addr, neb_signal_pc(context), access_of(context), info->si_code > 0 && info->si_addr != NULL};
}

void neb_signal_end_by_default(int number, siginfo_t *info)
{
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    int saved = errno;
    (void)__sigaction(number, &by_default, NULL);
    if (info->si_code <= 0)
        (void)syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), number, info);
    errno = saved;
}

bool neb_os_is_own_code(uintptr_t address)
{
    return address >= ptr_address(__ehdr_start) && address < ptr_address(_DYNAMIC);
}
