/* in_reach.h - a large block that was freed and, for once, not hidden (check/hide.h). */
#ifndef NEB_TESTS_UNIT_IN_REACH_H
#define NEB_TESTS_UNIT_IN_REACH_H

#include "check/hide.h"
#include "front/alloc.h"
#include "heap/record.h"
#include "unit/unit.h"

/* The first of a quick succession of freed large blocks that was not hidden, and still waits. */
static inline unsigned char *waiting_in_reach(void)
{
    enum { LARGE = 100000 };
    for (int i = 0; i < 1000; i++) {
        struct cell cell;
        unsigned char *p = neb_malloc(LARGE);
        memset(p, 1, LARGE);
        while (neb_hide_is_due(LARGE)) { /* until nothing is left of the allowance, but for a millisecond that passes */
        }
        neb_free(p);
        ck_assert(neb_cell_of(p, false, &cell));
        if (atomic_load_explicit(cell.state, memory_order_relaxed) == RECORD_FREED)
            return p;
        ck_assert_uint_eq(atomic_load_explicit(cell.state, memory_order_relaxed), RECORD_HIDDEN);
    }
    ck_abort_msg("all were hidden");
}

#endif
