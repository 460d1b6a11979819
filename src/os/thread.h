/* thread.h - to be told when a thread ends, and when the process forks. */
#ifndef NEB_OS_THREAD_H
#define NEB_OS_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Once, from a constructor: hook runs in each thread that called neb_thread_watch, in the second round of
 * its destructors, so that destructors of other libraries still find a heap. False: threads can't be watched. */
bool neb_thread_watch_init(void (*hook)(void));
/* Asks that the calling thread's end be told. Does not allocate. False: it won't be. */
bool neb_thread_watch(void);
/* One more hook, which runs right before that one; any time, the last one counts. */
void neb_thread_watch_also(void (*hook)(void));
/* And one that runs right after it. */
void neb_thread_watch_last(void (*hook)(void));
/* Once, from a constructor. */
void neb_thread_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

/* The kernel's number of the calling thread. */
uint32_t neb_os_thread_id(void);

/* The address of the calling thread's descriptor, at the top of its stack. */
uintptr_t neb_thread_self(void);
/* Bytes of thread-local storage below it, the same for each thread: that of the libraries that were there from the start. Takes the
 * loader's lock. */
size_t neb_thread_tls_bytes(void);

/* The lock of the C library's list of streams, which its fork takes after the handlers. Who holds it, as fflush(NULL) does, may wait for
 * a stream whose holder waits for memory: whoever wants it and locks of ours takes it first. One thread may take it several times. */
void neb_streams_take(void);
void neb_streams_give(void);
/* In the child of a fork: nobody holds it. */
void neb_streams_reset(void);

#endif
