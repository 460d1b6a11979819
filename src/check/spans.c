/* spans.c - see spans.h. */
#include "check/spans.h"

#include "base/ptr.h"
#include "base/sort.h"

void neb_spans_add(struct spans *spans, void *base, size_t bytes)
{
    if (bytes != 0 && spans->count < spans->capacity)
        spans->span[spans->count++] = (struct span){ptr_address(base), ptr_address(base) + bytes, base};
}

static bool starts_before(const void *a, const void *b)
{
    const struct span *one = a, *other = b;
    return one->start < other->start;
}

void neb_spans_sort(struct spans *spans)
{
    neb_sort(spans->span, spans->count, sizeof *spans->span, starts_before);
}

const struct span *neb_spans_at(const struct spans *spans, uintptr_t address)
{
    size_t low = 0, high = spans->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (spans->span[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < spans->count ? &spans->span[low] : NULL;
}
