/* env.h - what the process was started with, and what the kernel knows about it. Nothing here allocates. */
#ifndef NEB_OS_ENV_H
#define NEB_OS_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The value of a variable in an environment (NULL: none), or NULL; NULL also in set-uid programs, which take no
 * orders from their caller. */
const char *neb_env_value(char *const *environment, const char *name);

/* Writes all of it, as far as the descriptor takes it. */
void neb_os_write(int descriptor, const char *data, size_t count);
/* One line on stderr: "nebmalloc: ...". */
void neb_os_complain(const char *what);
/* errno, for those who keep it across system calls. */
int neb_os_error(void);
void neb_os_set_error(int error);
/* One line: "nebmalloc: PATH: what the error number means, AND". */
void neb_os_complain_file(const char *path, int error, const char *and);
/* A copy of the descriptor with a high number, closed by exec; the descriptor itself where there is none. */
int neb_os_keep_descriptor(int descriptor);
/* The same before there are threads: where it can be above the limit of open files, which is raised for the moment, so that whoever closes
 * or looks at all descriptors up to the limit meets no strange one. */
int neb_os_keep_descriptor_early(int descriptor);
_Noreturn void neb_os_abort(void);
uint64_t neb_os_process_id(void);

uint32_t neb_clock_ms(void); /* monotonic, coarse (a few ms), wraps after 49 days */

struct os_usage {
    uint64_t resident_bytes, resident_peak_bytes, minor_faults, major_faults;
};
struct os_usage neb_os_usage(void);

/* Calls handler on this signal, unless somebody asked for the signal before. */
bool neb_os_on_signal(int number, void (*handler)(int));

#endif
