/* file.h - a file to record into, which goes when the claim's process ends. */
#ifndef NEB_TESTS_TRACE_FILE_H
#define NEB_TESTS_TRACE_FILE_H

#include "os/process.h"
#include "trace/depot.h"
#include "trace/output.h"
#include "unit/unit.h"
#include <stdio.h>
#include <unistd.h>

/* Opens it, and begins the depot. */
static inline void file_begin(void)
{
    static struct nbt_file first;
    char name[] = "/tmp/test-trace-XXXXXX", path[64];
    ck_assert_ptr_nonnull(mkdtemp(name));
    (void)snprintf(path, sizeof path, "%s/out.nbt", name);
    ck_assert_int_eq(neb_output_open(path, &first), 0);
    (void)unlink(path);
    (void)rmdir(name);
    if (!neb_os_modules_init())
        ck_abort_msg("this glibc has no _dl_find_object");
    neb_depot_begin();
}

#endif
