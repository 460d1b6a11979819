/* fence.c - see fence.h. */
#include "os/fence.h"

#include "os/inspect.h"
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13; older kernels answer EINVAL */
#define MADV_GUARD_REMOVE 103
#endif

enum { MAPPINGS_USUAL = 65530 };

size_t neb_fence_mappings_max(void)
{
    char digits[24];
    ptrdiff_t count = neb_os_read_file("/proc/sys/vm/max_map_count", digits, sizeof digits);
    size_t mappings = 0;
    for (ptrdiff_t i = 0; i < count && digits[i] >= '0' && digits[i] <= '9'; i++)
        mappings = mappings * 10 + (size_t)(digits[i] - '0');
    return mappings == 0 ? MAPPINGS_USUAL : mappings;
}

size_t neb_fence_space_max(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return SIZE_MAX;
    return (size_t)limit.rlim_cur;
}

bool neb_fence_close(void *base, size_t bytes)
{
    return mmap(base, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
}

bool neb_fence_lay(void *base, size_t bytes)
{
    return madvise(base, bytes, MADV_GUARD_INSTALL) == 0;
}

bool neb_fence_lift(void *base, size_t bytes)
{
    return madvise(base, bytes, MADV_GUARD_REMOVE) == 0;
}
