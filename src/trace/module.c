/* module.c - see module.h. */
#include "trace/module.h"

#include "base/fmt.h"
#include "os/process.h"
#include "trace/output.h"
#include "trace/state.h"
#include "trace/varint.h"
#include <string.h>

enum { MODULES_MAX = 4096, NAME_BYTES = 1024 };

struct module {
    uintptr_t start, end, base;
    uint64_t name_hash;
};

static struct module modules[MODULES_MAX];
static uint32_t module_count, newest; /* LOCK_TRACE_DEPOT */
static struct output_stream stream = {.kind = NBT_MODULES};

static uint64_t name_hash(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return hash;
}

static bool is_same(const struct module *module, const struct os_module *found)
{
    return module->start == found->start && module->end == found->end && module->base == found->base &&
           module->name_hash == name_hash(found->name);
}

/* The loader has no name for the program itself, and none with a path for the kernel's page. */
static const char *path_of(const struct os_module *found, struct os_identity *identity)
{
    if (strncmp(found->name, "linux-vdso", 10) == 0 || strncmp(found->name, "linux-gate", 10) == 0)
        return "[vdso]";
    if (found->name[0] != '\0')
        return found->name;
    neb_os_identity(identity);
    return identity->executable;
}

static void record_write(const struct os_module *found, uint32_t number)
{
    static struct os_identity identity; /* under the lock; too large for small stacks */
    static unsigned char record[NAME_BYTES + 256], framed[NAME_BYTES + 256 + VARINT_BYTES_MAX];
    const unsigned char *id = record;
    const char *path = path_of(found, &identity);
    size_t id_bytes = neb_os_build_id(found, &id), path_bytes = strnlen(path, NAME_BYTES);
    unsigned char *at = record;
    at = varint_put(at, 1);
    at = varint_put(at, number);
    at = varint_put(at, atomic_load_explicit(&neb_trace_page.state.now_ns, memory_order_relaxed));
    at = varint_put(at, found->base);
    at = varint_put(at, found->start);
    at = varint_put(at, found->end);
    at = bytes_put(at, id, id_bytes);
    at = bytes_put(at, path, path_bytes);
    size_t count = (size_t)(at - record);
    (void)neb_output_append(&stream, framed, (size_t)(bytes_put(framed, record, count) - framed));
}

static uint32_t module_add(const struct os_module *found)
{
    if (module_count == MODULES_MAX)
        return UINT32_MAX;
    modules[module_count] = (struct module){found->start, found->end, found->base, name_hash(found->name)};
    record_write(found, module_count);
    return module_count++;
}

bool neb_module_place(uintptr_t pc, struct module_place *place)
{
    struct os_module found;
    if (!neb_os_module_of(pc, &found))
        return false;
    if (newest >= module_count || !is_same(&modules[newest], &found)) {
        uint32_t number = 0;
        while (number < module_count && !is_same(&modules[number], &found))
            number++;
        newest = number < module_count ? number : module_add(&found);
        if (newest == UINT32_MAX)
            return false;
    }
    place->number = newest;
    place->offset = pc - found.base;
    return true;
}

void neb_modules_begin(void)
{
    module_count = newest = 0;
    stream.chunk = NULL;
    (void)neb_output_append(&stream, "", 0); /* in front of the stacks: a file that is cut off has the modules first */
}

void neb_modules_finish(void)
{
    neb_output_finish(&stream);
}

void neb_modules_forget(void)
{
    neb_output_drop(&stream.chunk);
}
