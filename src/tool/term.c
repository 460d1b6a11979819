/* term.c - see term.h. */
#include "tool/term.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct term term = {.width = 80, .height = 24};

void term_begin(enum colour_when when)
{
    setlocale(LC_CTYPE, "");
    term.unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    term.terminal = isatty(STDOUT_FILENO);
    const char *no = getenv("NO_COLOR"), *kind = getenv("TERM");
    bool wanted =
        term.terminal && (no == NULL || no[0] == '\0') && (kind == NULL || strcmp(kind, "dumb") != 0);
    term.colour = when == COLOUR_ALWAYS || (when == COLOUR_AUTO && wanted);
    struct winsize size;
    if (term.terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40 &&
        size.ws_row >= 10) {
        term.width = size.ws_col;
        term.height = size.ws_row;
    }
}

const char *term_on(enum style style)
{
    static const char *const escape[STYLE_COUNT] = {"\033[1m",  "\033[2m",  "\033[32m",
                                                    "\033[31m", "\033[33m", "\033[36m"};
    return term.colour ? escape[style] : "";
}

const char *term_off(void)
{
    return term.colour ? "\033[0m" : "";
}

const char *term_flame(const char *name)
{
    static char escape[32];
    static const unsigned char warm[] = {202, 208, 214, 220, 215, 209, 203, 173, 179, 216, 222, 210};
    if (!term.colour)
        return "";
    snprintf(escape, sizeof escape, "\033[48;5;%u;38;5;16m",
             warm[tool_hash(name, strlen(name)) % sizeof warm]);
    return escape;
}

size_t term_columns(const char *text)
{
    size_t columns = 0;
    for (; *text != '\0'; text++)
        columns += ((unsigned char)*text & 0xC0) != 0x80;
    return columns;
}

size_t term_fit(const char *text, size_t columns)
{
    size_t bytes = 0;
    while (text[bytes] != '\0') {
        size_t next = bytes + 1;
        while (((unsigned char)text[next] & 0xC0) == 0x80)
            next++;
        if (columns-- == 0)
            break;
        bytes = next;
    }
    return bytes;
}

char *term_clean(char *text)
{
    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            *p = '?';
    return text;
}

char *term_shorten(const char *text, size_t columns)
{
    size_t all = term_columns(text);
    if (all <= columns || columns < 8)
        return tool_copy(text, all <= columns ? strlen(text) : term_fit(text, columns));
    const char *dots = term.unicode ? "\u2026" : "..";
    size_t kept = columns - term_columns(dots), left = kept * 2 / 3;
    size_t head = term_fit(text, left), tail = term_fit(text, all - (kept - left));
    return tool_text("%.*s%s%s", (int)head, text, dots, text + tail);
}

/* ---- numbers ------------------------------------------------------------------------------------------- */

static struct number scaled(double value, double step, const char *const *units, unsigned count)
{
    struct number number;
    unsigned unit = 0;
    while (unit + 1 < count && value >= step * 0.9995) {
        value /= step;
        unit++;
    }
    int digits = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    snprintf(number.text, sizeof number.text, "%.*f %s", digits, value, units[unit]);
    return number;
}

struct number number_bytes(uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    return scaled((double)bytes, 1024, units, 7);
}

struct number number_time(uint64_t ns)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    struct number number;
    if (ns < UINT64_C(600000000000))
        return scaled((double)ns, 1000, units, 4);
    uint64_t minutes = ns / UINT64_C(60000000000);
    if (minutes < 600)
        snprintf(number.text, sizeof number.text, "%llu min", (unsigned long long)minutes);
    else
        snprintf(number.text, sizeof number.text, "%.1f h", (double)minutes / 60);
    return number;
}

struct number number_count(uint64_t count)
{
    char digits[24];
    struct number number;
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count), to = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            number.text[to++] = ',';
        number.text[to++] = digits[i];
    }
    number.text[to] = '\0';
    return number;
}

struct number number_percent(uint64_t part, uint64_t whole)
{
    struct number number;
    snprintf(number.text, sizeof number.text, "%.1f %%",
             whole == 0 ? 0.0 : (double)part * 100 / (double)whole);
    return number;
}

struct number number_metric(uint64_t value, const char *unit)
{
    return unit[0] == 'n'               ? number_time(value)
           : strcmp(unit, "bytes") == 0 ? number_bytes(value)
                                        : number_count(value);
}

/* ---- tables -------------------------------------------------------------------------------------------- */

struct grid {
    const struct grid_column *columns;
    size_t count;
    char **cells;
    size_t cell_count, cell_room;
};

struct grid *grid_create(const struct grid_column *columns, size_t count)
{
    struct grid *grid = tool_make(1, sizeof *grid);
    grid->columns = columns;
    grid->count = count;
    return grid;
}

void grid_add(struct grid *grid, const char *const *cells)
{
    for (size_t i = 0; i < grid->count; i++) {
        TOOL_ROOM(grid->cells, grid->cell_count, grid->cell_room);
        grid->cells[grid->cell_count++] = term_clean(tool_copy(cells[i], strlen(cells[i])));
    }
}

static void pad(size_t columns)
{
    printf("%*s", (int)columns, "");
}

static void cell_print(const struct grid_column *column, const char *text, size_t width, bool last,
                       const char *on)
{
    size_t columns = term_columns(text);
    if (column->right && columns < width)
        pad(width - columns);
    printf("%s%s%s", on, text, on[0] == '\0' ? "" : term_off());
    if (!column->right && !last && columns < width)
        pad(width - columns);
}

void grid_print(struct grid *grid)
{
    size_t *width = tool_make(grid->count, sizeof *width), used = 0;
    for (size_t i = 0; i < grid->count; i++)
        width[i] = term_columns(grid->columns[i].title);
    for (size_t i = 0; i < grid->cell_count; i++) {
        size_t columns = term_columns(grid->cells[i]), *most = &width[i % grid->count];
        *most = columns > *most ? columns : *most;
    }
    for (size_t i = 0; i + 1 < grid->count; i++)
        used += width[i] + 2;
    size_t left = term.width > used + 20 ? term.width - used : 20;
    for (size_t i = 0; i < grid->count; i++) {
        cell_print(&grid->columns[i], grid->columns[i].title, width[i], i + 1 == grid->count,
                   term_on(STYLE_DIM));
        fputs(i + 1 == grid->count ? "\n" : "  ", stdout);
    }
    for (size_t i = 0; i < grid->cell_count; i++) {
        const struct grid_column *column = &grid->columns[i % grid->count];
        bool last = i % grid->count + 1 == grid->count;
        char *text = last && term.terminal ? term_shorten(grid->cells[i], left)
                                           : tool_copy(grid->cells[i], strlen(grid->cells[i]));
        cell_print(column, text, width[i % grid->count], last,
                   column->right || last ? term_on(column->style) : "");
        fputs(last ? "\n" : "  ", stdout);
        free(text);
        free(grid->cells[i]);
    }
    free(width);
    free(grid->cells);
    free(grid);
}
