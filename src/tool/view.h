/* view.h - the model as reports look at it: sites gathered by function, and the tree of calls.
 *
 * Law  every view's sum is the model's: each site is in one group, and in one node of the tree */
#ifndef NEB_TOOL_VIEW_H
#define NEB_TOOL_VIEW_H

#include "tool/json.h"
#include "tool/symbols.h"

/* Sites whose innermost function of the program is the same. */
struct group {
    const struct symbol *symbol;
    struct stats stats;
    uint32_t sites; /* how many */
    uint32_t node;  /* of the site with most of the metric */
    uint64_t node_value;
};

struct groups {
    struct group *items;
    size_t count, room;
    struct table table;
};

/* The function that asked for a stack's blocks: the innermost one that is not itself part of an allocator. */
const struct symbol *view_caller(struct symbols *symbols, uint32_t node);
/* Gathered, and sorted: most of the metric first. */
void groups_make(struct groups *groups, const struct model *model, struct symbols *symbols,
                 enum metric metric);
void groups_sort(struct groups *groups, enum metric metric);
void groups_finish(struct groups *groups);
/* "function (file:line)", or with the module's name; the caller frees it. */
char *symbol_label(const struct symbol *symbol);
/* The last part of a path. */
const char *path_name(const char *path);

/* Functions, each once (the same name in the same module), numbered from 0 on: for formats that list them apart. */
struct symbol_list {
    const struct symbol **items;
    size_t count, room;
    struct table table;
};

uint32_t symbol_list_number(struct symbol_list *list, const struct symbol *symbol);
void symbol_list_finish(struct symbol_list *list);

/* The calls that led to allocations, merged by function. Node 0 is the root. */
struct call {
    const struct symbol *symbol;                /* NULL: the root */
    uint32_t parent, first_child, next_sibling; /* 0: none */
    uint64_t self[METRIC_COUNT_OF], total[METRIC_COUNT_OF];
};

struct calls {
    struct call *items;
    size_t count, room;
    struct table table;
};

void calls_make(struct calls *calls, const struct model *model, struct symbols *symbols);
/* Children of every node: most of the metric first. */
void calls_sort(struct calls *calls, enum metric metric);
void calls_finish(struct calls *calls);

/* The parts of JSON that all reports share. */
void json_stats(struct json *json, const struct stats *stats);
void json_symbol(struct json *json, const struct symbol *symbol);
void json_stack(struct json *json, const char *key, struct symbols *symbols, uint32_t node);
void json_processes(struct json *json, const struct model *model);
void json_totals(struct json *json, const struct model *model);

#endif
