/* cli.h - the command line: what a command gets, and the commands. */
#ifndef NEB_TOOL_CLI_H
#define NEB_TOOL_CLI_H

#include "tool/term.h"
#include "tool/view.h"

struct arguments {
    char **files;
    int count;
    enum metric metric; /* --sort */
    bool metric_given, json;
    unsigned limit;     /* --limit: rows; 0: the command's own choice */
    unsigned depth;     /* --depth; 0: the command's own choice */
    double min_percent; /* --min */
    const char *output, *format, *fail_on;
};

/* Each returns the exit status. */
int command_report(const struct arguments *arguments);
int command_top(const struct arguments *arguments);
int command_tree(const struct arguments *arguments);
int command_flame(const struct arguments *arguments);
int command_leaks(const struct arguments *arguments);
int command_lifetimes(const struct arguments *arguments);
int command_sizes(const struct arguments *arguments);
int command_threads(const struct arguments *arguments);
int command_realloc(const struct arguments *arguments);
int command_frag(const struct arguments *arguments);
int command_diff(const struct arguments *arguments);
int command_export(const struct arguments *arguments);
/* These read their own arguments: argv[0] is the command's name. */
int command_annotate(int argc, char **argv);
int command_run(int argc, char **argv);
int command_ctl(int argc, char **argv);

/* A file's model and symbols, for the time of a command. */
struct loaded {
    struct model model;
    struct symbols *symbols;
};

void loaded_begin(struct loaded *loaded, const struct arguments *arguments);
void loaded_end(struct loaded *loaded);

/* The first lines of every report: which process, and what of the file is missing. */
void print_title(const struct model *model, const char *what);
/* JSON on stdout, the processes in it. */
void json_begin(struct json *json, const struct model *model, const char *command);
void json_end(struct json *json);

/* A call stack whose blocks keep mostly empty slabs. */
struct pinner {
    uint32_t node;
    uint64_t slabs, blocks, idle_bytes; /* the slabs' free part, shared out by blocks */
};

/* Most idle bytes first; the caller frees them. */
struct pinner *pinners_make(const struct model *model, size_t *count);

/* Heap over time, so many lines high. */
void plot_print(const struct model *model, unsigned lines);
/* A bar of `columns` columns, filled in proportion; the caller frees it. */
char *bar_text(uint64_t part, uint64_t whole, unsigned columns);

#endif
