/* kept.h - a copy of stderr, for what is said at the end: programs close theirs before.
 *
 * A child of fork gives its copy up, since whoever reads until all copies are closed, as a shell does for $(daemon 2>&1), would wait for a
 * daemon's end. It writes to stderr itself, while that is still the same file.
 *
 * Threads    keep and child: there is one; the number: any
 * Errors     without a copy stderr itself serves */
#ifndef NEB_OS_KEPT_H
#define NEB_OS_KEPT_H

#include <stdbool.h>
#include <stdint.h>

struct os_kept {
    int descriptor;         /* the copy, closed by exec; 2: there is none */
    uint64_t device, inode; /* of the file */
};
#define OS_KEPT_NONE {2, 0, 0}

void neb_os_keep_stderr(struct os_kept *kept);
/* In the child of a fork. */
void neb_os_kept_child(struct os_kept *kept);
/* Where to write; -1: nowhere, for stderr has become another file. */
int neb_os_kept(const struct os_kept *kept);

#endif
