/* program.h - the programs in unwind tables: what they say of one instruction's registers (DWARF 4, 6.4).
 *
 *   CIE: what many functions have in common, and the rows' beginning   FDE: one function, what changes as it runs
 *
 * Failure    false for forms and instructions that are not known */
#ifndef NEB_UNWIND_PROGRAM_H
#define NEB_UNWIND_PROGRAM_H

#include "unwind/expression.h"

struct cie {
    struct reader code;
    uint64_t code_step;
    int64_t data_step;
    uint64_t return_register;
    uint8_t pointer_encoding;
    bool is_signal, has_augmentation;
};

enum saved_kind { SAVED_SAME, SAVED_AT_CFA, SAVED_AT, SAVED_UNDEFINED, SAVED_OTHER };

struct saved {
    enum saved_kind kind;
    int64_t offset;      /* SAVED_AT_CFA */
    struct term address; /* SAVED_AT */
};

struct row {
    uint64_t cfa_register;
    int64_t cfa_offset;
    struct term cfa; /* of an expression; TERM_NONE: register and offset */
    bool cfa_is_expression;
    struct saved fp, ra;
};

/* A record's body; length and CIE pointer or id are read. */
struct reader neb_record_at(const unsigned char *at, const unsigned char *limit, uint32_t *cie_distance);
bool neb_cie_read(struct cie *cie, const unsigned char *at, const unsigned char *limit);

/* The row for the instruction at pc, of a function that begins at start and has this code of its own. */
bool neb_row_find(struct row *row, const struct cie *cie, struct reader code, uintptr_t start, uintptr_t pc);

#endif
