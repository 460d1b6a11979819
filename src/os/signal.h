/* signal.h - signals: putting one off, and what a handler's context says about the code that it interrupted.
 *
 * Law  a signal that is put off is sent to the thread again, as the kernel's own queue has it, and blocked; it is
 *      delivered when neb_signals_deliver unblocks it, with its siginfo and with the context of that moment */
#ifndef NEB_OS_SIGNAL_H
#define NEB_OS_SIGNAL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIGNAL_COUNT = 65 }; /* numbers 1 to 64 */

/* libc's sigaction, whoever has interposed it; its answer and errno. */
int neb_os_sigaction(int number, const struct sigaction *action, struct sigaction *old);

/* From the handler: puts the signal off until the thread holds no lock. False: it cannot wait, since it is about the
 * very instruction that was interrupted (a fault, abort), or the system refuses. errno is kept. */
bool neb_signal_defer(int number, siginfo_t *info, void *context);
/* Lets what was put off come now. errno is kept. */
void neb_signals_deliver(void);

/* Where the interrupted code was, and its stack pointer. */
uintptr_t neb_signal_pc(const void *context);
uintptr_t neb_signal_sp(const void *context);
/* How far above the beginning of the alternate signal stack the address is; 0: it is not on it. */
size_t neb_signal_stack_depth(const void *context, uintptr_t address);
/* What a fault was about. */
enum os_access { ACCESS_UNKNOWN, ACCESS_READ, ACCESS_WRITE };
struct os_fault {
    const void *address;
    uintptr_t instruction;
    enum os_access access; /* where the processor tells */
    bool has_address;      /* false: the signal was sent, or the address is none that a processor tells */
};
/* "read", "write", or "access". */
const char *neb_signal_access_name(const struct os_fault *fault);
struct os_fault neb_signal_fault(const siginfo_t *info, const void *context);
/* From the handler of a fault: what would happen without one. The instruction faults again as soon as the handler returns; a
 * signal that was sent is sent again. */
void neb_signal_end_by_default(int number, siginfo_t *info);

/* Whether an address is in the code of this library (or of the program that it is linked into). */
bool neb_os_is_own_code(uintptr_t address);

#endif
