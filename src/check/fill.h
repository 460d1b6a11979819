/* fill.h - bytes that are known: canaries around blocks, contents of fresh and freed ones. */
#ifndef NEB_CHECK_FILL_H
#define NEB_CHECK_FILL_H

#include <stdbool.h>
#include <stddef.h>

/* Canaries never contain zero, so that a string's end one byte too far always shows. */
void neb_canary_init(bool random);
void neb_canary_write(unsigned char *begin, size_t bytes);
/* The first byte that differs, or bytes when none does. */
size_t neb_canary_verify(const unsigned char *begin, size_t bytes);
/* The same from the end: one more than the offset of the last byte that differs, or 0. */
size_t neb_canary_verify_back(const unsigned char *begin, size_t bytes);

/* The first byte that is not value, or bytes. O(bytes), a word at a time. */
size_t neb_fill_verify(const unsigned char *begin, size_t bytes, unsigned value);

#endif
