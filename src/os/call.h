/* call.h - what libc makes cancellation points, without that: malloc and free are none.
 *
 * A thread that was asked to end (pthread_cancel) would otherwise do so in the middle of a complaint, a look at a file or the
 * growth of a trace, with our locks held. The request stays and is met at the program's next cancellation point.
 *
 * Threads    any, also in signal handlers
 * Errors     as of the call of the same name; errno is the call's */
#ifndef NEB_OS_CALL_H
#define NEB_OS_CALL_H

#include "base/attr.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* call_NAME, for a function of that name. */
#define NEB_CALL(type, name, parameters, arguments)                       \
    NEB_INLINE type call_##name parameters                                \
    {                                                                     \
        int before;                                                       \
        (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);    \
        type result = name arguments;                                     \
        (void)pthread_setcancelstate(before, &before);                    \
        return result;                                                    \
    }

NEB_CALL(int, open, (const char *path, int flags, unsigned mode), (path, flags, mode))
NEB_CALL(int, close, (int descriptor), (descriptor))
NEB_CALL(ssize_t, read, (int descriptor, void *to, size_t bytes), (descriptor, to, bytes))
NEB_CALL(ssize_t, write, (int descriptor, const void *from, size_t bytes), (descriptor, from, bytes))
NEB_CALL(ssize_t, pread, (int descriptor, void *to, size_t bytes, off_t at), (descriptor, to, bytes, at))
NEB_CALL(ssize_t, pwrite, (int descriptor, const void *from, size_t bytes, off_t at), (descriptor, from, bytes, at))
NEB_CALL(int, poll, (struct pollfd *wanted, nfds_t count, int milliseconds), (wanted, count, milliseconds))
NEB_CALL(int, nanosleep, (const struct timespec *time, struct timespec *left), (time, left))
NEB_CALL(int, sigtimedwait, (const sigset_t *set, siginfo_t *info, const struct timespec *time), (set, info, time))
NEB_CALL(pid_t, waitpid, (pid_t child, int *status, int options), (child, status, options))
NEB_CALL(ssize_t, getrandom, (void *to, size_t bytes, unsigned flags), (to, bytes, flags))

#endif
