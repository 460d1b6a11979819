/* export.h - the model in other tools' formats.
 *
 * Law  the sum over what is written is the model's total, for every measure that the format has */
#ifndef NEB_TOOL_EXPORT_H
#define NEB_TOOL_EXPORT_H

#include "tool/view.h"

struct exporting {
    const struct model *model;
    struct symbols *symbols;
    enum metric metric;
    FILE *out;
};

typedef void export_write(struct exporting *exporting);

export_write export_folded, export_pprof, export_gperftools, export_heaptrack, export_dhat, export_massif,
    export_speedscope, export_perfetto, export_callgrind, export_csv, export_json, export_html;

void export_list(FILE *out);

#endif
