/* decode.h - the rule for one program counter, out of the tables of its module.
 *
 * The FDE is found by binary search in .eh_frame_hdr; the module by the loader's table that is read without locks.
 *
 * Threads    any, any context: no locks, no allocation
 * Failure    RULE_UNKNOWN: no module, no table, or something that does not fit a rule */
#ifndef NEB_UNWIND_DECODE_H
#define NEB_UNWIND_DECODE_H

#include "unwind/rule.h"

struct rule neb_rule_decode(uintptr_t pc);

#endif
