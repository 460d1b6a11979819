/* symbols.c - see symbols.h.
 *
 * libdw's own search for the scopes at an address walks the whole compilation unit each time, which takes
 * seconds for the frames of a large C++ program; and its search for the unit reads .debug_aranges, which
 * clang and rustc do not write. So the units of a module are listed once by their addresses, the functions of
 * a unit when the first address in it is looked up, and only the function found is searched for what is
 * inlined in it.
 *
 * Symbol tables are sorted for the same reason: libdwfl's search looks at each entry, 0.5 ms an address in a
 * compiler. */
#include "tool/symbols.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <libiberty/demangle.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INLINE_DEPTH_MAX = 64 };

struct range {
    Dwarf_Addr first, last; /* last is one beyond */
    Dwarf_Off die;
};

struct ranges { /* sorted, when they are complete */
    struct range *items;
    size_t count, room;
};

struct unit {
    Dwarf_Off die;
    struct ranges functions;
};

struct name {
    GElf_Addr first, last; /* last is one beyond; the section's end where the table has no size */
    const char *text;
    int rank; /* of names for the same address the highest is taken */
};

struct object {
    bool tried, usable, other_build;
    Dwfl *dwfl;
    Dwfl_Module *module;
    GElf_Addr bias; /* what libdwfl adds to the file's addresses */
    Dwarf_Addr dwarf_bias;
    struct name *names; /* sorted by first, then rank */
    size_t name_count, name_room;
    struct ranges unit_ranges;
    struct unit *units; /* those that were looked into */
    size_t unit_count, unit_room;
};

struct resolved {
    struct symbol *symbols;
    size_t count;
};

struct symbols {
    const struct model *model;
    struct object *objects;
    struct resolved *frames;
    struct strings texts;
    const struct symbol **stack;
    size_t stack_count, stack_room;
    uint32_t *nodes;
    size_t node_room;
    size_t looked_up;
};

static char *debuginfo_path; /* NULL: libdwfl's default, which has /usr/lib/debug */

static const Dwfl_Callbacks callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
    .section_address = dwfl_offline_section_address,
    .debuginfo_path = &debuginfo_path,
};

struct symbols *symbols_create(const struct model *model)
{
    struct symbols *symbols = tool_make(1, sizeof *symbols);
    symbols->model = model;
    symbols->objects = tool_make(model->module_count, sizeof *symbols->objects);
    symbols->frames = tool_make(model->frame_count, sizeof *symbols->frames);
    return symbols;
}

void symbols_destroy(struct symbols *symbols)
{
    for (size_t i = 0; i < symbols->model->module_count; i++) {
        struct object *object = &symbols->objects[i];
        for (size_t u = 0; u < object->unit_count; u++)
            free(object->units[u].functions.items);
        free(object->units);
        free(object->unit_ranges.items);
        free(object->names);
        if (object->dwfl != NULL)
            dwfl_end(object->dwfl);
    }
    for (size_t i = 0; i < symbols->model->frame_count; i++)
        free(symbols->frames[i].symbols);
    free(symbols->objects);
    free(symbols->frames);
    free(symbols->stack);
    free(symbols->nodes);
    strings_finish(&symbols->texts);
    free(symbols);
}

static const char *keep(struct symbols *symbols, const char *text)
{
    uint32_t id = strings_add(&symbols->texts, text);
    return symbols->texts.texts[id];
}

/* What std::string is made of says less than its name does. */
static char *with_short_strings(char *name)
{
    static const char text[] =
        "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >";
    static const char shorter[] = "std::string";
    for (char *at = name; (at = strstr(at, text)) != NULL; at += sizeof shorter - 1) {
        memcpy(at, shorter, sizeof shorter - 1);
        memmove(at + sizeof shorter - 1, at + sizeof text - 1, strlen(at + sizeof text - 1) + 1);
    }
    return name;
}

char *symbol_demangle(const char *name)
{
    char *plain = NULL;
    if (name[0] == '_' && (name[1] == 'Z' || name[1] == 'R')) /* C++ and both of Rust's schemes */
        plain = cplus_demangle(name, DMGL_AUTO | DMGL_ANSI);
    return plain != NULL ? with_short_strings(plain) : tool_copy(name, strlen(name));
}

/* ---- units and their functions ------------------------------------------------------------------------- */

static void ranges_add(struct ranges *ranges, Dwarf_Die *die)
{
    ptrdiff_t offset = 0;
    Dwarf_Addr base, first, last;
    while ((offset = dwarf_ranges(die, offset, &base, &first, &last)) > 0) {
        TOOL_ROOM(ranges->items, ranges->count, ranges->room);
        ranges->items[ranges->count++] = (struct range){first, last, dwarf_dieoffset(die)};
    }
}

static int range_compare(const void *a, const void *b)
{
    const struct range *left = a, *right = b;
    return left->first < right->first ? -1 : left->first > right->first;
}

static void ranges_sort(struct ranges *ranges)
{
    if (ranges->count > 0)
        qsort(ranges->items, ranges->count, sizeof *ranges->items, range_compare);
}

static const struct range *range_at(const struct ranges *ranges, Dwarf_Addr address)
{
    size_t low = 0, high = ranges->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (ranges->items[middle].first <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && address < ranges->items[low - 1].last ? &ranges->items[low - 1] : NULL;
}

static void units_collect(struct object *object)
{
    Dwarf_Addr bias;
    for (Dwarf_Die *cu = NULL; (cu = dwfl_module_nextcu(object->module, cu, &bias)) != NULL;) {
        object->dwarf_bias = bias;
        if (dwarf_tag(cu) == DW_TAG_compile_unit)
            ranges_add(&object->unit_ranges, cu);
    }
    ranges_sort(&object->unit_ranges);
}

static void unit_collect(struct unit *unit, Dwarf_Die *parent, unsigned depth)
{
    Dwarf_Die die;
    if (dwarf_child(parent, &die) != 0)
        return;
    do {
        int tag = dwarf_tag(&die);
        if (tag == DW_TAG_subprogram)
            ranges_add(&unit->functions, &die);
        else if (depth < INLINE_DEPTH_MAX && (tag == DW_TAG_namespace || tag == DW_TAG_class_type ||
                                              tag == DW_TAG_structure_type || tag == DW_TAG_module))
            unit_collect(unit, &die, depth + 1);
    } while (dwarf_siblingof(&die, &die) == 0);
}

static struct unit *unit_of(struct object *object, Dwarf_Die *cu)
{
    Dwarf_Off offset = dwarf_dieoffset(cu);
    for (size_t i = 0; i < object->unit_count; i++)
        if (object->units[i].die == offset)
            return &object->units[i];
    TOOL_ROOM(object->units, object->unit_count, object->unit_room);
    struct unit *unit = &object->units[object->unit_count++];
    *unit = (struct unit){.die = offset};
    unit_collect(unit, cu, 0);
    ranges_sort(&unit->functions);
    return unit;
}

/* ---- symbol tables ------------------------------------------------------------------------------------- */

enum {
    NAMES_BACK = 16
}; /* how many entries before the nearest may still hold an address: nested and aliased ones */

static int name_compare(const void *a, const void *b)
{
    const struct name *left = a, *right = b;
    if (left->first != right->first)
        return left->first < right->first ? -1 : 1;
    return left->rank < right->rank ? -1 : left->rank > right->rank;
}

static GElf_Addr section_end(Elf *elf, GElf_Word section, Dwarf_Addr bias)
{
    GElf_Shdr memory, *header = gelf_getshdr(elf_getscn(elf, section), &memory);
    return header == NULL ? 0 : header->sh_addr + header->sh_size + bias;
}

static void names_collect(struct object *object)
{
    int count = dwfl_module_getsymtab(object->module);
    for (int i = 1; i < count; i++) {
        GElf_Sym symbol;
        GElf_Addr value;
        GElf_Word section;
        Elf *elf;
        Dwarf_Addr bias;
        const char *text = dwfl_module_getsym_info(object->module, i, &symbol, &value, &section, &elf, &bias);
        unsigned type = GELF_ST_TYPE(symbol.st_info), bind = GELF_ST_BIND(symbol.st_info);
        if (text == NULL || text[0] == '\0' || symbol.st_shndx == SHN_UNDEF || elf == NULL ||
            (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE))
            continue;
        bool sized = symbol.st_size > 0;
        int rank = (sized ? 4 : 0) + (type != STT_NOTYPE ? 2 : 0) + (bind != STB_LOCAL ? 1 : 0);
        TOOL_ROOM(object->names, object->name_count, object->name_room);
        object->names[object->name_count++] = (struct name){
            value, sized ? value + symbol.st_size : section_end(elf, section, bias), text, rank};
    }
    if (object->name_count > 0)
        qsort(object->names, object->name_count, sizeof *object->names, name_compare);
}

static const char *name_at(const struct object *object, GElf_Addr address)
{
    size_t low = 0, high = object->name_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (object->names[middle].first <= address)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t back = 0; back < NAMES_BACK && back < low; back++)
        if (address < object->names[low - 1 - back].last)
            return object->names[low - 1 - back].text;
    return NULL;
}

/* ---- a module's file ----------------------------------------------------------------------------------- */

static bool build_id_agrees(Dwfl_Module *module, const struct module *wanted)
{
    const unsigned char *bits;
    GElf_Addr address;
    int bytes = dwfl_module_build_id(module, &bits, &address);
    if (wanted->build_id_bytes == 0 || bytes <= 0)
        return true; /* nothing to compare with */
    return (unsigned)bytes == wanted->build_id_bytes &&
           memcmp(bits, wanted->build_id, wanted->build_id_bytes) == 0;
}

static bool object_report(struct object *object, const struct module *module, const char *path)
{
    object->dwfl = dwfl_begin(&callbacks);
    if (object->dwfl == NULL)
        return false;
    dwfl_report_begin(object->dwfl);
    object->module = dwfl_report_offline(object->dwfl, module->name, path, -1);
    dwfl_report_end(object->dwfl, NULL, NULL);
    if (object->module != NULL && dwfl_module_getelf(object->module, &object->bias) != NULL) {
        if (build_id_agrees(object->module, module)) {
            units_collect(object);
            names_collect(object);
            return true;
        }
        object->other_build = true;
    }
    dwfl_end(object->dwfl);
    object->dwfl = NULL;
    return false;
}

static struct object *object_of(struct symbols *symbols, uint32_t number)
{
    const struct module *module = &symbols->model->modules[number];
    struct object *object = &symbols->objects[number];
    if (object->tried)
        return object;
    struct stat status;
    object->tried = true;
    if (module->path[0] != '/' || (stat(module->path, &status) == 0 && !S_ISREG(status.st_mode)))
        return object; /* [vdso]; or a pipe, which would be waited for */
    object->usable = object_report(object, module, module->path);
    if (!object->usable &&
        module->build_id_bytes > 1) { /* it was updated or removed: a separate file may still be there */
        char hex[sizeof module->build_id * 2 + 1];
        for (unsigned i = 0; i < module->build_id_bytes; i++)
            snprintf(hex + 2 * i, 3, "%02x", module->build_id[i]);
        char *path = tool_text("/usr/lib/debug/.build-id/%.2s/%s.debug", hex, hex + 2);
        bool replaced = object->other_build;
        object->usable = access(path, R_OK) == 0 && object_report(object, module, path);
        object->other_build = replaced && !object->usable;
        free(path);
    }
    return object;
}

static const char *die_name(Dwarf_Die *die)
{
    Dwarf_Attribute memory, *attribute = dwarf_attr_integrate(die, DW_AT_linkage_name, &memory);
    if (attribute == NULL)
        attribute = dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &memory);
    const char *name = attribute == NULL ? NULL : dwarf_formstring(attribute);
    return name != NULL ? name : dwarf_diename(die);
}

/* Where an inlined function was called: the number of a file in the unit's table, and a line. */
static uint32_t die_call(Dwarf_Die *die, Dwarf_Die *cu, const char **file)
{
    Dwarf_Attribute memory;
    Dwarf_Word number, line = 0;
    Dwarf_Files *files;
    size_t count;
    *file = NULL;
    if (dwarf_attr(die, DW_AT_call_file, &memory) != NULL && dwarf_formudata(&memory, &number) == 0 &&
        dwarf_getsrcfiles(cu, &files, &count) == 0 && number < count)
        *file = dwarf_filesrc(files, (size_t)number, NULL, NULL);
    if (dwarf_attr(die, DW_AT_call_line, &memory) != NULL)
        dwarf_formudata(&memory, &line);
    return (uint32_t)line;
}

/* The chain of inlined functions at an address, outermost first; how many. */
static size_t inlined_at(Dwarf_Die *function, Dwarf_Addr address, Dwarf_Die *chain, size_t count)
{
    Dwarf_Die die;
    if (count == INLINE_DEPTH_MAX || dwarf_child(function, &die) != 0)
        return count;
    do {
        int tag = dwarf_tag(&die);
        if ((tag != DW_TAG_inlined_subroutine && tag != DW_TAG_lexical_block) ||
            dwarf_haspc(&die, address) != 1)
            continue;
        if (tag == DW_TAG_inlined_subroutine)
            chain[count++] = die;
        Dwarf_Die inside = die;
        return inlined_at(&inside, address, chain, count);
    } while (dwarf_siblingof(&die, &die) == 0);
    return count;
}

static void add_symbol(struct symbols *symbols, struct resolved *resolved, const char *name,
                       struct symbol symbol)
{
    char *plain = symbol_demangle(name);
    symbol.function = keep(symbols, plain);
    symbol.named = true;
    free(plain);
    resolved->symbols = tool_resize(resolved->symbols, resolved->count + 1, sizeof *resolved->symbols);
    resolved->symbols[resolved->count++] = symbol;
}

static bool resolve_in(struct symbols *symbols, struct object *object, const struct module *module,
                       uint64_t address, struct resolved *resolved)
{
    GElf_Addr at = address + object->bias;
    const char *outer = name_at(object, at);
    const char *file = NULL;
    int line = 0;
    Dwarf_Addr bias = object->dwarf_bias;
    Dwarf *dwarf = dwfl_module_getdwarf(object->module, &bias);
    Dwarf_Die unit_die, *cu = NULL;
    const struct range *range = dwarf == NULL ? NULL : range_at(&object->unit_ranges, at - bias);
    if (range != NULL)
        cu = dwarf_offdie(dwarf, range->die, &unit_die);
    Dwarf_Line *source = cu == NULL ? NULL : dwarf_getsrc_die(cu, at - bias);
    if (source != NULL) {
        file = dwarf_linesrc(source, NULL, NULL);
        dwarf_lineno(source, &line);
    }
    struct symbol symbol = {
        .file = file == NULL ? NULL : keep(symbols, file), .line = (uint32_t)line, .module = module->name};
    range = cu == NULL ? NULL : range_at(&unit_of(object, cu)->functions, at - bias);
    if (range != NULL) {
        Dwarf_Die function, chain[INLINE_DEPTH_MAX];
        if (dwarf_offdie(dwarf, range->die, &function) != NULL) {
            size_t count = inlined_at(&function, at - bias, chain, 0);
            for (size_t i = count; i-- > 0;) {
                const char *name = die_name(&chain[i]);
                symbol.inlined = true;
                add_symbol(symbols, resolved, name == NULL ? "[inlined]" : name, symbol);
                const char *call_file;
                symbol.line = die_call(&chain[i], cu, &call_file);
                symbol.file = call_file == NULL ? NULL : keep(symbols, call_file);
            }
            symbol.inlined = false;
            const char *name = die_name(&function);
            outer = name != NULL ? name : outer;
        }
    }
    if (outer != NULL)
        add_symbol(symbols, resolved, outer, symbol);
    return resolved->count > 0;
}

static void resolve(struct symbols *symbols, uint32_t number, struct resolved *resolved)
{
    static const char *const unknown[FRAME_FIRST] = {"[root]", "[other stacks]", "[deeper frames]",
                                                     "[damaged]", "[unknown]"};
    const struct frame *frame = &symbols->model->frames[number];
    struct symbol symbol = {.module = "", .function = "[unknown code]"};
    if (number < FRAME_FIRST) {
        symbol.function = unknown[number];
    } else if (frame->module != 0) {
        const struct module *module = &symbols->model->modules[frame->module - 1];
        struct object *object = object_of(symbols, frame->module - 1);
        /* A return address may be the first byte of another function: the call stands before it. */
        uint64_t address = frame->exact || frame->address == 0 ? frame->address : frame->address - 1;
        if (object->usable && resolve_in(symbols, object, module, address, resolved))
            return;
        char *text = tool_text("%s+0x%llx", module->name, (unsigned long long)frame->address);
        symbol.function = keep(symbols, text);
        symbol.module = module->name;
        free(text);
    }
    resolved->symbols = tool_resize(NULL, 1, sizeof symbol);
    resolved->symbols[0] = symbol;
    resolved->count = 1;
}

const struct symbol *symbols_of(struct symbols *symbols, uint32_t frame, size_t *count)
{
    struct resolved *resolved = &symbols->frames[frame];
    if (resolved->count == 0) {
        progress_show("reading symbols", ++symbols->looked_up, symbols->model->frame_count);
        resolve(symbols, frame, resolved);
    }
    *count = resolved->count;
    return resolved->symbols;
}

void symbols_complain(const struct symbols *symbols)
{
    progress_end();
    for (size_t i = 0; i < symbols->model->module_count; i++)
        if (symbols->objects[i].other_build)
            tool_warn("%s was changed since: its functions are shown as addresses",
                      symbols->model->modules[i].path);
}

const struct symbol *const *symbols_stack(struct symbols *symbols, uint32_t node, size_t *count)
{
    symbols->stack_count = 0;
    size_t depth = 0;
    for (; node != NODE_ROOT; node = symbols->model->nodes[node].parent) {
        TOOL_ROOM(symbols->nodes, depth, symbols->node_room);
        symbols->nodes[depth++] = node;
    }
    while (depth-- > 0) {
        size_t inlined;
        const struct symbol *list =
            symbols_of(symbols, symbols->model->nodes[symbols->nodes[depth]].frame, &inlined);
        while (inlined-- > 0) {
            TOOL_ROOM(symbols->stack, symbols->stack_count, symbols->stack_room);
            symbols->stack[symbols->stack_count++] = &list[inlined];
        }
    }
    *count = symbols->stack_count;
    return symbols->stack;
}

bool symbol_passes_on(const char *function)
{
    static const char *const whole[] = {"malloc",
                                        "calloc",
                                        "realloc",
                                        "reallocarray",
                                        "memalign",
                                        "aligned_alloc",
                                        "posix_memalign",
                                        "valloc",
                                        "pvalloc",
                                        "strdup",
                                        "strndup",
                                        "__strdup",
                                        "__strndup",
                                        "asprintf",
                                        "vasprintf",
                                        "__vasprintf_internal",
                                        "operator new",
                                        "operator new[]",
                                        "xmalloc",
                                        "xcalloc",
                                        "xrealloc",
                                        "xstrdup",
                                        "xstrndup",
                                        "xvasprintf",
                                        "concat",
                                        "g_malloc",
                                        "g_malloc0",
                                        "g_realloc",
                                        "g_strdup",
                                        "g_slice_alloc",
                                        "g_slice_alloc0",
                                        "g_malloc_n",
                                        "g_malloc0_n",
                                        "zmalloc",
                                        "zcalloc",
                                        "zrealloc",
                                        "ztrymalloc_usable",
                                        "zmalloc_usable",
                                        "ztrymalloc",
                                        "PyMem_Malloc",
                                        "PyMem_Calloc",
                                        "PyMem_Realloc",
                                        "PyObject_Malloc",
                                        "PyObject_Calloc",
                                        "PyObject_Realloc",
                                        "_PyMem_RawMalloc",
                                        "_PyMem_RawRealloc",
                                        "PyMem_RawMalloc",
                                        "PyMem_RawRealloc",
                                        "__rust_alloc",
                                        "__rust_realloc",
                                        "__rdl_alloc",
                                        "__rdl_realloc",
                                        "sqlite3MemMalloc",
                                        "sqlite3Malloc",
                                        "sqlite3_malloc",
                                        "mallocWithAlarm",
                                        "sqlite3DbMallocRaw",
                                        "sqlite3DbMallocRawNN",
                                        "sqlite3DbMallocZero"};
    static const char *const beginning[] = {"std::allocator_traits<",
                                            "std::allocator<",
                                            "__gnu_cxx::new_allocator<",
                                            "std::__new_allocator<",
                                            "std::_Vector_base<",
                                            "__gnu_cxx::__aligned_membuf",
                                            "std::__cxx11::basic_string<",
                                            "std::string::",
                                            "std::vector<",
                                            "std::_Rb_tree<",
                                            "std::_Hashtable<",
                                            "std::__detail::_Hashtable_alloc<",
                                            "std::_Deque_base<",
                                            "std::make_unique<",
                                            "std::make_shared<",
                                            "std::__shared_count<",
                                            "std::__allocate_guarded<",
                                            "std::__cxx11::_List_base<",
                                            "alloc::alloc::",
                                            "<alloc::alloc::",
                                            "alloc::raw_vec::",
                                            "alloc::vec::Vec<",
                                            "<alloc::vec::Vec<",
                                            "hashbrown::raw::",
                                            "neb_"};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        if (strcmp(function, whole[i]) == 0)
            return true;
    for (size_t i = 0; i < sizeof beginning / sizeof beginning[0]; i++)
        if (strncmp(function, beginning[i], strlen(beginning[i])) == 0)
            return true;
    return false;
}
