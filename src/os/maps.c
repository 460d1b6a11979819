/* maps.c - see maps.h. */
#define _GNU_SOURCE
#include "os/maps.h"

#include "base/fmt.h"
#include "os/call.h"
#include "os/vm.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static uintptr_t hex_take(const char **at)
{
    uintptr_t value = 0;
    for (; **at != '-' && **at != ' ' && **at != '\0'; ++*at)
        value = value * 16 + (uintptr_t)(**at <= '9' ? **at - '0' : **at - 'a' + 10);
    return value;
}

/* start-end rwxp offset device inode      name */
static struct os_map_entry entry_of(const char *line)
{
    struct os_map_entry entry = {.start = hex_take(&line)};
    line += *line == '-';
    entry.end = hex_take(&line);
    line += strspn(line, " ");
    if (strlen(line) >= 4) {
        entry.readable = line[0] == 'r';
        entry.writable = line[1] == 'w';
        entry.is_shared = line[3] == 's';
    }
    for (int field = 0; field < 4; field++) {
        line += strcspn(line, " ");
        line += strspn(line, " ");
    }
    entry.name = line;
    return entry;
}

/* A name that is too long for the line is cut off. */
bool neb_os_maps_walk(bool (*visit)(void *argument, const struct os_map_entry *entry), void *argument)
{
    char input[1024], line[512];
    size_t length = 0;
    ssize_t count;
    bool goes_on = true;
    int descriptor = call_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
    if (descriptor < 0)
        return true;
    while (goes_on && (count = call_read(descriptor, input, sizeof input)) > 0)
        for (ssize_t i = 0; i < count && goes_on; i++) {
            if (input[i] != '\n') {
                if (length + 1 < sizeof line)
                    line[length++] = input[i];
                continue;
            }
            line[length] = '\0';
            length = 0;
            struct os_map_entry entry = entry_of(line);
            goes_on = visit(argument, &entry);
        }
    (void)call_close(descriptor);
    return goes_on;
}

struct search {
    uintptr_t address;
    struct os_mapping *found;
};

static bool entry_compare(void *argument, const struct os_map_entry *entry)
{
    struct search *search = argument;
    if (search->address < entry->start || search->address >= entry->end)
        return true;
    search->found->start = entry->start;
    search->found->end = entry->end;
    struct text name = neb_text_in(search->found->name, sizeof search->found->name);
    neb_text_string(&name, entry->name);
    return false;
}

bool neb_os_mapping_of(uintptr_t address, struct os_mapping *mapping)
{
    struct search search = {address, mapping};
    return !neb_os_maps_walk(entry_compare, &search);
}

/* ---- contents -------------------------------------------------------------------------------------------------------------- */

static int page_list_open(void)
{
    return call_open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0);
}

void neb_os_memory_prepare(struct os_memory *memory)
{
    *memory = (struct os_memory){-1, -1, page_list_open()};
}

bool neb_os_memory_open(struct os_memory *memory)
{
    memory->contents = call_open("/proc/self/mem", O_RDONLY | O_CLOEXEC, 0);
    memory->pages = page_list_open();
    return memory->contents >= 0;
}

static void descriptor_close(int descriptor)
{
    if (descriptor >= 0)
        (void)call_close(descriptor);
}

void neb_os_memory_close(const struct os_memory *memory)
{
    descriptor_close(memory->contents);
    descriptor_close(memory->pages);
    descriptor_close(memory->shared_pages);
}

static size_t read_at(int descriptor, void *to, size_t bytes, uintptr_t offset)
{
    ssize_t count;
    do
        count = call_pread(descriptor, to, bytes, (off_t)offset);
    while (count < 0 && errno == EINTR);
    return count < 0 ? 0 : (size_t)count;
}

size_t neb_os_memory_read(const struct os_memory *memory, uintptr_t address, void *to, size_t bytes)
{
    return read_at(memory->contents, to, bytes, address);
}

/* As Documentation/admin-guide/mm/pagemap.rst of the kernel has it. */
static bool is_there(uint64_t page, bool is_shared)
{
    bool is_present = page >> 63 != 0, is_swapped = (page >> 62 & 1) != 0, is_of_file_or_shared = (page >> 61 & 1) != 0;
    return (is_present || is_swapped) && (is_shared || !is_of_file_or_shared);
}

struct os_stretch neb_os_memory_pages(const struct os_memory *memory, bool is_shared, uintptr_t start, uintptr_t end)
{
    enum { PAGES_AT_ONCE = 512 };
    uint64_t pages[PAGES_AT_ONCE];
    uintptr_t page_bytes = neb_vm_page_size(), first_page = start / page_bytes;
    if (start >= end)
        return (struct os_stretch){start, end};
    size_t wanted = (end - 1) / page_bytes + 1 - first_page;
    wanted = wanted < PAGES_AT_ONCE ? wanted : PAGES_AT_ONCE;
    int list = is_shared ? memory->shared_pages : memory->pages;
    size_t count = list < 0 ? 0 : read_at(list, pages, wanted * sizeof *pages, first_page * sizeof *pages) / sizeof *pages;
    if (count == 0)
        return (struct os_stretch){start, end};
    size_t first = 0, last;
    while (first < count && !is_there(pages[first], is_shared))
        first++;
    for (last = first; last < count && is_there(pages[last], is_shared);)
        last++;
    uintptr_t from = (first_page + first) * page_bytes, to = (first_page + last) * page_bytes;
    return (struct os_stretch){from < start ? start : from < end ? from : end, to < end ? to : end};
}
