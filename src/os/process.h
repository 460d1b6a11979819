/* process.h - what the kernel knows of this process and thread. Nothing here allocates; any thread. */
#ifndef NEB_OS_PROCESS_H
#define NEB_OS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct os_identity {
    uint64_t process, parent, user, processors;
    char executable[1024]; /* absolute path; "" where /proc is missing */
    char folder[1024];     /* the working directory */
    char host[65];
    const char *architecture;
};
void neb_os_identity(struct os_identity *identity);
/* The command line: its arguments one behind the other, each with a NUL; bytes, 0 where /proc is missing. */
size_t neb_os_arguments(char *into, size_t bytes);
/* Of the calling thread; at most 15 characters and a NUL. */
void neb_os_thread_name(char into[16]);
bool neb_os_process_lives(uint64_t process);
uint64_t neb_os_user(void);
/* fork, by the system call alone: no handler runs. The parent gets end_signal when the child ends; 0: none, and only a wait with __WALL
 * sees it. The child's number, 0 in the child, negative when it is refused. */
int neb_os_bare_fork(int end_signal);
/* From a function that exit calls: streams are written out, and the process ends with another status. */
_Noreturn void neb_os_end_exit(int status);

/* Whether eight bytes at an address that is a multiple of 8 can be read: asks the kernel, some 60 ns. False also
 * where it does not tell. Keeps errno. */
bool neb_os_can_read(const void *address);

/* A module around a program counter, from the loader's table that is read without locks (glibc 2.35 and later). */
struct os_module {
    const unsigned char *map; /* first byte of its first mapping, the ELF header; with gaps between them: of that around pc */
    uintptr_t start, end;     /* addresses of its mappings */
    uintptr_t base;           /* what is added to the file's addresses */
    const char *name;         /* as the loader has it; "" for the program itself */
    const unsigned char *unwind; /* its .eh_frame_hdr; NULL: none */
};
/* Any thread, any context, even while the loader's lock is held. False: nobody's. */
bool neb_os_module_of(uintptr_t pc, struct os_module *module);
/* Once, before the first use; false: this glibc has no such table. */
bool neb_os_modules_init(void);
/* A number that changes whenever a library was loaded or unloaded. Takes the loader's lock: not while allocating. */
uint64_t neb_os_modules_generation(void);
/* Length of the build id of a module, and where it is; 0: it has none. */
size_t neb_os_build_id(const struct os_module *module, const unsigned char **id);

#endif
