/* mismatches.c - blocks that are released as another kind, size or alignment than they were made. */
#include "corpus.h"

#include <malloc.h>
#include <stdlib.h>

static void malloc_delete(size_t size, size_t amount)
{
    (void)amount;
    _ZdlPv(alloc(size));
    after();
}

static void malloc_delete_array(size_t size, size_t amount)
{
    (void)amount;
    _ZdaPv(alloc(size));
    after();
}

static void new_free(size_t size, size_t amount)
{
    (void)amount;
    release(hide(_Znwm(size)));
    after();
}

static void new_array_delete(size_t size, size_t amount)
{
    (void)amount;
    _ZdlPv(hide(_Znam(size)));
    after();
}

static void new_delete_array(size_t size, size_t amount)
{
    (void)amount;
    _ZdaPv(hide(_Znwm(size)));
    after();
}

static void memalign_delete(size_t size, size_t amount)
{
    _ZdlPv(hide(memalign(amount, size)));
    after();
}

static void new_realloc(size_t size, size_t amount)
{
    void *p = hide(realloc(hide(_Znwm(size)), amount));
    after();
    release(p);
}

static void wrong_size(size_t size, size_t amount)
{
    _ZdlPvm(hide(_Znwm(size)), amount);
    after();
}

static void wrong_alignment(size_t size, size_t amount)
{
    _ZdlPvSt11align_val_t(hide(_ZnwmSt11align_val_t(size, 64)), amount);
    after();
}

static void alignment_forgotten(size_t size, size_t amount)
{
    _ZdlPv(hide(_ZnwmSt11align_val_t(size, amount)));
    after();
}

#define WRONG "alloc-dealloc-mismatch"
const struct bug mismatches[] = {
    {"mismatch_malloc_delete", WRONG, malloc_delete, 40, 0},
    {"mismatch_malloc_delete_array", WRONG, malloc_delete_array, 40, 0},
    {"mismatch_new_free", WRONG, new_free, 40, 0},
    {"mismatch_new_array_delete", WRONG, new_array_delete, 40, 0},
    {"mismatch_new_delete_array", WRONG, new_delete_array, 40, 0},
    {"mismatch_memalign_delete", WRONG, memalign_delete, 40, 64},
    {"mismatch_new_realloc", WRONG, new_realloc, 40, 100},
    {"mismatch_size_smaller", "size-mismatch", wrong_size, 40, 8},
    {"mismatch_size_larger", "size-mismatch", wrong_size, 40, 400},
    {"mismatch_alignment", "alignment-mismatch", wrong_alignment, 100, 128},
    {"mismatch_alignment_forgotten", "alignment-mismatch", alignment_forgotten, 100, 64},
    ARRAY_END,
};
