/* module.h - the libraries in which frames stand, numbered in the order in which they were met; NBT_MODULES.
 *
 * Locks      the caller holds LOCK_TRACE_DEPOT
 * Failure    no module: the address is then written as it is */
#ifndef NEB_TRACE_MODULE_H
#define NEB_TRACE_MODULE_H

#include <stdbool.h>
#include <stdint.h>

struct module_place {
    uint32_t number;   /* from 0 on */
    uintptr_t offset;  /* of the address in the module's own file */
};
bool neb_module_place(uintptr_t pc, struct module_place *place);

void neb_modules_begin(void);
void neb_modules_finish(void);
void neb_modules_forget(void);

#endif
