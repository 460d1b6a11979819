/* step.c - see step.h. */
#include "unwind/step.h"

#include "base/attr.h"
#include "os/process.h"
#include "os/vm.h"
#include "unwind/rule.h"
#include <string.h>

enum { REACH_DOWN_BYTES = 1 << 18 };

/* ---- reading the stack --------------------------------------------------------------------------------------------- */

/* Widens the window so that it has the address; false: it is not readable. */
static NEB_COLD bool reach_extend(struct reach *reach, const unsigned char *at)
{
    size_t page = neb_vm_page_size();
    uintptr_t start = ptr_address(at) & ~(uintptr_t)(page - 1);
    if (!neb_os_can_read(at))
        return false;
    if (start == reach->high) {
        reach->high += page;
    } else if (start + page == reach->low) {
        reach->low = start;
    } else {
        reach->low = start;
        reach->high = start + page;
    }
    return true;
}

static bool word_read(struct reach *reach, const unsigned char *at, uintptr_t *value)
{
    uintptr_t address = ptr_address(at);
    if (NEB_UNLIKELY(address % sizeof(uintptr_t) != 0))
        return false;
    if (NEB_UNLIKELY(address < reach->low || address >= reach->high) && !reach_extend(reach, at))
        return false;
    memcpy(value, at, sizeof *value);
    return true;
}

void neb_reach_move(struct reach *reach, const unsigned char *stack)
{
    uintptr_t sp = ptr_address(stack);
    size_t page = neb_vm_page_size();
    if (NEB_LIKELY(sp >= reach->low && sp < reach->high))
        return;
    if (sp < reach->low && reach->low - sp < REACH_DOWN_BYTES)
        while (reach->low > sp && reach_extend(reach, stack + (reach->low - sp - sizeof(uintptr_t)) / sizeof(uintptr_t) * sizeof(uintptr_t)))
            continue;
    if (sp >= reach->low && sp < reach->high)
        return;
    reach->low = sp & ~(uintptr_t)(page - 1);
    reach->high = reach->low + page;
}

/* ---- one step ---------------------------------------------------------------------------------------------------------- */

static bool step_read(struct reach *reach, struct step *step, const unsigned char *slot, uintptr_t *value)
{
    if (!word_read(reach, slot, value)) {
        step->failed = true;
        return false;
    }
    step->slot[step->count] = slot;
    step->value[step->count++] = *value;
    return true;
}

static bool step_read_fp(struct reach *reach, struct step *step, const unsigned char *slot, uintptr_t *value)
{
    step->fp_slot = slot;
    step->failed |= !word_read(reach, slot, value);
    return !step->failed;
}

static bool step_signal(struct reach *reach, struct place *place, struct step *step)
{
    uintptr_t pc, sp, fp;
    if (!step_read(reach, step, place->stack + SIGNAL_PC, &pc) || !step_read(reach, step, place->stack + SIGNAL_SP, &sp) ||
        !step_read_fp(reach, step, place->stack + SIGNAL_FP, &fp))
        return false;
    *place = (struct place){pc, sp, fp, place_at(place, sp)};
    return pc != 0;
}

static bool cfa_find(struct reach *reach, const struct place *place, struct rule rule, struct step *step, uintptr_t *cfa)
{
    uintptr_t offset = (uintptr_t)(intptr_t)rule.cfa;
    switch (rule_kind(rule)) {
    case RULE_SP:
        *cfa = place->sp + offset;
        return true;
    case RULE_FP:
        step->used_fp = true;
        *cfa = place->fp + offset;
        return true;
    case RULE_AT_FP:
        step->used_fp = true;
        return step_read(reach, step, place_at(place, place->fp + offset), cfa);
    case RULE_AT_SP:
        return step_read(reach, step, place_at(place, place->sp + offset), cfa);
    default:
        return false;
    }
}

static bool fp_find(struct reach *reach, struct place *place, struct rule rule, uintptr_t cfa, struct step *step)
{
    uintptr_t distance = (uintptr_t)((intptr_t)rule.fp * 8);
    switch (rule_fp(rule)) {
    case RULE_FP_SAME:
        return true;
    case RULE_FP_AT_CFA:
        return step_read_fp(reach, step, place_at(place, cfa + distance), &place->fp);
    case RULE_FP_AT_FP:
        step->used_fp = true;
        return step_read_fp(reach, step, place_at(place, place->fp + distance), &place->fp);
    default: /* lost: whoever bases a frame on it gets nowhere */
        place->fp = 0;
        return true;
    }
}

/* The address without the signature that aarch64 may have put into its upper bits. */
static uintptr_t unsigned_address(uintptr_t pc)
{
#if defined(__aarch64__)
    return pc & (((uintptr_t)1 << 48) - 1);
#else
    return pc;
#endif
}

static bool in_frame(uintptr_t slot, uintptr_t sp, uintptr_t cfa)
{
    return slot >= sp && slot < cfa && slot % sizeof slot == 0;
}

/* Most frames by far: CFA = sp + n, and what is read lies between the two, in the window. False: another kind of frame. */
static bool step_plain(const struct reach *reach, struct place *place, struct rule rule, struct step *step)
{
    uintptr_t sp = place->sp, cfa = sp + (uintptr_t)(intptr_t)rule.cfa;
    uintptr_t ra = cfa + (uintptr_t)((intptr_t)rule.ra * 8), fp = cfa + (uintptr_t)((intptr_t)rule.fp * 8);
    enum rule_fp kind = rule_fp(rule);
    if (rule_kind(rule) != RULE_SP || sp < reach->low || cfa > reach->high || !in_frame(ra, sp, cfa))
        return false;
    if (kind == RULE_FP_AT_CFA && in_frame(fp, sp, cfa)) {
        step->fp_slot = place_at(place, fp);
        memcpy(&place->fp, step->fp_slot, sizeof place->fp);
    } else if (kind != RULE_FP_SAME) {
        return false;
    }
    step->slot[0] = place_at(place, ra);
    memcpy(&step->value[0], step->slot[0], sizeof step->value[0]);
    step->count = 1;
    place->stack = place_at(place, cfa);
    place->sp = cfa;
    place->pc = unsigned_address(step->value[0]);
    return true;
}

bool neb_step_out(struct reach *reach, struct place *place, bool *is_exact, struct step *step)
{
    struct rule rule = neb_rule_of(place->pc - !*is_exact);
    uintptr_t cfa, pc;
    step->count = 0;
    step->used_fp = step->failed = false;
    step->fp_slot = NULL;
    if (NEB_LIKELY(!*is_exact && step_plain(reach, place, rule, step)))
        return place->pc != 0;
    if (rule_kind(rule) == RULE_SIGNAL) {
        *is_exact = true;
        return step_signal(reach, place, step);
    }
    bool was_exact = *is_exact;
    *is_exact = false;
    if (!cfa_find(reach, place, rule, step, &cfa) || cfa < place->sp + !was_exact ||
        !step_read(reach, step, place_at(place, cfa + (uintptr_t)((intptr_t)rule.ra * 8)), &pc) ||
        !fp_find(reach, place, rule, cfa, step))
        return false;
    place->stack = place_at(place, cfa);
    place->sp = cfa;
    place->pc = unsigned_address(pc);
    return place->pc != 0;
}

unsigned neb_step_walk(struct reach *reach, const struct place *place, uintptr_t *pc, unsigned count)
{
    struct place here = *place;
    struct step step;
    bool is_exact = false;
    unsigned frames = 0;
    if (here.stack != NULL)
        neb_reach_move(reach, here.stack);
    while (frames < count) {
        pc[frames++] = here.pc;
        if (here.stack == NULL || !neb_step_out(reach, &here, &is_exact, &step))
            break;
    }
    return frames;
}
