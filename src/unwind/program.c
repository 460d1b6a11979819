/* program.c - see program.h. */
#include "unwind/program.h"

#include "base/ptr.h"
#include <string.h>

/* ---- what functions have in common ---------------------------------------------------------------------------------------- */

struct reader neb_record_at(const unsigned char *at, const unsigned char *limit, uint32_t *cie_distance)
{
    struct reader reader = {at, limit, false};
    uint32_t length = neb_take_u32(&reader);
    if (length < 4 || length == UINT32_MAX || length > (size_t)(limit - reader.at))
        reader.failed = true;
    else
        reader.end = reader.at + length;
    *cie_distance = neb_take_u32(&reader);
    return reader;
}

static bool cie_augmentation(struct cie *cie, struct reader *reader, const char *letters)
{
    if (*letters != 'z')
        return *letters == '\0';
    cie->has_augmentation = true;
    uint64_t bytes = neb_take_uleb(reader);
    struct reader rest = *reader;
    (void)neb_take(reader, bytes);
    for (letters++; *letters != '\0' && !rest.failed; letters++) {
        if (*letters == 'R') {
            cie->pointer_encoding = neb_take_u8(&rest);
        } else if (*letters == 'L') {
            (void)neb_take_u8(&rest);
        } else if (*letters == 'P') {
            uint8_t encoding = neb_take_u8(&rest);
            (void)neb_take_encoded(&rest, encoding);
        } else if (*letters == 'S') {
            cie->is_signal = true;
        } else if (*letters != 'B') {
            return false;
        }
    }
    return !rest.failed;
}

bool neb_cie_read(struct cie *cie, const unsigned char *at, const unsigned char *limit)
{
    uint32_t id;
    struct reader reader = neb_record_at(at, limit, &id);
    uint8_t version = neb_take_u8(&reader);
    memset(cie, 0, sizeof *cie);
    if (reader.failed || id != 0 || (version != 1 && version != 3 && version != 4))
        return false;
    const char *letters = (const char *)reader.at;
    while (neb_take_u8(&reader) != 0)
        if (reader.failed)
            return false;
    if (version == 4)
        (void)neb_take(&reader, 2); /* sizes of addresses and segments */
    cie->code_step = neb_take_uleb(&reader);
    cie->data_step = neb_take_sleb(&reader);
    cie->return_register = version == 1 ? neb_take_u8(&reader) : neb_take_uleb(&reader);
    if (!cie_augmentation(cie, &reader, letters))
        return false;
    cie->code = reader;
    return !reader.failed && cie->return_register == REG_RA;
}

/* ---- the rows --------------------------------------------------------------------------------------------------------------- */

enum { ROWS_MAX = 8 };

struct program {
    struct row row, initial, remembered[ROWS_MAX];
    unsigned remembered_count;
    uintptr_t location, pc;
    const struct cie *cie;
    bool failed;
};

enum {
    CFA_ADVANCE = 0x40, CFA_OFFSET = 0x80, CFA_RESTORE = 0xc0, CFA_NOP = 0, CFA_SET_LOC = 1, CFA_ADVANCE1 = 2, CFA_ADVANCE2 = 3,
    CFA_ADVANCE4 = 4, CFA_OFFSET_EXTENDED = 5, CFA_RESTORE_EXTENDED = 6, CFA_UNDEFINED = 7, CFA_SAME_VALUE = 8,
    CFA_REGISTER = 9, CFA_REMEMBER = 10, CFA_RESTORE_STATE = 11, CFA_DEF_CFA = 12, CFA_DEF_CFA_REGISTER = 13,
    CFA_DEF_CFA_OFFSET = 14, CFA_DEF_CFA_EXPRESSION = 15, CFA_EXPRESSION = 16, CFA_OFFSET_EXTENDED_SF = 17,
    CFA_DEF_CFA_SF = 18, CFA_DEF_CFA_OFFSET_SF = 19, CFA_VAL_OFFSET = 20, CFA_VAL_OFFSET_SF = 21, CFA_VAL_EXPRESSION = 22,
    CFA_NEGATE_RA_STATE = 0x2d, CFA_ARGS_SIZE = 0x2e, CFA_NEGATIVE_OFFSET = 0x2f
};

static void row_set(struct row *row, uint64_t number, struct saved saved)
{
    if (number == REG_FP)
        row->fp = saved;
    else if (number == REG_RA)
        row->ra = saved;
}

static void row_restore(struct program *program, uint64_t number)
{
    if (number == REG_FP)
        program->row.fp = program->initial.fp;
    else if (number == REG_RA)
        program->row.ra = program->initial.ra;
}

static void row_define(struct row *row, uint64_t number, int64_t offset)
{
    row->cfa_is_expression = false;
    row->cfa_register = number;
    row->cfa_offset = offset;
}

static void remember(struct program *program)
{
    if (program->remembered_count == ROWS_MAX)
        program->failed = true;
    else
        program->remembered[program->remembered_count++] = program->row;
}

static void recall(struct program *program)
{
    if (program->remembered_count == 0)
        program->failed = true;
    else
        program->row = program->remembered[--program->remembered_count];
}

static void instruction_saved(struct program *program, struct reader *reader, uint8_t op)
{
    int64_t step = program->cie->data_step;
    uint64_t number = neb_take_uleb(reader);
    struct saved saved = {SAVED_OTHER, 0, {TERM_NONE, 0}};
    switch (op) {
    case CFA_OFFSET_EXTENDED:
        saved = (struct saved){SAVED_AT_CFA, (int64_t)neb_take_uleb(reader) * step, saved.address};
        break;
    case CFA_OFFSET_EXTENDED_SF:
        saved = (struct saved){SAVED_AT_CFA, neb_take_sleb(reader) * step, saved.address};
        break;
    case CFA_NEGATIVE_OFFSET:
        saved = (struct saved){SAVED_AT_CFA, -(int64_t)neb_take_uleb(reader) * step, saved.address};
        break;
    case CFA_UNDEFINED:
        saved.kind = SAVED_UNDEFINED;
        break;
    case CFA_SAME_VALUE:
        saved.kind = SAVED_SAME;
        break;
    case CFA_EXPRESSION:
        saved.address = neb_expression_read(reader, program->pc);
        saved.kind = SAVED_AT;
        break;
    case CFA_REGISTER:
    case CFA_VAL_OFFSET:
        (void)neb_take_uleb(reader);
        break;
    case CFA_VAL_OFFSET_SF:
        (void)neb_take_sleb(reader);
        break;
    default: /* CFA_VAL_EXPRESSION */
        (void)neb_take(reader, neb_take_uleb(reader));
    }
    row_set(&program->row, number, saved);
}

static void instruction_cfa(struct program *program, struct reader *reader, uint8_t op)
{
    int64_t step = program->cie->data_step;
    struct row *row = &program->row;
    uint64_t number;
    switch (op) {
    case CFA_DEF_CFA:
        number = neb_take_uleb(reader);
        row_define(row, number, (int64_t)neb_take_uleb(reader));
        break;
    case CFA_DEF_CFA_SF:
        number = neb_take_uleb(reader);
        row_define(row, number, neb_take_sleb(reader) * step);
        break;
    case CFA_DEF_CFA_REGISTER:
        row_define(row, neb_take_uleb(reader), row->cfa_offset);
        break;
    case CFA_DEF_CFA_OFFSET:
        row_define(row, row->cfa_register, (int64_t)neb_take_uleb(reader));
        break;
    case CFA_DEF_CFA_OFFSET_SF:
        row_define(row, row->cfa_register, neb_take_sleb(reader) * step);
        break;
    default: /* CFA_DEF_CFA_EXPRESSION */
        row->cfa = neb_expression_read(reader, program->pc);
        row->cfa_is_expression = true;
    }
}

/* False: the rows that follow are for code behind pc. */
static bool advance(struct program *program, uint64_t steps)
{
    program->location += steps * program->cie->code_step;
    return program->location <= program->pc;
}

static bool instruction(struct program *program, struct reader *reader)
{
    uint8_t op = neb_take_u8(reader), low = op & 63;
    switch (op & 0xc0) {
    case CFA_ADVANCE:
        return advance(program, low);
    case CFA_OFFSET:
        row_set(&program->row, low,
                (struct saved){SAVED_AT_CFA, (int64_t)neb_take_uleb(reader) * program->cie->data_step, {TERM_NONE, 0}});
        return true;
    case CFA_RESTORE:
        row_restore(program, low);
        return true;
    default:
        break;
    }
    switch (op) {
    case CFA_NOP:
    case CFA_NEGATE_RA_STATE: /* the address is signed: the walk strips signatures */
        return true;
    case CFA_SET_LOC:
        program->location = neb_take_encoded(reader, program->cie->pointer_encoding);
        return program->location <= program->pc;
    case CFA_ADVANCE1:
        return advance(program, neb_take_u8(reader));
    case CFA_ADVANCE2:
        return advance(program, neb_take_u16(reader));
    case CFA_ADVANCE4:
        return advance(program, neb_take_u32(reader));
    case CFA_RESTORE_EXTENDED:
        row_restore(program, neb_take_uleb(reader));
        return true;
    case CFA_REMEMBER:
        remember(program);
        return true;
    case CFA_RESTORE_STATE:
        recall(program);
        return true;
    case CFA_ARGS_SIZE:
        (void)neb_take_uleb(reader);
        return true;
    case CFA_OFFSET_EXTENDED:
    case CFA_OFFSET_EXTENDED_SF:
    case CFA_NEGATIVE_OFFSET:
    case CFA_UNDEFINED:
    case CFA_SAME_VALUE:
    case CFA_EXPRESSION:
    case CFA_REGISTER:
    case CFA_VAL_OFFSET:
    case CFA_VAL_OFFSET_SF:
    case CFA_VAL_EXPRESSION:
        instruction_saved(program, reader, op);
        return true;
    case CFA_DEF_CFA:
    case CFA_DEF_CFA_SF:
    case CFA_DEF_CFA_REGISTER:
    case CFA_DEF_CFA_OFFSET:
    case CFA_DEF_CFA_OFFSET_SF:
    case CFA_DEF_CFA_EXPRESSION:
        instruction_cfa(program, reader, op);
        return true;
    default:
        program->failed = true;
        return false;
    }
}

static void program_run(struct program *program, struct reader code)
{
    while (code.at < code.end && !code.failed && !program->failed)
        if (!instruction(program, &code))
            break;
    program->failed |= code.failed;
}

bool neb_row_find(struct row *row, const struct cie *cie, struct reader code, uintptr_t start, uintptr_t pc)
{
    struct program program;
    memset(&program, 0, sizeof program);
    program.location = start;
    program.pc = pc;
    program.cie = cie;
    program_run(&program, cie->code);
    program.initial = program.row;
    if (program.location <= pc)
        program_run(&program, code);
    *row = program.row;
    return !program.failed;
}
