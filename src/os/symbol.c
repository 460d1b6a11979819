/* symbol.c - see symbol.h. */
#define _GNU_SOURCE
#include "os/symbol.h"

#include "base/ptr.h"
#include "os/call.h"
#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if UINTPTR_MAX == UINT64_MAX
#define ELF(type) Elf64_##type
#else
#define ELF(type) Elf32_##type
#endif

struct image {
    unsigned char *data;
    size_t bytes;
};

static void *part(const struct image *image, uint64_t offset, uint64_t bytes)
{
    if (offset > image->bytes || bytes > image->bytes - offset || offset % sizeof(uint32_t) != 0)
        return NULL;
    return ptr_add(image->data, (size_t)offset);
}

static bool image_map(const char *path, struct image *image)
{
    struct stat status;
    int descriptor = call_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (descriptor < 0)
        return false;
    bool good = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > (off_t)sizeof(ELF(Ehdr));
    void *data = good ? mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0) : MAP_FAILED;
    (void)call_close(descriptor);
    if (data == MAP_FAILED)
        return false;
    *image = (struct image){data, (size_t)status.st_size};
    return true;
}

static const ELF(Shdr) *section_find(const struct image *image, const ELF(Ehdr) *head, uint32_t type)
{
    const ELF(Shdr) *sections = part(image, head->e_shoff, (uint64_t)head->e_shnum * sizeof *sections);
    for (unsigned i = 0; sections != NULL && i < head->e_shnum; i++)
        if (sections[i].sh_type == type && sections[i].sh_link < head->e_shnum)
            return &sections[i];
    return NULL;
}

/* A string that ends within its table. */
static const char *string_at(const struct image *image, const ELF(Shdr) *table, uint32_t offset)
{
    if (offset >= table->sh_size || table->sh_offset > image->bytes || table->sh_size > image->bytes - table->sh_offset)
        return NULL;
    const char *string = (const char *)ptr_add(image->data, (size_t)table->sh_offset + offset);
    return memchr(string, '\0', (size_t)table->sh_size - offset) == NULL ? NULL : string;
}

static bool search(const struct image *image, const ELF(Ehdr) *head, uint32_t type, uintptr_t value, char *name, size_t capacity,
                   size_t *offset)
{
    const ELF(Shdr) *table = section_find(image, head, type);
    const ELF(Shdr) *sections = part(image, head->e_shoff, (uint64_t)head->e_shnum * sizeof *sections);
    const ELF(Sym) *symbols = table == NULL ? NULL : part(image, table->sh_offset, table->sh_size);
    const ELF(Sym) *best = NULL;
    for (size_t i = 0; symbols != NULL && i < table->sh_size / sizeof *symbols; i++) {
        const ELF(Sym) *symbol = &symbols[i];
        if ((symbol->st_info & 15) == STT_FUNC && symbol->st_shndx != SHN_UNDEF && value >= symbol->st_value &&
            value - symbol->st_value < symbol->st_size)
            best = symbol;
    }
    const char *string = best == NULL ? NULL : string_at(image, &sections[table->sh_link], best->st_name);
    if (string == NULL)
        return false;
    size_t length = strlen(string);
    length = length < capacity - 1 ? length : capacity - 1;
    memcpy(name, string, length);
    name[length] = '\0';
    *offset = (size_t)(value - best->st_value);
    return true;
}

bool neb_os_symbol_of(const char *path, uintptr_t base, uintptr_t address, char *name, size_t capacity, size_t *offset)
{
    struct image image;
    if (path[0] != '/' || !image_map(path, &image))
        return false;
    const ELF(Ehdr) *head = part(&image, 0, sizeof *head);
    bool found = false;
    if (head != NULL && memcmp(head->e_ident, ELFMAG, SELFMAG) == 0 && head->e_shentsize == sizeof(ELF(Shdr))) {
        uintptr_t value = head->e_type == ET_EXEC ? address : address - base;
        found = search(&image, head, SHT_SYMTAB, value, name, capacity, offset) ||
                search(&image, head, SHT_DYNSYM, value, name, capacity, offset);
    }
    (void)munmap(image.data, image.bytes);
    return found;
}
