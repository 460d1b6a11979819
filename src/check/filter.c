/* filter.c - see filter.h. */
#include "check/filter.h"

#include "check/stacks.h"
#include "os/process.h"
#include "os/signal.h"
#include <string.h>

static size_t size_min = 0, size_max = SIZE_MAX;
static const char *site_name; /* NULL: any */
static size_t site_name_bytes;
static uintptr_t site_first, site_last; /* offsets in the module */
static struct os_identity identity;     /* has the program's own file, which the loader leaves without a name */

/* Reads a number; the text behind it, NULL: there is none. */
static const char *number_read(const char *text, unsigned base, uint64_t *number)
{
    const char *digits = "0123456789abcdef", *digit, *begin = text;
    *number = 0;
    for (; *text != '\0' && (digit = memchr(digits, *text, base)) != NULL; text++)
        if (__builtin_mul_overflow(*number, (uint64_t)base, number) ||
            __builtin_add_overflow(*number, (uint64_t)(digit - digits), number))
            return NULL;
    return text == begin ? NULL : text;
}

/* "A" or "A-B" up to the end of the text. */
static bool range_read(const char *text, unsigned base, uint64_t *first, uint64_t *last)
{
    const char *prefix = base == 16 ? "0x" : "";
    size_t skipped = strlen(prefix);
    text = number_read(strncmp(text, prefix, skipped) == 0 ? text + skipped : text, base, first);
    *last = *first;
    if (text != NULL && *text == '-') {
        text++;
        text = number_read(strncmp(text, prefix, skipped) == 0 ? text + skipped : text, base, last);
    }
    return text != NULL && *text == '\0' && *first <= *last;
}

bool neb_filter_set_sizes(const char *text)
{
    uint64_t first, last;
    size_min = 0;
    size_max = SIZE_MAX;
    if (text == NULL)
        return true;
    if (!range_read(text, 10, &first, &last))
        return false;
    size_min = (size_t)first;
    size_max = (size_t)last;
    return true;
}

bool neb_filter_set_site(const char *text)
{
    uint64_t first = 0, last = UINT64_MAX;
    site_name = NULL;
    if (text == NULL)
        return true;
    size_t bytes = strcspn(text, "+");
    if (bytes == 0 || (text[bytes] == '+' && !range_read(text + bytes + 1, 16, &first, &last)) || !neb_os_modules_init())
        return false;
    neb_os_identity(&identity);
    site_name = text;
    site_name_bytes = bytes;
    site_first = (uintptr_t)first;
    site_last = (uintptr_t)last;
    return true;
}

bool neb_filter_takes_size(size_t size)
{
    return size >= size_min && size <= size_max;
}

/* A whole path, or what follows its last slash. */
static bool is_site_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *last = slash == NULL ? path : slash + 1;
    return (strlen(path) == site_name_bytes && memcmp(path, site_name, site_name_bytes) == 0) ||
           (strlen(last) == site_name_bytes && memcmp(last, site_name, site_name_bytes) == 0);
}

bool neb_filter_takes_stack(uint32_t stack)
{
    const uintptr_t *pcs;
    struct os_module module;
    int count = site_name == NULL ? 0 : neb_stacks_get(stack, &pcs), i = 0;
    if (site_name == NULL)
        return true;
    while (i < count && neb_os_is_own_code(pcs[i]))
        i++;
    if (i == count || !neb_os_module_of(pcs[i], &module))
        return false;
    uintptr_t offset = pcs[i] - module.base;
    return offset >= site_first && offset <= site_last && is_site_name(module.name[0] == '\0' ? identity.executable : module.name);
}
