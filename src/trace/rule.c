/* rule.c - see rule.h. DWARF 4, 6.4, and the Linux Standard Base on .eh_frame and .eh_frame_hdr. */
#include "trace/rule.h"

#include "base/attr.h"
#include "base/ptr.h"
#include "os/process.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#if defined(__aarch64__)
enum { REG_FP = 29, REG_SP = 31, REG_RA = 30, REG_PC = 32 };
#else /* x86-64; elsewhere nothing is decoded */
enum { REG_FP = 6, REG_SP = 7, REG_RA = 16, REG_PC = 16 };
#endif

/* ---- reading --------------------------------------------------------------------------------------------------------- */

struct reader {
    const unsigned char *at, *end;
    bool failed; /* it wanted more than there is; all that is read from then on is 0 */
};

static const unsigned char *take(struct reader *reader, size_t bytes)
{
    static const unsigned char nothing[8];
    if (reader->failed || bytes > (size_t)(reader->end - reader->at)) {
        reader->failed = true;
        return nothing;
    }
    const unsigned char *at = reader->at;
    reader->at += bytes;
    return at;
}

static uint8_t take_u8(struct reader *reader)
{
    return *take(reader, 1);
}

static uint16_t take_u16(struct reader *reader)
{
    uint16_t value;
    memcpy(&value, take(reader, 2), 2);
    return value;
}

static uint32_t take_u32(struct reader *reader)
{
    uint32_t value;
    memcpy(&value, take(reader, 4), 4);
    return value;
}

static uint64_t take_u64(struct reader *reader)
{
    uint64_t value;
    memcpy(&value, take(reader, 8), 8);
    return value;
}

static uint64_t take_uleb(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = take_u8(reader);
        value |= (uint64_t)(byte & 127) << shift;
        if ((byte & 128) == 0)
            return value;
    }
    reader->failed = true;
    return 0;
}

static int64_t take_sleb(struct reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64;) {
        uint8_t byte = take_u8(reader);
        value |= (uint64_t)(byte & 127) << shift;
        shift += 7;
        if ((byte & 128) == 0) {
            if ((byte & 64) != 0 && shift < 64)
                value |= ~UINT64_C(0) << shift;
            return (int64_t)value;
        }
    }
    reader->failed = true;
    return 0;
}

enum { PE_ABSOLUTE = 0, PE_UDATA2 = 2, PE_UDATA4 = 3, PE_UDATA8 = 4, PE_SDATA2 = 10, PE_SDATA4 = 11, PE_SDATA8 = 12,
       PE_PCREL = 0x10, PE_DATAREL = 0x30, PE_OMIT = 0xff };

/* An encoded number; relative ones count from where they stand. */
static uintptr_t take_encoded(struct reader *reader, uint8_t encoding)
{
    uintptr_t here = ptr_address(reader->at), value = 0;
    switch (encoding & 15) {
    case PE_ABSOLUTE:
    case PE_UDATA8:
    case PE_SDATA8:
        value = take_u64(reader);
        break;
    case PE_UDATA4:
        value = take_u32(reader);
        break;
    case PE_SDATA4:
        value = (uintptr_t)(int64_t)(int32_t)take_u32(reader);
        break;
    case PE_UDATA2:
        value = take_u16(reader);
        break;
    case PE_SDATA2:
        value = (uintptr_t)(int64_t)(int16_t)take_u16(reader);
        break;
    default:
        reader->failed = true;
    }
    return (encoding & 0x70) == PE_PCREL ? value + here : value;
}

/* ---- the description of a function ------------------------------------------------------------------------------- */

struct cie {
    struct reader code;
    uint64_t code_step;
    int64_t data_step;
    uint64_t return_register;
    uint8_t pointer_encoding;
    bool is_signal, has_augmentation;
};

/* A record's body; length and CIE pointer or id are read. */
static struct reader record_at(const unsigned char *at, const unsigned char *limit, uint32_t *cie_distance)
{
    struct reader reader = {at, limit, false};
    uint32_t length = take_u32(&reader);
    if (length < 4 || length == UINT32_MAX || length > (size_t)(limit - reader.at))
        reader.failed = true;
    else
        reader.end = reader.at + length;
    *cie_distance = take_u32(&reader);
    return reader;
}

static bool cie_augmentation(struct cie *cie, struct reader *reader, const char *letters)
{
    if (*letters != 'z')
        return *letters == '\0';
    cie->has_augmentation = true;
    uint64_t bytes = take_uleb(reader);
    struct reader rest = *reader;
    (void)take(reader, bytes);
    for (letters++; *letters != '\0' && !rest.failed; letters++) {
        if (*letters == 'R') {
            cie->pointer_encoding = take_u8(&rest);
        } else if (*letters == 'L') {
            (void)take_u8(&rest);
        } else if (*letters == 'P') {
            uint8_t encoding = take_u8(&rest);
            (void)take_encoded(&rest, encoding);
        } else if (*letters == 'S') {
            cie->is_signal = true;
        } else if (*letters != 'B') {
            return false;
        }
    }
    return !rest.failed;
}

static bool cie_read(struct cie *cie, const unsigned char *at, const unsigned char *limit)
{
    uint32_t id;
    struct reader reader = record_at(at, limit, &id);
    uint8_t version = take_u8(&reader);
    memset(cie, 0, sizeof *cie);
    if (reader.failed || id != 0 || (version != 1 && version != 3 && version != 4))
        return false;
    const char *letters = (const char *)reader.at;
    while (take_u8(&reader) != 0)
        if (reader.failed)
            return false;
    if (version == 4)
        (void)take(&reader, 2); /* sizes of addresses and segments */
    cie->code_step = take_uleb(&reader);
    cie->data_step = take_sleb(&reader);
    cie->return_register = version == 1 ? take_u8(&reader) : take_uleb(&reader);
    if (!cie_augmentation(cie, &reader, letters))
        return false;
    cie->code = reader;
    return !reader.failed && cie->return_register == REG_RA;
}

/* ---- expressions ------------------------------------------------------------------------------------------------------ */

/* base register + offset, or what stands there. */
struct term {
    enum { TERM_NONE, TERM_NUMBER, TERM_SP, TERM_FP, TERM_AT_SP, TERM_AT_FP } kind;
    int64_t offset;
};

enum {
    OP_DEREF = 0x06, OP_CONST1U = 0x08, OP_CONST1S = 0x09, OP_CONST2U = 0x0a, OP_CONST2S = 0x0b, OP_AND = 0x1a,
    OP_MINUS = 0x1c, OP_PLUS = 0x22, OP_PLUS_UCONST = 0x23, OP_SHL = 0x24, OP_GE = 0x2a, OP_LIT0 = 0x30, OP_LIT31 = 0x4f,
    OP_BREG0 = 0x70, OP_BREG31 = 0x8f
};

static struct term term_binary(uint8_t op, struct term a, struct term b)
{
    struct term none = {TERM_NONE, 0};
    bool numbers = a.kind == TERM_NUMBER && b.kind == TERM_NUMBER;
    switch (op) {
    case OP_PLUS:
        if (b.kind == TERM_NUMBER && a.kind <= TERM_FP)
            return (struct term){a.kind, a.offset + b.offset};
        return a.kind == TERM_NUMBER && b.kind <= TERM_FP ? (struct term){b.kind, a.offset + b.offset} : none;
    case OP_MINUS:
        return b.kind == TERM_NUMBER && a.kind <= TERM_FP ? (struct term){a.kind, a.offset - b.offset} : none;
    case OP_AND:
        return numbers ? (struct term){TERM_NUMBER, a.offset & b.offset} : none;
    case OP_GE:
        return numbers ? (struct term){TERM_NUMBER, a.offset >= b.offset} : none;
    case OP_SHL:
        return numbers && b.offset >= 0 && b.offset < 32 ? (struct term){TERM_NUMBER, a.offset << b.offset} : none;
    default:
        return none;
    }
}

static struct term term_deref(struct term term)
{
    if (term.kind != TERM_SP && term.kind != TERM_FP)
        return (struct term){TERM_NONE, 0};
    return (struct term){term.kind == TERM_SP ? TERM_AT_SP : TERM_AT_FP, term.offset};
}

static struct term term_register(unsigned number, int64_t offset, uintptr_t pc)
{
    if (number == REG_SP)
        return (struct term){TERM_SP, offset};
    if (number == REG_FP)
        return (struct term){TERM_FP, offset};
    return number == REG_PC ? (struct term){TERM_NUMBER, (int64_t)pc + offset} : (struct term){TERM_NONE, 0};
}

static struct term term_literal(uint8_t op, struct reader *reader)
{
    switch (op) {
    case OP_CONST1U:
        return (struct term){TERM_NUMBER, take_u8(reader)};
    case OP_CONST1S:
        return (struct term){TERM_NUMBER, (int8_t)take_u8(reader)};
    case OP_CONST2U:
        return (struct term){TERM_NUMBER, take_u16(reader)};
    case OP_CONST2S:
        return (struct term){TERM_NUMBER, (int16_t)take_u16(reader)};
    default:
        return (struct term){op >= OP_LIT0 && op <= OP_LIT31 ? TERM_NUMBER : TERM_NONE, op - OP_LIT0};
    }
}

static struct term expression_read(struct reader *reader, uintptr_t pc)
{
    enum { DEPTH = 8 };
    struct term stack[DEPTH], none = {TERM_NONE, 0};
    unsigned count = 0;
    uint64_t bytes = take_uleb(reader);
    struct reader code = {reader->at, reader->at, false};
    (void)take(reader, bytes);
    code.end = reader->at;
    while (code.at < code.end && !code.failed) {
        uint8_t op = take_u8(&code);
        struct term term;
        if (op == OP_AND || op == OP_MINUS || op == OP_PLUS || op == OP_SHL || op == OP_GE) {
            if (count < 2)
                return none;
            term = term_binary(op, stack[count - 2], stack[count - 1]);
            count -= 2;
        } else if (op == OP_DEREF || op == OP_PLUS_UCONST) {
            if (count < 1)
                return none;
            struct term top = stack[--count], number = {TERM_NUMBER, 0};
            if (op == OP_PLUS_UCONST)
                number.offset = (int64_t)take_uleb(&code);
            term = op == OP_DEREF ? term_deref(top) : term_binary(OP_PLUS, top, number);
        } else if (op >= OP_BREG0 && op <= OP_BREG31) {
            term = term_register(op - OP_BREG0, take_sleb(&code), pc);
        } else {
            term = term_literal(op, &code);
        }
        if (term.kind == TERM_NONE || count == DEPTH)
            return none;
        stack[count++] = term;
    }
    return count == 1 && !code.failed ? stack[0] : none;
}

/* ---- the table's program ------------------------------------------------------------------------------------------------ */

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
    uint64_t number = take_uleb(reader);
    struct saved saved = {SAVED_OTHER, 0, {TERM_NONE, 0}};
    switch (op) {
    case CFA_OFFSET_EXTENDED:
        saved = (struct saved){SAVED_AT_CFA, (int64_t)take_uleb(reader) * step, saved.address};
        break;
    case CFA_OFFSET_EXTENDED_SF:
        saved = (struct saved){SAVED_AT_CFA, take_sleb(reader) * step, saved.address};
        break;
    case CFA_NEGATIVE_OFFSET:
        saved = (struct saved){SAVED_AT_CFA, -(int64_t)take_uleb(reader) * step, saved.address};
        break;
    case CFA_UNDEFINED:
        saved.kind = SAVED_UNDEFINED;
        break;
    case CFA_SAME_VALUE:
        saved.kind = SAVED_SAME;
        break;
    case CFA_EXPRESSION:
        saved.address = expression_read(reader, program->pc);
        saved.kind = SAVED_AT;
        break;
    case CFA_REGISTER:
    case CFA_VAL_OFFSET:
        (void)take_uleb(reader);
        break;
    case CFA_VAL_OFFSET_SF:
        (void)take_sleb(reader);
        break;
    default: /* CFA_VAL_EXPRESSION */
        (void)take(reader, take_uleb(reader));
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
        number = take_uleb(reader);
        row_define(row, number, (int64_t)take_uleb(reader));
        break;
    case CFA_DEF_CFA_SF:
        number = take_uleb(reader);
        row_define(row, number, take_sleb(reader) * step);
        break;
    case CFA_DEF_CFA_REGISTER:
        row_define(row, take_uleb(reader), row->cfa_offset);
        break;
    case CFA_DEF_CFA_OFFSET:
        row_define(row, row->cfa_register, (int64_t)take_uleb(reader));
        break;
    case CFA_DEF_CFA_OFFSET_SF:
        row_define(row, row->cfa_register, take_sleb(reader) * step);
        break;
    default: /* CFA_DEF_CFA_EXPRESSION */
        row->cfa = expression_read(reader, program->pc);
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
    uint8_t op = take_u8(reader), low = op & 63;
    switch (op & 0xc0) {
    case CFA_ADVANCE:
        return advance(program, low);
    case CFA_OFFSET:
        row_set(&program->row, low,
                (struct saved){SAVED_AT_CFA, (int64_t)take_uleb(reader) * program->cie->data_step, {TERM_NONE, 0}});
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
        program->location = take_encoded(reader, program->cie->pointer_encoding);
        return program->location <= program->pc;
    case CFA_ADVANCE1:
        return advance(program, take_u8(reader));
    case CFA_ADVANCE2:
        return advance(program, take_u16(reader));
    case CFA_ADVANCE4:
        return advance(program, take_u32(reader));
    case CFA_RESTORE_EXTENDED:
        row_restore(program, take_uleb(reader));
        return true;
    case CFA_REMEMBER:
        remember(program);
        return true;
    case CFA_RESTORE_STATE:
        recall(program);
        return true;
    case CFA_ARGS_SIZE:
        (void)take_uleb(reader);
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

/* ---- from a row to a rule ------------------------------------------------------------------------------------------- */

static bool rule_set_cfa(struct rule *rule, const struct row *row)
{
    struct term cfa = row->cfa;
    if (!row->cfa_is_expression)
        cfa = (struct term){row->cfa_register == REG_SP   ? TERM_SP
                            : row->cfa_register == REG_FP ? TERM_FP
                                                          : TERM_NONE,
                            row->cfa_offset};
    static const uint8_t kinds[] = {[TERM_SP] = RULE_SP, [TERM_FP] = RULE_FP, [TERM_AT_SP] = RULE_AT_SP, [TERM_AT_FP] = RULE_AT_FP};
    rule->kinds = kinds[cfa.kind];
    rule->cfa = (int32_t)cfa.offset;
    return rule->kinds != RULE_UNKNOWN && rule->cfa == cfa.offset;
}

static bool rule_set_fp(struct rule *rule, const struct saved *fp)
{
    int64_t offset = fp->kind == SAVED_AT_CFA ? fp->offset : fp->address.offset;
    enum rule_fp kind = RULE_FP_LOST;
    if (fp->kind == SAVED_SAME)
        kind = RULE_FP_SAME;
    else if (fp->kind == SAVED_AT_CFA)
        kind = RULE_FP_AT_CFA;
    else if (fp->kind == SAVED_AT && fp->address.kind == TERM_FP)
        kind = RULE_FP_AT_FP;
    rule->kinds |= (uint8_t)(kind << 4);
    if (kind != RULE_FP_AT_CFA && kind != RULE_FP_AT_FP)
        return true;
    rule->fp = (int16_t)(offset / 8);
    return (int64_t)rule->fp * 8 == offset;
}

static struct rule rule_make(const struct row *row)
{
    struct rule rule = {0, 0, 0, RULE_UNKNOWN}, unknown = rule;
    if (row->ra.kind == SAVED_UNDEFINED)
        return (struct rule){0, 0, 0, RULE_END};
    if (row->ra.kind != SAVED_AT_CFA || !rule_set_cfa(&rule, row) || !rule_set_fp(&rule, &row->fp))
        return unknown;
    rule.ra = (int8_t)(row->ra.offset / 8);
    return rule.ra * 8 == row->ra.offset ? rule : unknown;
}

/* ---- the function around pc ---------------------------------------------------------------------------------------------- */

/* Between which addresses tables may stand. The loader tells of a module with gaps only the part with the code: its tables
 * are then believed where they are, as the C++ runtime does. */
struct limits {
    const unsigned char *low, *high;
};

enum { FAR = 1 << 30 };

static struct limits limits_of(const struct os_module *module)
{
    const unsigned char *end = module->map + (module->end - module->start);
    if (module->unwind >= module->map && module->unwind < end)
        return (struct limits){module->map, end};
    return (struct limits){module->unwind - FAR, module->unwind + FAR};
}

/* .eh_frame_hdr in the one form that linkers write: version 1, a sorted table of pairs {function, FDE}, both as 32-bit
 * distances from the header's start. */
static const unsigned char *fde_find(const struct os_module *module, uintptr_t pc, const struct limits *limits)
{
    enum { VERSION = 1, TABLE_ENCODING = PE_DATAREL | PE_SDATA4 };
    const unsigned char *header = module->unwind;
    struct reader reader = {header, limits->high, false};
    if (take_u8(&reader) != VERSION)
        return NULL;
    uint8_t frame_encoding = take_u8(&reader), count_encoding = take_u8(&reader), table_encoding = take_u8(&reader);
    (void)take_encoded(&reader, frame_encoding);
    size_t count = take_encoded(&reader, count_encoding);
    if (reader.failed || table_encoding != TABLE_ENCODING || count == 0 || count > (size_t)(limits->high - reader.at) / 8)
        return NULL;
    int64_t wanted = (int64_t)(pc - ptr_address(header));
    size_t low = 0, high = count; /* the last entry that is not above */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        int32_t start;
        memcpy(&start, reader.at + middle * 8, 4);
        if (start <= wanted)
            low = middle;
        else
            high = middle;
    }
    int32_t pair[2];
    memcpy(pair, reader.at + low * 8, 8);
    ptrdiff_t distance = (ptrdiff_t)pair[1];
    ptrdiff_t before = header - limits->low, behind = limits->high - header;
    return pair[0] <= wanted && distance > -before && distance < behind ? header + distance : NULL;
}

static struct rule fde_decode(const unsigned char *fde, uintptr_t pc, const struct limits *limits)
{
    struct rule unknown = {0, 0, 0, RULE_UNKNOWN};
    uint32_t distance;
    struct cie cie;
    struct reader reader = record_at(fde, limits->high, &distance);
    if (reader.failed || distance == 0 || distance > (size_t)(fde + 4 - limits->low) ||
        !cie_read(&cie, fde + 4 - distance, limits->high))
        return unknown;
    uintptr_t start = take_encoded(&reader, cie.pointer_encoding), length = take_encoded(&reader, cie.pointer_encoding & 15);
    if (cie.has_augmentation)
        (void)take(&reader, take_uleb(&reader));
    if (reader.failed || pc - start >= length)
        return unknown;
    if (cie.is_signal)
        return (struct rule){0, 0, 0, SIGNAL_PC != 0 ? RULE_SIGNAL : RULE_UNKNOWN};
    struct program program;
    memset(&program, 0, sizeof program);
    program.location = start;
    program.pc = pc;
    program.cie = &cie;
    program_run(&program, cie.code);
    program.initial = program.row;
    if (program.location <= pc)
        program_run(&program, reader);
    return program.failed ? unknown : rule_make(&program.row);
}

struct rule neb_rule_decode(uintptr_t pc)
{
    struct os_module module;
    struct rule unknown = {0, 0, 0, RULE_UNKNOWN};
    if (!neb_os_module_of(pc, &module) || module.unwind == NULL)
        return unknown;
    struct limits limits = limits_of(&module);
    const unsigned char *fde = fde_find(&module, pc, &limits);
    return fde == NULL ? unknown : fde_decode(fde, pc, &limits);
}

/* ---- the table --------------------------------------------------------------------------------------------------------- */

enum { SLOTS = 1 << 15 }; /* 512 KiB, touched as it is used; clang calls from some 20,000 places on the way to malloc */

struct slot {
    _Atomic uint64_t value, check;
};

static struct slot slots[SLOTS];
static _Atomic uint64_t generation = 1;

/* Never 0 for an address in use, so that an empty slot matches none. */
static uint64_t key_of(uintptr_t pc)
{
    return pc ^ atomic_load_explicit(&generation, memory_order_relaxed) << 48; /* a hint; late is early enough */
}

struct rule neb_rule_of(uintptr_t pc)
{
    struct slot *slot = &slots[(pc ^ pc >> 15) % SLOTS];
    uint64_t key = key_of(pc);
    uint64_t value = atomic_load_explicit(&slot->value, memory_order_relaxed); /* both words together prove themselves */
    struct rule rule;
    if (NEB_LIKELY((value ^ atomic_load_explicit(&slot->check, memory_order_relaxed)) == key)) {
        memcpy(&rule, &value, sizeof rule);
        return rule;
    }
    rule = neb_rule_decode(pc);
    memcpy(&value, &rule, sizeof value);
    atomic_store_explicit(&slot->value, value, memory_order_relaxed);
    atomic_store_explicit(&slot->check, value ^ key, memory_order_relaxed);
    return rule;
}

void neb_rules_forget(void)
{
    atomic_fetch_add_explicit(&generation, 1, memory_order_relaxed);
}
