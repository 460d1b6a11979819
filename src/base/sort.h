/* sort.h - sorting in place, where the C library's qsort would allocate. */
#ifndef NEB_BASE_SORT_H
#define NEB_BASE_SORT_H

#include <stdbool.h>
#include <stddef.h>

/* Ascending by is_less, a strict weak order. O(count log count) always; equal elements may change places. */
void neb_sort(void *elements, size_t count, size_t bytes, bool (*is_less)(const void *a, const void *b));

#endif
