/* explain.c - see explain.h. */
#include "check/explain.h"

#include "check/guard.h"
#include "check/report.h"
#include "heap/record.h"
#include "policy/policy.h"

/* A block of the heap that is out of reach, or a canary's page. */
static bool heap_cell(const void *p, struct cell *cell)
{
    return check_has(CHECK_QUARANTINE | CHECK_LARGE) && neb_cell_of(p, true, cell) && cell->record != NULL &&
           atomic_load_explicit(cell->state, memory_order_acquire) != RECORD_NONE; /* R2 */
}

void neb_explain_fault(const struct os_fault *fault)
{
    struct cell cell;
    if (!fault->has_address)
        return;
    if ((POLICY_GUARD && neb_guard_cell_near(fault->address, &cell)) || heap_cell(fault->address, &cell))
        neb_report_fault(fault, &cell);
}
