/* file.h - a file that grows and is written through shared mappings, so that what is in it survives the process.
 *
 * The descriptor has a high number and is closed by exec. Programs close descriptors that are not theirs: each growth
 * makes sure that the number still means this file, and opens it anew if not.
 *
 * Threads    the caller's lock; nothing here allocates
 * Errors     an errno value, 0 for success */
#ifndef NEB_OS_FILE_H
#define NEB_OS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OS_PATH_BYTES = 1024 };
enum { OS_NO_MEMORY = 12, OS_EXISTS = 17, OS_TOO_BIG = 27, OS_NAME_TOO_LONG = 36 }; /* errno values that others than os/ tell apart */

struct os_file {
    int descriptor; /* -1: not open */
    uint64_t device, inode;
    char path[OS_PATH_BYTES]; /* absolute */
};

/* Creates the file for its user alone; EEXIST when there is one of that name. A relative path is taken from the
 * working directory of now. */
int neb_file_create(struct os_file *file, const char *path);
/* Makes bytes from offset on part of the file, with disk space behind them: a write through a mapping cannot fail
 * for want of it. EFBIG instead of SIGXFSZ where the file would exceed the process's limit. */
int neb_file_reserve(struct os_file *file, uint64_t offset, size_t bytes);
/* A part of the file, readable and writable, shared; NULL: refused. Multiples of the page size. */
void *neb_file_map(struct os_file *file, uint64_t offset, size_t bytes);
/* Cuts the file off behind so many bytes. */
int neb_file_cut(struct os_file *file, uint64_t bytes);
/* A copy of the first bytes under another name, which is left alone when it exists (EEXIST); in it, the 32-bit word at
 * an offset is another one. */
int neb_file_copy(struct os_file *file, uint64_t bytes, const char *path, uint64_t word_at, uint32_t word);
void neb_file_close(struct os_file *file);

/* The first bytes of a regular file; how many there were, or -1. */
ptrdiff_t neb_file_peek(const char *path, void *into, size_t bytes);
bool neb_file_remove(const char *path);
/* Reads a small regular file that belongs to this process's user, in a folder that is this user's alone, and removes
 * it. Length, or -1: there is no such file. NUL-terminated. */
ptrdiff_t neb_file_take_request(const char *folder, const char *path, char *into, size_t bytes);

#endif
