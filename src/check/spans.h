/* spans.h - a set of ranges of addresses, in memory of the caller's.
 *
 * Add, then sort; then it can be asked. Ranges do not overlap. Threads: the owner's. */
#ifndef NEB_CHECK_SPANS_H
#define NEB_CHECK_SPANS_H

#include <stddef.h>
#include <stdint.h>

struct span {
    uintptr_t start, end;
    void *base; /* what begins there */
};

struct spans {
    struct span *span;
    size_t count, capacity;
};

/* Beyond the capacity: nothing. Empty ranges are not kept. */
void neb_spans_add(struct spans *spans, void *base, size_t bytes);
void neb_spans_sort(struct spans *spans);
/* The range that holds the address, or else the next one; NULL: there is none. O(log count). */
const struct span *neb_spans_at(const struct spans *spans, uintptr_t address);

#endif
