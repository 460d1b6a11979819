/* symbol.h - the name of a function, read from the file of its module: for error reports. */
#ifndef NEB_OS_SYMBOL_H
#define NEB_OS_SYMBOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The function that holds an address of a module's code, as the linker knows it (C++ names stay mangled). The file is
 * mapped, searched and unmapped; what it says is not trusted. base: where the module's first mapping begins. False: no
 * file, no symbols, or none there. Allocates nothing, takes no lock. */
bool neb_os_symbol_of(const char *path, uintptr_t base, uintptr_t address, char *name, size_t capacity, size_t *offset);

#endif
