/* inspect.h - what error reports need to know of the process, and how they end it. Nothing here allocates; all of it may be
 * called in signal handlers. */
#ifndef NEB_OS_INSPECT_H
#define NEB_OS_INSPECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In a copy of a process (os/snapshot.h): threads and numbers are asked of the process that it is a copy of. */
void neb_os_inspect_for(uint64_t process);
/* The process that is inspected: this one, or that. */
uint64_t neb_os_inspected(void);
/* The kernel's name of a thread of it; "" when it ended. */
void neb_os_task_name(uint32_t id, char *name, size_t capacity);
/* Bytes that an attacker cannot guess, as far as the system has them. */
void neb_os_random(void *to, size_t bytes);

struct os_image {
    char name[400];     /* path; "" for anonymous memory */
    uintptr_t base;     /* where the file's first mapping begins */
};
/* The module that holds an address of code. Slow. */
bool neb_os_image_of(uintptr_t address, struct os_image *image);

/* A descriptor with a high number, to append to; negative: could not be opened. */
int neb_os_open_append(const char *path); /* before there are threads */
/* Reads up to count bytes from the beginning of a file; -1: cannot be read. */
ptrdiff_t neb_os_read_file(const char *path, char *to, size_t count);
/* Writes all of it; false: full, closed, or broken. Never waits for a reader that is gone, nor longer than two seconds for one that
 * does not read a pipe that does not block; never gets SIGPIPE. */
bool neb_os_write_all(int descriptor, const char *data, size_t count);
/* Waits until a debugger or the user lets the process go on (SIGSTOP, SIGCONT). */
void neb_os_stop(void);
void neb_os_yield(void);

#endif
