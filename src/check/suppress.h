/* suppress.h - errors that are known and not to be said: a file in LeakSanitizer's syntax.
 *
 *   # a comment
 *   leak:PATTERN              a leak whose stack has a function or module that matches
 *   double-free:PATTERN       any other kind, by the name that stands in its first line
 *
 * PATTERN matches anywhere; * stands for any text, ^ and $ for the beginning and the end. */
#ifndef NEB_CHECK_SUPPRESS_H
#define NEB_CHECK_SUPPRESS_H

#include <stdbool.h>
#include <stdint.h>

/* Once, before there are threads. False: cannot be read, or a line that is neither comment nor TYPE:PATTERN; what stands
 * before it counts. */
bool neb_suppress_load(const char *file);
bool neb_suppress_matches(const char *kind, const uintptr_t *pcs, int count);

#endif
