/* os/maps.h: the mappings that there are, and what can be read of them. */
#include "os/maps.h"

#include "base/ptr.h"
#include "os/vm.h"
#include "unit/unit.h"
#include <stdio.h>
#include <sys/mman.h>

static char own_data[] = "data";

struct search {
    uintptr_t address;
    struct os_map_entry found;
    char name[256];
    uintptr_t previous_end;
    bool ascends;
};

static bool look_at(void *argument, const struct os_map_entry *entry)
{
    struct search *search = argument;
    search->ascends = search->ascends && entry->start >= search->previous_end && entry->start < entry->end;
    search->previous_end = entry->end;
    if (search->address < entry->start || search->address >= entry->end)
        return true;
    search->found = *entry;
    snprintf(search->name, sizeof search->name, "%s", entry->name);
    return false;
}

static struct search search_for(const void *address)
{
    struct search search = {.address = (uintptr_t)address, .ascends = true};
    search.found.start = 1;
    if (neb_os_maps_walk(look_at, &search))
        search.found.start = 0;
    return search;
}

START_TEST(mappings_are_listed_with_what_they_are)
{
    static int data = 7;
    void *shared = mmap(NULL, 8192, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct search search = search_for(&data);
    ck_assert(search.ascends && search.found.readable && search.found.writable && !search.found.is_shared);
    ck_assert_ptr_nonnull(strstr(search.name, "test-os-maps"));
    search = search_for(__builtin_frame_address(0)); /* a sanitizer may keep variables elsewhere */
    ck_assert_str_eq(search.name, "[stack]");
    search = search_for(shared);
    ck_assert(search.found.readable && !search.found.writable && search.found.is_shared);
    ck_assert_uint_eq(search.found.start, (uintptr_t)shared);
    ck_assert_uint_eq(search.found.end, (uintptr_t)shared + 8192);
    munmap(shared, 8192);
    ck_assert_uint_eq(search_for(shared).found.start, 0);
}
END_TEST

START_TEST(the_mapping_of_an_address_is_found_with_its_name)
{
    struct os_mapping mapping;
    int local = 0;
    ck_assert(neb_os_mapping_of(ptr_address(&local), &mapping));
    ck_assert_uint_le(mapping.start, ptr_address(&local));
    ck_assert_uint_gt(mapping.end, ptr_address(&local));
    ck_assert(neb_os_mapping_of(ptr_address(own_data), &mapping));
    ck_assert_ptr_nonnull(strstr(mapping.name, "test-os-maps"));
    unsigned char *page = neb_vm_map(neb_vm_page_size());
    ck_assert(neb_os_mapping_of(ptr_address(page), &mapping));
    ck_assert_str_eq(mapping.name, "");
    ck_assert(!neb_os_mapping_of(0, &mapping));
    ck_assert(neb_vm_unmap(page, neb_vm_page_size()));
    ck_assert(!neb_os_mapping_of(ptr_address(page), &mapping));
}
END_TEST

START_TEST(memory_is_read_up_to_what_cannot_be)
{
    size_t page = neb_vm_page_size();
    struct os_memory memory;
    char to[16];
    char *pages = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(pages + page - 5, "hello", 5);
    ck_assert(mprotect(pages, page, PROT_READ) == 0);
    ck_assert(munmap(pages + page, page) == 0);
    neb_os_memory_prepare(&memory);
    ck_assert(neb_os_memory_open(&memory));
    ck_assert_uint_eq(neb_os_memory_read(&memory, (uintptr_t)(pages + page - 5), to, sizeof to), 5);
    ck_assert_mem_eq(to, "hello", 5);
    ck_assert_uint_eq(neb_os_memory_read(&memory, (uintptr_t)(pages + page), to, sizeof to), 0);
    neb_os_memory_close(&memory);
    munmap(pages, page);
    munmap(pages + 2 * page, page);
}
END_TEST

static size_t bytes_of(const struct os_memory *memory, bool is_shared, const char *from, const char *to)
{
    size_t bytes = 0;
    for (uintptr_t at = (uintptr_t)from; at < (uintptr_t)to;) {
        struct os_stretch own = neb_os_memory_pages(memory, is_shared, at, (uintptr_t)to);
        ck_assert(own.start >= at && own.end >= own.start && own.end > at && own.end <= (uintptr_t)to);
        bytes += own.end - own.start;
        at = own.end;
    }
    return bytes;
}

static void pages_are_told(bool is_shared)
{
    enum { PAGES = 2000 };
    size_t page = neb_vm_page_size();
    struct os_memory memory;
    char *pages = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, (is_shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);
    (void)madvise(pages, PAGES * page, MADV_NOHUGEPAGE);
    neb_os_memory_prepare(&memory);
    ck_assert(neb_os_memory_open(&memory));
    if ((is_shared ? memory.shared_pages : memory.pages) < 0) { /* the kernel does not tell: all of them count */
        ck_assert_uint_eq(bytes_of(&memory, is_shared, pages, pages + PAGES * page), PAGES * page);
        return;
    }
    ck_assert_uint_eq(bytes_of(&memory, is_shared, pages, pages + PAGES * page), 0);
    pages[3 * page] = pages[4 * page] = pages[700 * page + 5] = pages[(PAGES - 1) * page] = 1;
    ck_assert_uint_eq(bytes_of(&memory, is_shared, pages, pages + PAGES * page), 4 * page);
    ck_assert_uint_eq(bytes_of(&memory, is_shared, pages + 3 * page + 8, pages + 4 * page + 8), page);
    ck_assert_uint_eq(bytes_of(&memory, is_shared, pages + 5 * page, pages + 6 * page - 1), 0);
    ck_assert_uint_eq(bytes_of(&memory, is_shared, pages, pages), 0);
    neb_os_memory_close(&memory);
    munmap(pages, PAGES * page);
}

START_TEST(private_pages_that_nobody_wrote_to_are_passed_over)
{
    pages_are_told(false);
}
END_TEST

START_TEST(shared_pages_that_nobody_touched_are_passed_over)
{
    pages_are_told(true);
}
END_TEST

UNIT_MAIN("maps", HOLDS(mappings_are_listed_with_what_they_are), HOLDS(the_mapping_of_an_address_is_found_with_its_name),
          HOLDS(memory_is_read_up_to_what_cannot_be),
          HOLDS(private_pages_that_nobody_wrote_to_are_passed_over),
          HOLDS(shared_pages_that_nobody_touched_are_passed_over))
