/* symbols.h - frames as people know them: function, file and line, with the functions that were inlined there.
 *
 * By libdw: debug information in the file itself, in separate files (.gnu_debuglink, build-id folders), from
 * debuginfod servers where DEBUGINFOD_URLS names some, and symbol tables (.symtab, .dynsym, .gnu_debugdata)
 * where there is none.
 *
 * Law      a file that was changed since (another build id) is not asked: its frames are shown as
 *          module+0xoffset
 * Results  are kept; texts live as long as the symbols do */
#ifndef NEB_TOOL_SYMBOLS_H
#define NEB_TOOL_SYMBOLS_H

#include "tool/model.h"

struct symbol {
    const char *function; /* demangled; or module+0xoffset, or "[...]" where nothing is known; never NULL */
    const char *file;     /* NULL: not known */
    const char *module;   /* the module's name; "" where there is none */
    uint32_t line;        /* 0: not known */
    bool named;           /* the function's name is one */
    bool inlined;         /* into the next of the list */
};

struct symbols;

struct symbols *symbols_create(const struct model *model);
void symbols_destroy(struct symbols *symbols);
/* The functions that the frame stands in, innermost first; at least one. */
const struct symbol *symbols_of(struct symbols *symbols, uint32_t frame, size_t *count);
/* Modules whose file is missing or another one: one line each, on stderr. To be called when all frames were
 * looked up. */
void symbols_complain(const struct symbols *symbols);
/* Demangled without parameters, or a copy; the caller frees it. */
char *symbol_demangle(const char *name);
/* Whether a function only passes a request on to the allocator (operator new, std::allocator, xmalloc, ...):
 * reports by function name the first one that does not. */
bool symbol_passes_on(const char *function);

/* A stack as the program's functions: outermost first, inlined ones in their place. Valid until the next
 * call. */
const struct symbol *const *symbols_stack(struct symbols *symbols, uint32_t node, size_t *count);

#endif
