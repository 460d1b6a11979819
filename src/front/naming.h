/* naming.h - what the files of recording are called. */
#ifndef NEB_FRONT_NAMING_H
#define NEB_FRONT_NAMING_H

#include "base/fmt.h"
#include <stdbool.h>
#include <stddef.h>

#define NAMING_DEFAULT "nebmalloc.%e.%p.nbt"

/* pattern with %e, %p and %% filled in; false: it does not fit, or has another %. */
bool neb_naming_expand(const char *pattern, const char *executable, uint64_t process, char *into, size_t bytes);
/* "app.nbt", "dump", 3 -> "app.dump-3.nbt"; word may be "". False: it does not fit. */
bool neb_naming_number(const char *name, const char *word, uint64_t number, char *into, size_t bytes);

#endif
