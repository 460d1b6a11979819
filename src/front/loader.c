/* loader.c - see loader.h. Slow, and only asked about pointers that are nobody else's. */
#include "front/loader.h"

#include "base/ptr.h"
#include "os/env.h"
#include <string.h>

enum { LOADER_BLOCK_MAX = 4096 }; /* the loader's blocks before relocation: names, search paths, vectors of libraries */

static bool is_loader_name(const char *path)
{
    const char *name = strrchr(path, '/');
    name = name == NULL ? path : name + 1;
    return strncmp(name, "ld-linux", 8) == 0 || strncmp(name, "ld-2.", 5) == 0 || strncmp(name, "ld.so", 5) == 0 ||
           strncmp(name, "ld64.so", 7) == 0;
}

size_t neb_loader_size(const void *p)
{
    struct os_mapping mapping, before;
    uintptr_t address = ptr_address(p);
    if (!neb_os_mapping_of(address, &mapping))
        return 0;
    /* The loader's data, or the anonymous pages right behind it. */
    bool is_its = is_loader_name(mapping.name) ||
                  (mapping.name[0] == '\0' && neb_os_mapping_of(mapping.start - 1, &before) && is_loader_name(before.name));
    if (!is_its)
        return 0;
    size_t left = mapping.end - address;
    return left < LOADER_BLOCK_MAX ? left : LOADER_BLOCK_MAX;
}

bool neb_loader_owns(const void *p)
{
    return neb_loader_size(p) != 0;
}
