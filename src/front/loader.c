/* loader.c - see loader.h. Slow, and only asked about pointers that are nobody else's. */
#define _GNU_SOURCE
#include "front/loader.h"

#include "base/ptr.h"
#include "os/maps.h"
#include <link.h>
#include <string.h>

enum {
    BLOCK_MAX = 4096, /* bytes; names, search paths, vectors of libraries */
    REACH = 65536     /* how far from a library's description the loader's other blocks lie; it maps a few pages */
};

/* The loader's own list of libraries; weak, so that the library need not depend on the loader's file. */
extern struct r_debug _r_debug __attribute__((weak));

static bool is_loader_name(const char *path)
{
    const char *name = strrchr(path, '/');
    name = name == NULL ? path : name + 1;
    return strncmp(name, "ld-linux", 8) == 0 || strncmp(name, "ld-2.", 5) == 0 || strncmp(name, "ld.so", 5) == 0 ||
           strncmp(name, "ld64.so", 7) == 0;
}

static size_t distance(uintptr_t a, uintptr_t b)
{
    return a > b ? a - b : b - a;
}

/* Libraries that are loaded later have their descriptions in this library's heap, which is not in the mapping. */
static bool has_description(const struct os_mapping *mapping, uintptr_t near)
{
    if (&_r_debug == NULL)
        return false;
    for (const struct link_map *library = _r_debug.r_map; library != NULL; library = library->l_next) {
        uintptr_t address = ptr_address(library);
        if (address >= mapping->start && address < mapping->end && distance(address, near) < REACH)
            return true;
    }
    return false;
}

static bool is_loader_mapping(const struct os_mapping *mapping, uintptr_t address)
{
    struct os_mapping before;
    if (mapping->name[0] != '\0')
        return is_loader_name(mapping->name);
    return has_description(mapping, address) ||
           (neb_os_mapping_of(mapping->start - 1, &before) && is_loader_name(before.name));
}

size_t neb_loader_size(const void *p)
{
    struct os_mapping mapping;
    uintptr_t address = ptr_address(p);
    if (!neb_os_mapping_of(address, &mapping) || !is_loader_mapping(&mapping, address))
        return 0;
    size_t left = mapping.end - address;
    return left < BLOCK_MAX ? left : BLOCK_MAX;
}

bool neb_loader_owns(const void *p)
{
    return neb_loader_size(p) != 0;
}
