/* tree.c - `tree`: the calls that led to allocations, indented; `flame`: the same as boxes, as wide as their
 * share. */
#include "tool/cli.h"

#include <stdlib.h>
#include <string.h>

static void call_json(struct json *json, const struct calls *calls, uint32_t at, enum metric metric,
                      uint64_t least, unsigned depth)
{
    const struct call *call = &calls->items[at];
    json_open(json, NULL, '{');
    if (call->symbol == NULL)
        json_text(json, "function", "[root]");
    else
        json_symbol(json, call->symbol);
    json_number(json, "total", call->total[metric]);
    json_number(json, "self", call->self[metric]);
    if (depth > 0 && call->first_child != 0) {
        json_open(json, "calls", '[');
        for (uint32_t child = call->first_child; child != 0; child = calls->items[child].next_sibling)
            if (calls->items[child].total[metric] > least)
                call_json(json, calls, child, metric, least, depth - 1);
        json_close(json, ']');
    }
    json_close(json, '}');
}

/* JSON nests two levels a call. */
enum { JSON_CALLS_MAX = (JSON_DEPTH_MAX - 4) / 2 };

static void tree_json(struct loaded *loaded, const struct calls *calls, const struct arguments *arguments,
                      const char *command)
{
    struct json json;
    unsigned depth =
        arguments->depth > 0 && arguments->depth < JSON_CALLS_MAX ? arguments->depth : JSON_CALLS_MAX;
    uint64_t least =
        tool_whole((double)calls->items[0].total[arguments->metric] * arguments->min_percent / 100);
    json_begin(&json, &loaded->model, command);
    json_text(&json, "metric", metric_facts[arguments->metric].name);
    json_open(&json, "tree", '[');
    call_json(&json, calls, 0, arguments->metric, least, depth);
    json_close(&json, ']');
    json_end(&json);
}

struct printing {
    const struct calls *calls;
    enum metric metric;
    uint64_t least;
    unsigned rows, depth;
    struct buffer indent;
};

static void print_call(struct printing *printing, uint32_t at, unsigned depth)
{
    const struct calls *calls = printing->calls;
    uint64_t whole = calls->items[0].total[printing->metric];
    unsigned shown = 0, left_out = 0;
    uint64_t left_value = 0;
    for (uint32_t child = calls->items[at].first_child; child != 0;
         child = calls->items[child].next_sibling) {
        const struct call *call = &calls->items[child];
        uint64_t value = call->total[printing->metric];
        if (value <= printing->least || printing->rows == 0 || depth == printing->depth) {
            left_out += value > 0;
            left_value += value;
            continue;
        }
        shown++;
        printing->rows--;
        /* A call with one child of the same weight is a step on the way: it does not go deeper into the page.
         */
        bool branches =
            call->first_child != 0 && calls->items[call->first_child].total[printing->metric] < value;
        char *label = symbol_label(call->symbol);
        size_t used = 20 + term_columns(printing->indent.data);
        char *text = term.terminal && term.width > used + 10 ? term_shorten(label, term.width - used)
                                                             : tool_copy(label, strlen(label));
        printf("%s%10s%s %7s  %s%s%s%s\n", term_on(STYLE_NUMBER),
               number_metric(value, metric_facts[printing->metric].unit).text, term_off(),
               number_percent(value, whole).text, term_on(STYLE_DIM), printing->indent.data, term_off(),
               text);
        free(text);
        free(label);
        size_t bytes = printing->indent.bytes;
        if (branches)
            buffer_print(&printing->indent, "%s", term.unicode ? "│ " : "| ");
        print_call(printing, child, depth + 1);
        printing->indent.bytes = bytes;
        printing->indent.data[bytes] = '\0';
    }
    if (left_out > 0 && shown > 0 && printing->rows > 0 && printing->rows-- > 0)
        printf("%s%10s %7s  %s.. %u more%s\n", term_on(STYLE_DIM),
               number_metric(left_value, metric_facts[printing->metric].unit).text,
               number_percent(left_value, whole).text, printing->indent.data, left_out, term_off());
}

/* What tree and flame show: the calls, heaviest first. */
static void tree_begin(struct loaded *loaded, struct calls *calls, const struct arguments *arguments)
{
    loaded_begin(loaded, arguments);
    calls_make(calls, &loaded->model, loaded->symbols);
    calls_sort(calls, arguments->metric);
    progress_end();
}

static void tree_end(struct loaded *loaded, struct calls *calls)
{
    calls_finish(calls);
    loaded_end(loaded);
}

int command_tree(const struct arguments *arguments)
{
    struct loaded loaded;
    struct calls calls;
    tree_begin(&loaded, &calls, arguments);
    if (arguments->json) {
        tree_json(&loaded, &calls, arguments, "tree");
    } else {
        char *what = tool_text("calls by %s", metric_facts[arguments->metric].title);
        print_title(&loaded.model, what);
        free(what);
        struct printing printing = {.calls = &calls,
                                    .metric = arguments->metric,
                                    .depth = arguments->depth > 0 ? arguments->depth : 200};
        double percent = arguments->min_percent > 0 ? arguments->min_percent : 1;
        printing.least = tool_whole((double)calls.items[0].total[arguments->metric] * percent / 100);
        printing.rows = arguments->limit > 0 ? arguments->limit : term.terminal ? term.height - 4 : 60;
        buffer_add(&printing.indent, "", 0);
        print_call(&printing, 0, 0);
        buffer_finish(&printing.indent);
    }
    tree_end(&loaded, &calls);
    return TOOL_OK;
}

/* ---- flame --------------------------------------------------------------------------------------------- */

/* A box on a line of the picture, from column `first` up to `last`. */
struct box {
    unsigned first, last;
    uint32_t call;
};

struct picture {
    struct box *boxes;
    size_t count, room;
};

static void flame_boxes(const struct calls *calls, uint32_t at, double first, double columns_per_unit,
                        unsigned depth, unsigned lines, enum metric metric, struct picture *picture)
{
    if (depth == lines)
        return;
    for (uint32_t child = calls->items[at].first_child; child != 0;
         child = calls->items[child].next_sibling) {
        double width = (double)calls->items[child].total[metric] * columns_per_unit;
        unsigned from = (unsigned)(first + 0.5), to = (unsigned)(first + width + 0.5);
        if (to > from) {
            struct picture *line = &picture[depth];
            TOOL_ROOM(line->boxes, line->count, line->room);
            line->boxes[line->count++] = (struct box){from, to, child};
            flame_boxes(calls, child, first, columns_per_unit, depth + 1, lines, metric, picture);
        }
        first += width;
    }
}

/* The deepest call that has all of its parents' weight: the picture begins there, since what is below says
 * nothing. */
static uint32_t flame_root(const struct calls *calls, enum metric metric)
{
    uint32_t at = 0;
    while (calls->items[at].first_child != 0 && calls->items[calls->items[at].first_child].first_child != 0 &&
           calls->items[calls->items[at].first_child].total[metric] == calls->items[at].total[metric])
        at = calls->items[at].first_child;
    return at;
}

int command_flame(const struct arguments *arguments)
{
    enum { LINES_MAX = 200 };
    struct loaded loaded;
    struct calls calls;
    tree_begin(&loaded, &calls, arguments);
    if (arguments->json) {
        tree_json(&loaded, &calls, arguments, "flame");
        goto done;
    }
    print_title(&loaded.model, metric_facts[arguments->metric].title);
    uint32_t root = flame_root(&calls, arguments->metric);
    uint64_t whole = calls.items[root].total[arguments->metric];
    unsigned lines = arguments->depth > 0 ? arguments->depth : term.terminal ? term.height - 4 : 40;
    lines = lines < LINES_MAX ? lines : LINES_MAX;
    struct picture picture[LINES_MAX] = {{0}};
    if (whole > 0)
        flame_boxes(&calls, root, 0, (double)term.width / (double)whole, 0, lines, arguments->metric,
                    picture);
    if (calls.items[root].symbol != NULL)
        printf("%sall of it below %s%s\n", term_on(STYLE_DIM), calls.items[root].symbol->function,
               term_off());
    for (unsigned line = 0; line < lines && picture[line].count > 0; line++) {
        unsigned column = 0;
        for (size_t i = 0; i < picture[line].count; i++) {
            const struct box *box = &picture[line].boxes[i];
            unsigned width = box->last - box->first - 1; /* the last column is the gap to the next box */
            char *label =
                tool_text("%s %s", calls.items[box->call].symbol->function,
                          number_percent(calls.items[box->call].total[arguments->metric], whole).text);
            size_t fits = term_fit(label, width), columns = term_columns(label);
            printf("%*s%s%.*s", (int)(box->first - column), "",
                   term_flame(calls.items[box->call].symbol->function), (int)fits, label);
            printf("%*s%s%s", (int)(columns < width ? width - columns : 0), "", term_off(),
                   term.colour ? " " : "|");
            column = box->last;
            free(label);
        }
        putchar('\n');
    }
    for (unsigned line = 0; line < lines; line++)
        free(picture[line].boxes);
done:
    tree_end(&loaded, &calls);
    return TOOL_OK;
}
