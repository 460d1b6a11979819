/* expression.c - see expression.h: those that compilers and linkers write, for PLT entries and realigned stacks. */
#include "unwind/expression.h"

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
        return (struct term){TERM_NUMBER, neb_take_u8(reader)};
    case OP_CONST1S:
        return (struct term){TERM_NUMBER, (int8_t)neb_take_u8(reader)};
    case OP_CONST2U:
        return (struct term){TERM_NUMBER, neb_take_u16(reader)};
    case OP_CONST2S:
        return (struct term){TERM_NUMBER, (int16_t)neb_take_u16(reader)};
    default:
        return (struct term){op >= OP_LIT0 && op <= OP_LIT31 ? TERM_NUMBER : TERM_NONE, op - OP_LIT0};
    }
}

struct term neb_expression_read(struct reader *reader, uintptr_t pc)
{
    enum { DEPTH = 8 };
    struct term stack[DEPTH], none = {TERM_NONE, 0};
    unsigned count = 0;
    uint64_t bytes = neb_take_uleb(reader);
    struct reader code = {reader->at, reader->at, false};
    (void)neb_take(reader, bytes);
    code.end = reader->at;
    while (code.at < code.end && !code.failed) {
        uint8_t op = neb_take_u8(&code);
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
                number.offset = (int64_t)neb_take_uleb(&code);
            term = op == OP_DEREF ? term_deref(top) : term_binary(OP_PLUS, top, number);
        } else if (op >= OP_BREG0 && op <= OP_BREG31) {
            term = term_register(op - OP_BREG0, neb_take_sleb(&code), pc);
        } else {
            term = term_literal(op, &code);
        }
        if (term.kind == TERM_NONE || count == DEPTH)
            return none;
        stack[count++] = term;
    }
    return count == 1 && !code.failed ? stack[0] : none;
}
