/* loader.h - blocks that the dynamic loader's own little allocator handed out before this library was there.
 *
 * They lie at the end of the loader's data, or in anonymous pages among the descriptions of the libraries that were
 * loaded at the start. That allocator only ever counts upwards, so freeing them is nothing, and growing them a copy. */
#ifndef NEB_FRONT_LOADER_H
#define NEB_FRONT_LOADER_H

#include <stdbool.h>
#include <stddef.h>

bool neb_loader_owns(const void *p);
/* Bytes from p that may be read; 0: not the loader's. */
size_t neb_loader_size(const void *p);

#endif
