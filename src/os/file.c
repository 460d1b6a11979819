/* file.c - see file.h. */
#define _GNU_SOURCE
#include "os/file.h"

#include "base/fmt.h"
#include "os/call.h"
#include "os/env.h"
#include "os/vm.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

NEB_CALL(int, fallocate, (int descriptor, int mode, off_t at, off_t bytes), (descriptor, mode, at, bytes))

static bool is_same_file(const struct os_file *file, int descriptor)
{
    struct stat status;
    return fstat(descriptor, &status) == 0 && (uint64_t)status.st_dev == file->device &&
           (uint64_t)status.st_ino == file->inode;
}

/* The path as it will be found again after a change of the working directory. */
static int path_make_absolute(char into[OS_PATH_BYTES], const char *path)
{
    char folder[OS_PATH_BYTES];
    struct text text = neb_text_in(into, OS_PATH_BYTES);
    if (path[0] != '/') {
        if (getcwd(folder, sizeof folder) == NULL)
            return errno;
        neb_text_string(&text, folder);
        neb_text_string(&text, "/");
    }
    neb_text_string(&text, path);
    return text.length + 1 < text.capacity ? 0 : ENAMETOOLONG;
}

static int descriptor_raise(int descriptor)
{
    int high = neb_os_keep_descriptor(descriptor);
    if (high != descriptor)
        (void)call_close(descriptor);
    return high;
}

int neb_file_create(struct os_file *file, const char *path)
{
    struct stat status;
    file->descriptor = -1;
    int error = path_make_absolute(file->path, path);
    if (error != 0)
        return error;
    int descriptor = call_open(file->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (descriptor < 0)
        return errno;
    file->descriptor = descriptor_raise(descriptor);
    if (fstat(file->descriptor, &status) != 0)
        return errno;
    file->device = (uint64_t)status.st_dev;
    file->inode = (uint64_t)status.st_ino;
    return 0;
}

/* Whether the descriptor is ours still; opened anew where the program closed it. */
static bool descriptor_ensure(struct os_file *file)
{
    if (file->descriptor >= 0 && is_same_file(file, file->descriptor))
        return true;
    int descriptor = call_open(file->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0);
    if (descriptor < 0)
        return false;
    if (!is_same_file(file, descriptor)) {
        (void)call_close(descriptor);
        return false;
    }
    file->descriptor = descriptor_raise(descriptor);
    return true;
}

static int zeros_write(int descriptor, uint64_t offset, size_t bytes)
{
    static const char zeros[4096];
    while (bytes > 0) {
        size_t part = bytes < sizeof zeros ? bytes : sizeof zeros;
        ssize_t written = call_pwrite(descriptor, zeros, part, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? errno : ENOSPC;
        offset += (uint64_t)written;
        bytes -= (size_t)written;
    }
    return 0;
}

int neb_file_reserve(struct os_file *file, uint64_t offset, size_t bytes)
{
    struct rlimit limit;
    if (!descriptor_ensure(file))
        return EBADF;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && offset + bytes > limit.rlim_cur)
        return EFBIG;
    int result;
    do
        result = call_fallocate(file->descriptor, 0, (off_t)offset, (off_t)bytes) == 0 ? 0 : errno;
    while (result == EINTR);
    if (result == EOPNOTSUPP || result == ENOSYS || result == EPERM || result == EINVAL)
        return zeros_write(file->descriptor, offset, bytes);
    return result;
}

void *neb_file_map(struct os_file *file, uint64_t offset, size_t bytes)
{
    if (!descriptor_ensure(file))
        return NULL;
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file->descriptor, (off_t)offset);
    return base == MAP_FAILED ? NULL : base;
}

int neb_file_cut(struct os_file *file, uint64_t bytes)
{
    if (!descriptor_ensure(file))
        return EBADF;
    return ftruncate(file->descriptor, (off_t)bytes) == 0 ? 0 : errno;
}

static int copy_bytes(int from, int to, uint64_t bytes)
{
    char buffer[16384];
    off_t at = 0;
    while ((uint64_t)at < bytes) {
        size_t part = bytes - (uint64_t)at < sizeof buffer ? (size_t)(bytes - (uint64_t)at) : sizeof buffer;
        ssize_t count = call_pread(from, buffer, part, at);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return count < 0 ? errno : EIO;
        ssize_t written = call_pwrite(to, buffer, (size_t)count, at);
        if (written != count)
            return written < 0 ? errno : ENOSPC;
        at += count;
    }
    return 0;
}

_Static_assert(OS_NO_MEMORY == ENOMEM && OS_EXISTS == EEXIST && OS_TOO_BIG == EFBIG && OS_NAME_TOO_LONG == ENAMETOOLONG,
               "as the kernel has them");

int neb_file_copy(struct os_file *file, uint64_t bytes, const char *path, uint64_t word_at, uint32_t word)
{
    struct rlimit limit;
    if (!descriptor_ensure(file))
        return EBADF;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && bytes > limit.rlim_cur)
        return EFBIG;
    int to = call_open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (to < 0)
        return errno;
    int error = copy_bytes(file->descriptor, to, bytes);
    if (error == 0 && call_pwrite(to, &word, sizeof word, (off_t)word_at) != sizeof word)
        error = errno;
    if (error != 0)
        (void)unlink(path); /* no half-written files */
    (void)call_close(to);
    return error;
}

void neb_file_close(struct os_file *file)
{
    if (file->descriptor >= 0 && is_same_file(file, file->descriptor))
        (void)call_close(file->descriptor);
    file->descriptor = -1;
}

ptrdiff_t neb_file_peek(const char *path, void *into, size_t bytes)
{
    struct stat status;
    int descriptor = call_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0);
    if (descriptor < 0)
        return -1;
    ssize_t count = -1;
    if (fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode))
        count = call_pread(descriptor, into, bytes, 0);
    (void)call_close(descriptor);
    return count;
}

bool neb_file_remove(const char *path)
{
    return unlink(path) == 0;
}

static bool folder_is_ours(const char *folder)
{
    struct stat status;
    return lstat(folder, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
           (status.st_mode & 077) == 0;
}

ptrdiff_t neb_file_take_request(const char *folder, const char *path, char *into, size_t bytes)
{
    struct stat status;
    if (!folder_is_ours(folder))
        return -1;
    int descriptor = call_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0);
    if (descriptor < 0)
        return -1;
    ssize_t count = -1;
    if (fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid())
        count = call_pread(descriptor, into, bytes - 1, 0);
    (void)call_close(descriptor);
    (void)unlink(path);
    if (count >= 0)
        into[count] = '\0';
    return count;
}
