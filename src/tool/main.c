/* main.c - nebmalloc: the commands, their options, and their help. */
#include "tool/cli.h"
#include "tool/export.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum option_bit {
    OPTION_JSON = 1 << 0,
    OPTION_SORT = 1 << 1,
    OPTION_LIMIT = 1 << 2,
    OPTION_DEPTH = 1 << 3,
    OPTION_MIN = 1 << 4,
    OPTION_OUTPUT = 1 << 5,
    OPTION_FORMAT = 1 << 6,
    OPTION_FAIL_ON = 1 << 7,
    OPTION_COLOUR = 1 << 8,
    OPTION_LIST = OPTION_JSON | OPTION_LIMIT | OPTION_COLOUR
};

struct command {
    const char *name, *arguments, *summary;
    int (*run)(const struct arguments *arguments);
    int (*run_raw)(int argc, char **argv); /* instead: reads its own arguments */
    unsigned options;
    int files_min, files_max; /* -1: any number */
    enum metric metric;       /* by default */
    const char *more;         /* further lines of its help */
};

static const char run_help[] =
    "Runs CMD under the library and prints a short summary; the .nbt file is compressed afterwards.\n"
    "The exit status is CMD's, 128 + N if signal N ended it. Signals that arrive meanwhile are passed on.\n\n"
    "  -m, --mode MODE        off, sample, profile (default), trace, or check:\n"
    "                           off      the plain library, nothing recorded\n"
    "                           sample   one allocation each 512 KiB on average: can stay on\n"
    "                           profile  every call, added up by call stack\n"
    "                           trace    every call, in order\n"
    "                           check    the checked library: wrong frees and overwritten memory stop the "
    "program\n"
    "  -o, --output FILE      the file (default nebmalloc.CMD.%p.nbt; %p: process id, %e: program's name)\n"
    "      --children         follow fork and exec: each process writes a file of its own\n"
    "  -O, --option KEY=VALUE,...  more options for the library, as in NEBMALLOC\n"
    "      --no-summary       nothing on stderr afterwards\n";

static const char ctl_help[] =
    "  start [KEY=VALUE,...]  begins to record, e.g. mode=trace,out=app.nbt (default mode=profile)\n"
    "  stop                   completes the file\n"
    "  dump                   a snapshot into a file of its own; the process goes on\n"
    "  leaks                  a dump, then `nebmalloc leaks` of it\n"
    "  stats                  the allocator's own report\n"
    "  mark TEXT              writes TEXT into the file, with the time\n\n"
    "PID must run under libnebmalloc-profile.so and belong to you.\n";

static const char annotate_help[] =
    "Copies standard input to standard output. Stacks, also those in reports of json=1, get functions,\n"
    "files, lines, and what was inlined, as far as debug information is there. The checked library does\n"
    "this by itself where it finds this program; it is of use for reports that come from elsewhere.\n";

static const char diff_help[] =
    "  METRIC in conditions: leaks, leaked-blocks, peak, bytes, count, sites. leaks>0 looks at B;\n"
    "  leaks>+0 at what B has more than A; peak>+5% at the growth in percent. Sizes take K, M, G.\n"
    "  Exit status 3 when a condition holds.\n";

static const char export_help[] = "  FORMAT: ";

static const struct command commands[] = {
    {"run", "[OPTIONS] [--] CMD [ARGUMENTS]", "run a program and record what it allocates", NULL, command_run,
     0, 0, 0, 0, run_help},
    {"report", "FILE...", "one screen: figures, heap over time, who has most (also: nebmalloc FILE)",
     command_report, NULL, OPTION_LIST, 1, -1, METRIC_PEAK, NULL},
    {"top", "FILE...", "functions by what they allocated", command_top, NULL, OPTION_LIST | OPTION_SORT, 1,
     -1, METRIC_PEAK, NULL},
    {"tree", "FILE...", "the calls that led to allocations", command_tree, NULL,
     OPTION_LIST | OPTION_SORT | OPTION_DEPTH | OPTION_MIN, 1, -1, METRIC_PEAK, NULL},
    {"flame", "FILE...", "the same as a flame graph in the terminal", command_flame, NULL,
     OPTION_JSON | OPTION_COLOUR | OPTION_SORT | OPTION_DEPTH | OPTION_MIN, 1, -1, METRIC_PEAK, NULL},
    {"leaks", "FILE...", "blocks that were not freed, by call stack", command_leaks, NULL,
     OPTION_LIST | OPTION_DEPTH, 1, -1, METRIC_LEAKED, NULL},
    {"lifetimes", "FILE...", "how long blocks live", command_lifetimes, NULL, OPTION_LIST | OPTION_SORT, 1,
     -1, METRIC_COUNT, NULL},
    {"sizes", "FILE...", "which sizes are asked for", command_sizes, NULL, OPTION_LIST | OPTION_SORT, 1, -1,
     METRIC_BYTES, NULL},
    {"threads", "FILE...", "what each thread did", command_threads, NULL, OPTION_LIST, 1, -1, METRIC_BYTES,
     NULL},
    {"realloc", "FILE...", "who resizes blocks, and how often they move", command_realloc, NULL, OPTION_LIST,
     1, -1, METRIC_COUNT, NULL},
    {"frag", "FILE...", "size classes, and whose blocks keep empty slabs", command_frag, NULL,
     OPTION_LIST | OPTION_DEPTH, 1, -1, METRIC_PEAK, NULL},
    {"diff", "A B", "two runs side by side", command_diff, NULL, OPTION_LIST | OPTION_SORT | OPTION_FAIL_ON,
     2, 2, METRIC_PEAK, diff_help},
    {"export", "FILE...", "the same facts for other tools", command_export, NULL,
     OPTION_FORMAT | OPTION_OUTPUT | OPTION_SORT, 1, -1, METRIC_COUNT_OF, export_help},
    {"annotate", "<REPORT", "error reports of the checked library with files and lines", NULL,
     command_annotate, 0, 0, 0, 0, annotate_help},
    {"ctl", "PID COMMAND [TEXT]", "steer a process that runs under the library", NULL, command_ctl, 0, 0, 0,
     0, ctl_help},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static const struct {
    struct option option;
    unsigned bit;
    const char *help;
} options[] = {
    {{"json", no_argument, NULL, 'j'}, OPTION_JSON, "      --json             JSON on stdout"},
    {{"sort", required_argument, NULL, 's'},
     OPTION_SORT,
     "  -s, --sort METRIC      peak, bytes, count, leaked, leaked-blocks, lifetime, temporary"},
    {{"limit", required_argument, NULL, 'n'}, OPTION_LIMIT, "  -n, --limit N          at most N rows"},
    {{"depth", required_argument, NULL, 'd'},
     OPTION_DEPTH,
     "  -d, --depth N          at most N calls of a stack"},
    {{"min", required_argument, NULL, 'm'}, OPTION_MIN, "  -m, --min PERCENT      leave out what is less"},
    {{"format", required_argument, NULL, 'f'}, OPTION_FORMAT, "  -f, --format FORMAT    what to write"},
    {{"output", required_argument, NULL, 'o'},
     OPTION_OUTPUT,
     "  -o, --output FILE      where to (default: stdout; for html FILE.html)"},
    {{"fail-on", required_argument, NULL, 'F'},
     OPTION_FAIL_ON,
     "  -F, --fail-on CONDITIONS  e.g. 'leaks>0,peak>200M'"},
    {{"color", required_argument, NULL, 'c'},
     OPTION_COLOUR,
     "      --color WHEN       auto (default), always, never; NO_COLOR is respected"},
};
enum { OPTIONS = sizeof options / sizeof options[0] };

static void help(FILE *out)
{
    fputs("nebmalloc - who allocates, how much, and what is never freed\n\n"
          "  nebmalloc run [-m MODE] -- CMD ...    run CMD and record it\n"
          "  nebmalloc FILE                        look at what was recorded\n\n",
          out);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\n`nebmalloc COMMAND --help` tells more. Several files are added up: processes of one run.\n"
          "Exit status: 0 good, 1 a file or process cannot be used, 2 wrong usage, 3 diff --fail-on holds;\n"
          "run: CMD's own, 128 + signal, 125 run itself failed, 126 CMD is no program, 127 no such CMD.\n",
          out);
}

static void command_help(const struct command *command, FILE *out)
{
    fprintf(out, "nebmalloc %s %s\n  %s\n\n", command->name, command->arguments, command->summary);
    for (size_t i = 0; i < OPTIONS; i++)
        if ((command->options & options[i].bit) != 0)
            fprintf(out, "%s\n", options[i].help);
    if (command->more != NULL)
        fputs(command->more, out);
    if (command->run == command_export)
        export_list(out);
}

static unsigned parse_count(const char *text, const char *option)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value == 0 || value > 1000000000)
        tool_die(TOOL_USAGE, "%s '%s' is no number from 1 to 1000000000", option, text);
    return (unsigned)value;
}

static double parse_percent(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || (*end != '\0' && strcmp(end, "%") != 0) || !(value >= 0 && value <= 100))
        tool_die(TOOL_USAGE, "--min '%s' is no percentage from 0 to 100", text);
    return value;
}

static enum colour_when parse_colour(const char *text)
{
    static const char *const whens[] = {"auto", "always", "never"};
    for (unsigned i = 0; i < 3; i++)
        if (strcmp(text, whens[i]) == 0)
            return (enum colour_when)i;
    tool_die(TOOL_USAGE, "--color '%s': auto, always or never", text);
}

static void parse_option(const struct command *command, int letter, const char *value,
                         struct arguments *arguments, enum colour_when *colour)
{
    for (size_t i = 0; i < OPTIONS; i++)
        if (options[i].option.val == letter && (command->options & options[i].bit) == 0)
            tool_die(TOOL_USAGE, "%s takes no --%s; `nebmalloc %s --help` lists what it takes", command->name,
                     options[i].option.name, command->name);
    switch (letter) {
    case 'h':
        command_help(command, stdout);
        exit(TOOL_OK);
    case 'j':
        arguments->json = true;
        break;
    case 's':
        arguments->metric = metric_find(value);
        arguments->metric_given = true;
        if (arguments->metric == METRIC_COUNT_OF)
            tool_die(TOOL_USAGE,
                     "--sort '%s': peak, bytes, count, leaked, leaked-blocks, lifetime or temporary", value);
        break;
    case 'n':
        arguments->limit = parse_count(value, "--limit");
        break;
    case 'd':
        arguments->depth = parse_count(value, "--depth");
        break;
    case 'm':
        arguments->min_percent = parse_percent(value);
        break;
    case 'f':
        arguments->format = value;
        break;
    case 'o':
        arguments->output = value;
        break;
    case 'F':
        arguments->fail_on = value;
        break;
    case 'c':
        *colour = parse_colour(value);
        break;
    default:
        tool_die(TOOL_USAGE, "`nebmalloc %s --help` lists the options", command->name);
    }
}

static int command_start(const struct command *command, int argc, char **argv)
{
    struct option table[OPTIONS + 2] = {{0}};
    for (size_t i = 0; i < OPTIONS; i++)
        table[i] = options[i].option;
    table[OPTIONS] = (struct option){"help", no_argument, NULL, 'h'};
    struct arguments arguments = {.metric = command->metric};
    enum colour_when colour = COLOUR_AUTO;
    optind = 1;
    for (int letter; (letter = getopt_long(argc, argv, "hs:n:d:m:f:o:F:", table, NULL)) != -1;)
        parse_option(command, letter, optarg, &arguments, &colour);
    arguments.files = argv + optind;
    arguments.count = argc - optind;
    if (arguments.count < command->files_min ||
        (command->files_max >= 0 && arguments.count > command->files_max))
        tool_die(TOOL_USAGE, "%s needs %s; `nebmalloc %s --help` tells more", command->name,
                 command->arguments, command->name);
    term_begin(colour);
    return command->run(&arguments);
}

static const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        help(stderr);
        return TOOL_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        const struct command *about = argc > 2 ? command_find(argv[2]) : NULL;
        if (about != NULL)
            command_help(about, stdout);
        else
            help(stdout);
        return TOOL_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("nebmalloc " NEB_VERSION);
        return TOOL_OK;
    }
    const struct command *command = command_find(argv[1]);
    struct stat status;
    if (command == NULL && argv[1][0] != '-' && stat(argv[1], &status) == 0)
        return command_start(command_find("report"), argc, argv); /* argv[0] takes the command's place */
    if (command == NULL)
        tool_die(TOOL_USAGE, "'%s' is neither a command nor a file; `nebmalloc --help` lists the commands",
                 argv[1]);
    if (command->run_raw == NULL)
        return command_start(command, argc - 1, argv + 1);
    for (int i = 2; i < argc && argv[i][0] == '-' && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            command_help(command, stdout);
            return TOOL_OK;
        }
    return command->run_raw(argc - 1, argv + 1);
}
