/* interposed.c - every entry point that the library documents is the one a program gets.
 *
 * A library that is mapped but does not interpose (a versioned symbol, a forgotten alias) passes all other tests:
 * they would run on glibc's malloc. So ask the loader where each symbol leads.
 *
 * Alone: without the library there is nothing to find
 */
#include "claim.h"
#include <dlfcn.h>

static const char *const symbols[] = {
    "malloc",        "free",          "calloc",    "realloc",            "reallocarray",
    "memalign",      "aligned_alloc", "valloc",    "posix_memalign",     "pvalloc",
    "cfree",         "free_sized",    "mallopt",   "malloc_usable_size", "free_aligned_sized",
    "mallinfo",      "mallinfo2",     "malloc_info", "malloc_stats",     "malloc_trim",
    /* operator new: plain, array; throwing, nothrow; aligned, aligned nothrow */
    "_Znwm", "_Znam", "_ZnwmRKSt9nothrow_t", "_ZnamRKSt9nothrow_t",
    "_ZnwmSt11align_val_t", "_ZnamSt11align_val_t",
    "_ZnwmSt11align_val_tRKSt9nothrow_t", "_ZnamSt11align_val_tRKSt9nothrow_t",
    /* operator delete: plain, sized, nothrow; aligned, sized aligned, nothrow aligned */
    "_ZdlPv", "_ZdaPv", "_ZdlPvm", "_ZdaPvm", "_ZdlPvRKSt9nothrow_t", "_ZdaPvRKSt9nothrow_t",
    "_ZdlPvSt11align_val_t", "_ZdaPvSt11align_val_t", "_ZdlPvmSt11align_val_t", "_ZdaPvmSt11align_val_t",
    "_ZdlPvSt11align_val_tRKSt9nothrow_t", "_ZdaPvSt11align_val_tRKSt9nothrow_t",
};

int main(void)
{
    const char *library = getenv("PRELOADED");

    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *address = dlsym(RTLD_DEFAULT, symbols[i]);
        char path[4096] = "";
        Dl_info where;

        if (address != NULL && dladdr(address, &where) != 0 && realpath(where.dli_fname, path) == NULL)
            path[0] = '\0';
        claim_ours(symbols[i], library != NULL && strcmp(path, library) == 0);
    }
    return 0;
}
