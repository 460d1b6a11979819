/* decode.c - see decode.h. The Linux Standard Base on .eh_frame and .eh_frame_hdr. */
#include "unwind/decode.h"

#include "base/ptr.h"
#include "os/process.h"
#include "unwind/program.h"
#include <string.h>

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
    if (neb_take_u8(&reader) != VERSION)
        return NULL;
    uint8_t frame_encoding = neb_take_u8(&reader), count_encoding = neb_take_u8(&reader), table_encoding = neb_take_u8(&reader);
    (void)neb_take_encoded(&reader, frame_encoding);
    size_t count = neb_take_encoded(&reader, count_encoding);
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
    struct reader reader = neb_record_at(fde, limits->high, &distance);
    if (reader.failed || distance == 0 || distance > (size_t)(fde + 4 - limits->low) ||
        !neb_cie_read(&cie, fde + 4 - distance, limits->high))
        return unknown;
    uintptr_t start = neb_take_encoded(&reader, cie.pointer_encoding), length = neb_take_encoded(&reader, cie.pointer_encoding & 15);
    if (cie.has_augmentation)
        (void)neb_take(&reader, neb_take_uleb(&reader));
    if (reader.failed || pc - start >= length)
        return unknown;
    if (cie.is_signal)
        return (struct rule){0, 0, 0, SIGNAL_PC != 0 ? RULE_SIGNAL : RULE_UNKNOWN};
    struct row row;
    return neb_row_find(&row, &cie, reader, start, pc) ? rule_make(&row) : unknown;
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
