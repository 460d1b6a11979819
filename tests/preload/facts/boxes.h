/* boxes.h - blocks that a program and its signal handlers hand to each other, contents verified.
 *
 * A box is a block with its size and tag at its front. It is in one slot of the table or in one pair of hands: slots are
 * exchanged atomically, so that a handler may come between any two instructions. */
#ifndef BOXES_H
#define BOXES_H

#include "claim.h"
#include <stdatomic.h>

struct box {
    size_t size;
    unsigned tag;
};

enum { BOX_SLOTS = 61, BOX_SMALL = 900, BOX_MEDIUM = 20000, BOX_LARGE = 300000, BOX_HUGE = 3 << 20 };

struct boxes {
    _Atomic(struct box *) slot[BOX_SLOTS];
    _Atomic bool broken; /* some contents were not what they should be, or memory was refused */
};

static inline unsigned box_random(unsigned *x)
{
    *x = *x * 1664525u + 1013904223u;
    return *x >> 8;
}

static inline size_t box_size(unsigned *x)
{
    unsigned draw = box_random(x) % 1000u;
    unsigned most = draw == 0 ? BOX_HUGE : draw < 5 ? BOX_LARGE : draw < 100 ? BOX_MEDIUM : BOX_SMALL;

    return sizeof(struct box) + box_random(x) % most;
}

static inline struct box *box_fill(struct box *box, size_t size, unsigned tag)
{
    if (box != NULL) {
        box->size = size;
        box->tag = tag;
        fill(box + 1, size - sizeof *box, tag);
    }
    return box;
}

static inline struct box *box_make(unsigned *x)
{
    size_t size = box_size(x);
    struct box *box;
    void *aligned = NULL;

    switch (box_random(x) % 4u) {
    case 0:
        box = (struct box *)calloc(size, 1);
        if (box != NULL && !is_zero(box, size))
            return NULL;
        break;
    case 1:
        box = posix_memalign(&aligned, 64, size) == 0 ? (struct box *)aligned : NULL;
        break;
    default:
        box = (struct box *)malloc(size);
    }
    return box_fill(box, size, *x);
}

static inline bool box_is_whole(const struct box *box)
{
    return is_filled(box + 1, box->size - sizeof *box, box->tag);
}

static inline struct box *box_resize(struct box *box, unsigned *x)
{
    size_t old = box->size, size = box_size(x), kept = old < size ? old : size;
    unsigned tag = box->tag;
    struct box *resized = (struct box *)realloc(box, size);

    if (resized == NULL || !is_filled(resized + 1, kept - sizeof *box, tag))
        return NULL;
    return box_fill(resized, size, *x);
}

/* Takes what is in a slot, frees or resizes it, or puts a new one there. Called by programs and by handlers. */
static inline void boxes_step(struct boxes *boxes, unsigned *x)
{
    unsigned slot = box_random(x) % BOX_SLOTS;
    struct box *box = atomic_exchange(&boxes->slot[slot], NULL);
    bool resizes = box_random(x) % 3u == 0;

    if (box == NULL || resizes) {
        if (box != NULL && !box_is_whole(box))
            atomic_store(&boxes->broken, true);
        box = box == NULL ? box_make(x) : box_resize(box, x);
        if (box == NULL)
            atomic_store(&boxes->broken, true);
        box = atomic_exchange(&boxes->slot[slot], box);
    }
    if (box != NULL && !box_is_whole(box))
        atomic_store(&boxes->broken, true);
    free(box);
}

static inline void boxes_drop(struct boxes *boxes)
{
    for (unsigned slot = 0; slot < BOX_SLOTS; slot++) {
        struct box *box = atomic_exchange(&boxes->slot[slot], NULL);

        if (box != NULL && !box_is_whole(box))
            atomic_store(&boxes->broken, true);
        free(box);
    }
}

#endif
