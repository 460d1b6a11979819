/* filter.h - which blocks are guarded: those of some sizes, those that code of some module asks for.
 *
 *   sizes   "41" or "32-64", bytes
 *   site    "libfoo.so.1" or "app+0x1200-0x1300": the caller of malloc, by the file that it is in and its offset there
 *
 * Ownership  written once, before there are threads */
#ifndef NEB_CHECK_FILTER_H
#define NEB_CHECK_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* NULL: all. False: the text is none of the above; then all are taken. */
bool neb_filter_set_sizes(const char *text);
bool neb_filter_set_site(const char *text);

bool neb_filter_takes_size(size_t size);
/* stack: its number (stacks.h). */
bool neb_filter_takes_stack(uint32_t stack);

#endif
