/* kept.c - see kept.h. */
#include "os/kept.h"

#include "os/call.h"
#include "os/env.h"
#include <sys/stat.h>

static bool is_same_file(const struct os_kept *kept)
{
    struct stat status;
    return fstat(STDERR_FILENO, &status) == 0 && (uint64_t)status.st_dev == kept->device && (uint64_t)status.st_ino == kept->inode;
}

void neb_os_keep_stderr(struct os_kept *kept)
{
    struct stat status;
    kept->descriptor = neb_os_keep_descriptor_early(STDERR_FILENO);
    if (kept->descriptor == STDERR_FILENO || fstat(kept->descriptor, &status) != 0)
        return;
    kept->device = (uint64_t)status.st_dev;
    kept->inode = (uint64_t)status.st_ino;
}

void neb_os_kept_child(struct os_kept *kept)
{
    if (kept->descriptor == STDERR_FILENO || !is_same_file(kept))
        return; /* the program closed or replaced stderr before: the copy is all there is */
    (void)call_close(kept->descriptor);
    kept->descriptor = STDERR_FILENO;
}

int neb_os_kept(const struct os_kept *kept)
{
    bool was_copied = kept->device != 0 || kept->inode != 0;
    return kept->descriptor != STDERR_FILENO || !was_copied || is_same_file(kept) ? kept->descriptor : -1;
}
