/* fault.h - what is said when the program gives the allocator a pointer it must not have.
 *
 * One line on stderr that names the call, the pointer, and what it points at; then abort. Formatted without stdio
 * and without the heap. */
#ifndef NEB_HEAP_FAULT_H
#define NEB_HEAP_FAULT_H

#include "base/attr.h"
#include <stdbool.h>
#include <stddef.h>

/* Who says more than the one line, from now on: kind is "double-free", "invalid-free", ..., what begins with the call. When
 * goes_on is false the process ends after it, if it does not do that itself. */
void neb_fault_set_reporter(void (*reporter)(const char *kind, const char *what, bool goes_on));

/* Says "CALL(P): WHAT". The caller is to end the process. */
NEB_COLD void neb_fault_say(const char *kind, const char *call, const void *p, const char *what);

/* The pointer is no block in use: finds out what it is instead. call: "free", "realloc", ... */
_Noreturn NEB_COLD void neb_fault_invalid(const char *call, const void *p);
/* The block is free already. */
_Noreturn NEB_COLD void neb_fault_double_free(const char *call, const void *p);
/* The block is free already, but the call would use it. */
_Noreturn NEB_COLD void neb_fault_freed(const char *call, const void *p);
/* The size that the caller states is not that of the block. */
NEB_COLD void neb_fault_wrong_size(const char *call, const void *p, size_t stated, size_t usable);

#endif
