/* snapshot.h - a copy of this process that stands still, to be looked at.
 *
 *   the other threads are asked, by a signal, to wait in its handler: the kernel puts their registers on their stacks
 *   --> the process is copied (a bare fork: nobody's handlers run) --> they go on; the copy runs one function and ends
 *
 * Law  the copy has one thread, and its memory is all of the process's at one moment; what it writes there nobody sees but itself.
 *      It may use what needs no lock of the C library, and our own, once they were reset
 *
 * Threads    one caller, once in a process, who holds all our locks: no other thread is inside of the allocator then
 * Failure    a thread that does not answer within a second (it blocks the signal) goes on running, and is counted: what it
 *            has in registers only is unknown. No process, no free signal: said by the answer */
#ifndef NEB_OS_SNAPSHOT_H
#define NEB_OS_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

/* A thread of the process, in the order in which they came to wait. */
struct os_standing {
    const struct os_standing *next;
    uint32_t thread;
    uintptr_t stack;   /* what of its stack is in use begins here */
    uintptr_t context; /* and here, where the signal came on another stack: its registers stand above */
};

struct os_snapshot {
    const struct os_standing *standing; /* the caller's own is the first; all of them lie on their stacks */
    size_t unasked;                     /* threads that did not answer */
};

enum { SNAPSHOT_REFUSED = -1, SNAPSHOT_DIED = -2 };

/* Runs look in the copy; its answer, 0 to 255, or one of those above. */
int neb_os_snapshot(int (*look)(void *argument, const struct os_snapshot *snapshot), void *argument);

#endif
