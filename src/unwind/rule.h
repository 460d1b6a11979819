/* rule.h - how to get from a frame to its caller's, for one program counter.
 *
 *   caller's sp = CFA     = sp + n | fp + n | *(fp + n) | *(sp + n)
 *   return address        = *(CFA + n)
 *   caller's fp           = the same | *(CFA + n) | *(fp + n)
 *
 * Decoded from .eh_frame (decode.h, program.h). The DWARF expressions that compilers and linkers write (PLT entries, realigned
 * stacks) are evaluated symbolically (expression.h), which ends in one of these forms; signal frames have a form of their own.
 * Whatever does not fit, and code without a table, ends the stack.
 *
 * Decoded rules are kept in a table by program counter. An entry is two words, value and value ^ key, so that no reader
 * needs a lock and a torn entry is one that does not match (Hyatt and Mann, "A lock-less transposition table", 2002).
 *
 * Threads    any, any context: no locks, no allocation
 * Failure    RULE_UNKNOWN */
#ifndef NEB_UNWIND_RULE_H
#define NEB_UNWIND_RULE_H

#include <stdint.h>

enum rule_kind {
    RULE_UNKNOWN,  /* nothing is known: the stack ends here */
    RULE_END,      /* the outermost frame of a thread */
    RULE_SP,       /* CFA = sp + cfa */
    RULE_FP,       /* CFA = fp + cfa */
    RULE_AT_FP,    /* CFA = *(fp + cfa) */
    RULE_AT_SP,    /* CFA = *(sp + cfa) */
    RULE_SIGNAL    /* sp points at what the kernel saved */
};

enum rule_fp {
    RULE_FP_SAME,
    RULE_FP_AT_CFA, /* *(CFA + fp) */
    RULE_FP_AT_FP,  /* *(fp + fp) */
    RULE_FP_LOST
};

struct rule {
    int32_t cfa;   /* bytes */
    int16_t fp;    /* in steps of 8 bytes */
    int8_t ra;     /* return address: *(CFA + 8 * ra) */
    uint8_t kinds; /* enum rule_kind | enum rule_fp << 4 */
};
_Static_assert(sizeof(struct rule) == 8, "a rule is one word of the table");

static inline enum rule_kind rule_kind(struct rule rule)
{
    return (enum rule_kind)(rule.kinds & 15);
}

static inline enum rule_fp rule_fp(struct rule rule)
{
    return (enum rule_fp)(rule.kinds >> 4);
}

/* Where the kernel saves registers: bytes from sp in a signal frame. */
#if defined(__x86_64__)
enum { SIGNAL_FP = 120, SIGNAL_SP = 160, SIGNAL_PC = 168 };
#elif defined(__aarch64__)
enum { SIGNAL_FP = 544, SIGNAL_SP = 560, SIGNAL_PC = 568 };
#else
enum { SIGNAL_FP = 0, SIGNAL_SP = 0, SIGNAL_PC = 0 };
#endif

/* The rule for the instruction at pc (for a return address: the address before it). */
struct rule neb_rule_of(uintptr_t pc);
/* Libraries were loaded or unloaded: what the table has is not believed any more. */
void neb_rules_forget(void);

#endif
