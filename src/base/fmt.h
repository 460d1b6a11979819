/* fmt.h - text without stdio: built in the caller's buffer, cut off at its end, always terminated.
 *
 * Safe in signal handlers and while the heap is broken: no locks, no allocation, no errno. */
#ifndef NEB_BASE_FMT_H
#define NEB_BASE_FMT_H

#include <stddef.h>
#include <stdint.h>

struct text {
    char *data;
    size_t length, capacity; /* capacity counts the terminating NUL */
};

struct text neb_text_in(char *buffer, size_t capacity);
void neb_text_string(struct text *text, const char *string);
void neb_text_bytes(struct text *text, const char *bytes, size_t count);
void neb_text_decimal(struct text *text, uint64_t value);
void neb_text_hex(struct text *text, uint64_t value); /* with 0x */
/* A newline, for which there is always room: it takes the place of the last character if it has to. */
void neb_text_end_line(struct text *text);
/* Right-aligned in width columns. */
void neb_text_decimal_padded(struct text *text, uint64_t value, unsigned width);
void neb_text_string_padded(struct text *text, const char *string, unsigned width);
/* "17 B", "1.5 KiB", "3.2 GiB": at most 9 characters. */
void neb_text_size(struct text *text, uint64_t bytes);

#endif
