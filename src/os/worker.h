/* worker.h - a thread of the library's own, and how others wait for it or make it see what they wrote. */
#ifndef NEB_OS_WORKER_H
#define NEB_OS_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Starts a detached thread that runs body once: all signals blocked, a small stack. False: refused. */
bool neb_worker_start(void (*body)(void));
void neb_os_sleep_ms(uint32_t ms);
/* Every other thread of the process passes a full memory barrier; false: the kernel does not do that. */
bool neb_os_barrier_all(void);
bool neb_os_barrier_all_init(void);
/* Asks that the pages read as zero in every child of fork, however it was made. False: the kernel does not do that. */
bool neb_os_wipe_on_fork(void *base, uint64_t bytes);

#endif
