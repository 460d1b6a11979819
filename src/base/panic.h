/* panic.h - what happens when the allocator finds its own state wrong.
 *
 * CHECK stays on in every policy: it guards metadata, is cheap, and is never a hint to the optimiser. ASSERT is
 * for builds without NDEBUG. Both end in one line on stderr and abort. */
#ifndef NEB_BASE_PANIC_H
#define NEB_BASE_PANIC_H

#include "base/attr.h"

/* Writes one line and aborts; defined in os/, the room with the system calls. */
_Noreturn NEB_COLD void neb_panic(const char *file, int line, const char *what);

#define CHECK(condition) (NEB_LIKELY(condition) ? (void)0 : neb_panic(__FILE__, __LINE__, #condition))
#ifdef NDEBUG
#define ASSERT(condition) ((void)sizeof(condition))
#else
#define ASSERT(condition) CHECK(condition)
#endif

#endif
