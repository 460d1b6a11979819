/* sort.c - see sort.h: a heap sort. */
#include "base/sort.h"

static void swap(unsigned char *a, unsigned char *b, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        unsigned char byte = a[i];
        a[i] = b[i];
        b[i] = byte;
    }
}

/* Makes the tree below a place a heap again, with its greatest element on top. */
static void sink(unsigned char *elements, size_t place, size_t count, size_t bytes, bool (*is_less)(const void *a, const void *b))
{
    for (size_t child; (child = 2 * place + 1) < count; place = child) {
        if (child + 1 < count && is_less(elements + child * bytes, elements + (child + 1) * bytes))
            child++;
        if (!is_less(elements + place * bytes, elements + child * bytes))
            return;
        swap(elements + place * bytes, elements + child * bytes, bytes);
    }
}

void neb_sort(void *elements, size_t count, size_t bytes, bool (*is_less)(const void *a, const void *b))
{
    unsigned char *first = elements;
    for (size_t place = count / 2; place-- > 0;)
        sink(first, place, count, bytes, is_less);
    for (size_t rest = count; rest-- > 1;) {
        swap(first, first + rest * bytes, bytes);
        sink(first, 0, rest, bytes, is_less);
    }
}
