/* pack.h - rewrites an .nbt file smaller: chunks back to back, compressed, sealed, with an index. */
#ifndef NEB_TOOL_PACK_H
#define NEB_TOOL_PACK_H

#include "tool/reader.h"

/* Replaces the file in one step (rename); until then, and after a failure, it stays as it is. NULL, or what
 * failed. */
char *pack_file(const char *path, uint64_t *bytes_before, uint64_t *bytes_after);

#endif
