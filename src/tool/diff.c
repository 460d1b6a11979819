/* diff.c - `diff A B`: what B allocates more or less than A, by function; conditions for CI. */
#include "tool/cli.h"
#include "tool/reader.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- conditions: METRIC > [+] NUMBER [K|M|G|%] --------------------------------------------------------- */

struct figures {
    uint64_t leaks, leaked_blocks, peak, bytes, count, sites;
};

static struct figures figures_of(const struct model *model)
{
    const struct totals *totals = &model->totals;
    return (struct figures){totals->live_bytes, totals->live_blocks, totals->peak_bytes,
                            totals->bytes,      totals->allocs,      model->site_count};
}

struct condition {
    char text[64];
    uint64_t before, after;
    bool growth, percent, at_least, less;
    double limit;
};

static void condition_error(const char *text, const char *why)
{
    tool_die(TOOL_USAGE,
             "--fail-on '%s': %s; e.g. 'leaks>0,peak>200M,bytes>+5%%' with leaks, leaked-blocks, peak, "
             "bytes, count, sites",
             text, why);
}

static struct condition condition_parse(const char *text, size_t length, const struct figures *a,
                                        const struct figures *b)
{
    struct condition condition = {0};
    char *whole = tool_copy(text, length);
    if (length >= sizeof condition.text)
        condition_error(whole, "too long");
    memcpy(condition.text, text, length);
    const struct {
        const char *name;
        uint64_t before, after;
    } names[] = {{"leaks", a->leaks, b->leaks},
                 {"leaked", a->leaks, b->leaks},
                 {"leaked-blocks", a->leaked_blocks, b->leaked_blocks},
                 {"peak", a->peak, b->peak},
                 {"bytes", a->bytes, b->bytes},
                 {"count", a->count, b->count},
                 {"sites", a->sites, b->sites}};
    char *at = whole + strspn(whole, " ");
    size_t name_length = strcspn(at, " <>="), which = 0, count = sizeof names / sizeof names[0];
    while (which < count &&
           (strlen(names[which].name) != name_length || strncmp(names[which].name, at, name_length) != 0))
        which++;
    if (which == count)
        condition_error(whole, "no such figure");
    condition.before = names[which].before;
    condition.after = names[which].after;
    at += name_length;
    at += strspn(at, " ");
    if (*at != '>' && *at != '<')
        condition_error(whole, "> or < is missing");
    condition.less = *at++ == '<';
    condition.at_least = *at == '=';
    at += condition.at_least;
    at += strspn(at, " ");
    condition.growth = *at == '+';
    char *end;
    condition.limit = strtod(at, &end);
    if (end == at || !isfinite(condition.limit))
        condition_error(whole, "a number is missing");
    static const char units[] = "KMGT";
    const char *unit = *end == '\0' ? NULL : strchr(units, *end >= 'a' ? *end - 32 : *end);
    if (unit != NULL && *unit != '\0') {
        condition.limit *= pow(1024, (double)(unit - units + 1));
        end++;
        end += *end == 'i';
        end += *end == 'B';
    } else if (*end == '%') {
        condition.percent = true;
        end++;
        if (!condition.growth)
            condition_error(whole, "a percentage is of growth: write >+5%");
    }
    if (end[strspn(end, " ")] != '\0')
        condition_error(whole, "something stands behind the number");
    free(whole);
    return condition;
}

static bool condition_holds(const struct condition *condition)
{
    double value = (double)condition->after;
    if (condition->growth)
        value -= (double)condition->before;
    if (condition->percent)
        value = condition->before == 0 ? (value > 0 ? INFINITY : 0) : value * 100 / (double)condition->before;
    if (condition->at_least && value == condition->limit)
        return true;
    return condition->less ? value < condition->limit : value > condition->limit;
}

/* ---- two lists of functions as one --------------------------------------------------------------------- */

struct row {
    const struct symbol *symbol;
    const struct stats *a, *b;
    int64_t more;
};

static int name_compare(const void *a, const void *b)
{
    const struct symbol *left = ((const struct group *)a)->symbol, *right = ((const struct group *)b)->symbol;
    int order = strcmp(left->function, right->function);
    if (order == 0)
        order = strcmp(left->module, right->module);
    if (order == 0)
        order = strcmp(left->file == NULL ? "" : left->file, right->file == NULL ? "" : right->file);
    return order;
}

static int row_compare(const void *a, const void *b)
{
    const struct row *left = a, *right = b;
    int64_t more = left->more < 0 ? -left->more : left->more,
            less = right->more < 0 ? -right->more : right->more;
    if (more != less)
        return more > less ? -1 : 1;
    return strcmp(left->symbol->function, right->symbol->function);
}

static const struct stats none;

static struct row *rows_make(struct groups *a, struct groups *b, enum metric metric, size_t *count)
{
    struct row *rows = tool_make(a->count + b->count, sizeof *rows);
    if (a->count > 0)
        qsort(a->items, a->count, sizeof *a->items, name_compare);
    if (b->count > 0)
        qsort(b->items, b->count, sizeof *b->items, name_compare);
    *count = 0;
    for (size_t i = 0, k = 0; i < a->count || k < b->count;) {
        int order = i == a->count ? 1 : k == b->count ? -1 : name_compare(&a->items[i], &b->items[k]);
        struct row *row = &rows[(*count)++];
        row->symbol = order <= 0 ? a->items[i].symbol : b->items[k].symbol;
        row->a = order <= 0 ? &a->items[i++].stats : &none;
        row->b = order >= 0 ? &b->items[k++].stats : &none;
        row->more = (int64_t)(stats_metric(row->b, metric) - stats_metric(row->a, metric));
    }
    if (*count > 0)
        qsort(rows, *count, sizeof *rows, row_compare);
    return rows;
}

static struct number number_signed(int64_t value, const char *unit)
{
    struct number number = number_metric((uint64_t)(value < 0 ? -value : value), unit), with_sign;
    snprintf(with_sign.text, sizeof with_sign.text, "%s%.30s",
             value < 0   ? "-"
             : value > 0 ? "+"
                         : "",
             number.text);
    return with_sign;
}

static void print_totals(const struct model *a, const struct model *b)
{
    struct figures before = figures_of(a), after = figures_of(b);
    static const struct grid_column columns[] = {{"", false, STYLE_TITLE},
                                                 {"A", true, STYLE_NUMBER},
                                                 {"B", true, STYLE_NUMBER},
                                                 {"difference", true, STYLE_WARM},
                                                 {"", false, STYLE_DIM}};
    const struct {
        const char *name, *unit;
        uint64_t a, b;
    } lines[] = {{"allocations", "blocks", before.count, after.count},
                 {"bytes", "bytes", before.bytes, after.bytes},
                 {"peak", "bytes", before.peak, after.peak},
                 {"not freed", "bytes", before.leaks, after.leaks},
                 {"blocks not freed", "blocks", before.leaked_blocks, after.leaked_blocks}};
    struct grid *grid = grid_create(columns, 5);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct number left = number_metric(lines[i].a, lines[i].unit),
                      right = number_metric(lines[i].b, lines[i].unit),
                      more = number_signed((int64_t)(lines[i].b - lines[i].a), lines[i].unit);
        char *percent =
            lines[i].a == 0
                ? tool_copy("", 0)
                : tool_text("%+.1f %%", ((double)lines[i].b - (double)lines[i].a) * 100 / (double)lines[i].a);
        grid_add(grid, (const char *[]){lines[i].name, left.text, right.text, more.text, percent});
        free(percent);
    }
    grid_print(grid);
}

static void print_rows(const struct row *rows, size_t count, enum metric metric, unsigned most)
{
    static const struct grid_column columns[] = {{"difference", true, STYLE_WARM},
                                                 {"A", true, STYLE_NUMBER},
                                                 {"B", true, STYLE_NUMBER},
                                                 {"asked for by", false, STYLE_TITLE}};
    const char *unit = metric_facts[metric].unit;
    struct grid *grid = grid_create(columns, 4);
    printf("\n%s, by function:\n", metric_facts[metric].title);
    for (size_t i = 0; i < count && i < most && rows[i].more != 0; i++) {
        char *label = symbol_label(rows[i].symbol);
        struct number more = number_signed(rows[i].more, unit),
                      left = number_metric(stats_metric(rows[i].a, metric), unit),
                      right = number_metric(stats_metric(rows[i].b, metric), unit);
        grid_add(grid, (const char *[]){more.text, left.text, right.text, label});
        free(label);
    }
    grid_print(grid);
}

static void rows_json(const struct model *a, const struct model *b, const struct row *rows, size_t count,
                      enum metric metric, const struct condition *conditions, size_t condition_count)
{
    struct json json = {.out = stdout};
    json_open(&json, NULL, '{');
    json_text(&json, "command", "diff");
    for (unsigned side = 0; side < 2; side++) {
        json_open(&json, side == 0 ? "a" : "b", '{');
        json_processes(&json, side == 0 ? a : b);
        json_totals(&json, side == 0 ? a : b);
        json_close(&json, '}');
    }
    json_text(&json, "metric", metric_facts[metric].name);
    json_open(&json, "functions", '[');
    for (size_t i = 0; i < count; i++) {
        json_open(&json, NULL, '{');
        json_symbol(&json, rows[i].symbol);
        json_number(&json, "a", stats_metric(rows[i].a, metric));
        json_number(&json, "b", stats_metric(rows[i].b, metric));
        json_signed(&json, "difference", rows[i].more);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_open(&json, "conditions", '[');
    for (size_t i = 0; i < condition_count; i++) {
        json_open(&json, NULL, '{');
        json_text(&json, "condition", conditions[i].text);
        json_bool(&json, "holds", condition_holds(&conditions[i]));
        json_close(&json, '}');
    }
    json_close(&json, ']');
    json_close(&json, '}');
}

int command_diff(const struct arguments *arguments)
{
    struct loaded a, b;
    struct groups groups_a, groups_b;
    struct arguments one = *arguments;
    one.count = 1;
    loaded_begin(&a, &one);
    one.files = arguments->files + 1;
    loaded_begin(&b, &one);
    struct figures before = figures_of(&a.model), after = figures_of(&b.model);
    struct condition *conditions = NULL;
    size_t condition_count = 0, room = 0;
    for (const char *at = arguments->fail_on; at != NULL && *at != '\0';) {
        size_t length = strcspn(at, ",");
        TOOL_ROOM(conditions, condition_count, room);
        conditions[condition_count++] = condition_parse(at, length, &before, &after);
        at += length + (at[length] == ',');
    }
    groups_make(&groups_a, &a.model, a.symbols, arguments->metric);
    groups_make(&groups_b, &b.model, b.symbols, arguments->metric);
    size_t count;
    struct row *rows = rows_make(&groups_a, &groups_b, arguments->metric, &count);
    if (arguments->json) {
        rows_json(&a.model, &b.model, rows,
                  arguments->limit > 0 && arguments->limit < count ? arguments->limit : count,
                  arguments->metric, conditions, condition_count);
    } else {
        print_title(&a.model, "A");
        print_title(&b.model, "B");
        print_totals(&a.model, &b.model);
        print_rows(rows, count, arguments->metric,
                   arguments->limit > 0                ? arguments->limit
                   : term.terminal && term.height > 16 ? term.height - 13
                                                       : 12);
    }
    int status = TOOL_OK;
    for (size_t i = 0; i < condition_count; i++) {
        if (!condition_holds(&conditions[i]))
            continue;
        status = TOOL_CONDITION;
        fflush(stdout);
        tool_warn("diff: %s holds: A %llu, B %llu", conditions[i].text,
                  (unsigned long long)conditions[i].before, (unsigned long long)conditions[i].after);
    }
    free(conditions);
    free(rows);
    groups_finish(&groups_a);
    groups_finish(&groups_b);
    loaded_end(&a);
    loaded_end(&b);
    return status;
}
