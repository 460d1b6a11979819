/* expression.h - DWARF expressions of unwind tables (DWARF 4, 2.5), evaluated symbolically: the value is not known, but what it
 * depends on is.
 *
 * Failure    TERM_NONE for whatever does not end in one of the forms below */
#ifndef NEB_UNWIND_EXPRESSION_H
#define NEB_UNWIND_EXPRESSION_H

#include "unwind/reader.h"

/* Numbers of registers; PC: the column of the return address where it is one that expressions name. */
#if defined(__aarch64__)
enum { REG_FP = 29, REG_SP = 31, REG_RA = 30, REG_PC = 32 };
#else /* x86-64; elsewhere nothing is decoded */
enum { REG_FP = 6, REG_SP = 7, REG_RA = 16, REG_PC = 16 };
#endif

/* base register + offset, or what stands there. */
struct term {
    enum { TERM_NONE, TERM_NUMBER, TERM_SP, TERM_FP, TERM_AT_SP, TERM_AT_FP } kind;
    int64_t offset;
};

/* The expression that the reader stands before, with its length; pc: the instruction that the frame is at. */
struct term neb_expression_read(struct reader *reader, uintptr_t pc);

#endif
