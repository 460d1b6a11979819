/* term.h - text for people: numbers with units, colours on a terminal and none in a pipe (NO_COLOR), tables.
 *
 * Threads  the tool has one; `term` is set once by term_begin */
#ifndef NEB_TOOL_TERM_H
#define NEB_TOOL_TERM_H

#include "tool/util.h"

enum style { STYLE_TITLE, STYLE_DIM, STYLE_GOOD, STYLE_BAD, STYLE_WARM, STYLE_NUMBER, STYLE_COUNT };

extern struct term {
    bool terminal, colour, unicode;
    unsigned width, height; /* 80 x 24 where there is no terminal */
} term;

enum colour_when { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER };

void term_begin(enum colour_when when);
const char *term_on(enum style style); /* "" where there are no colours */
const char *term_off(void);
/* The colour of a flame graph's box, for a name; "" where there are none. */
const char *term_flame(const char *name);
/* How many columns a text takes, and how many bytes of it fit into so many columns. */
size_t term_columns(const char *text);
size_t term_fit(const char *text, size_t columns);
/* Control characters, which a terminal would obey, become '?'. In place; the text itself. */
char *term_clean(char *text);
/* At most `columns` wide, the middle left out where it is longer; the caller frees it. */
char *term_shorten(const char *text, size_t columns);

enum { NUMBER_BYTES = 32 };
struct number {
    char text[NUMBER_BYTES];
};

struct number number_bytes(uint64_t bytes);                    /* 12.3 MiB */
struct number number_count(uint64_t count);                    /* 1,234,567 */
struct number number_time(uint64_t ns);                        /* 12.3 ms */
struct number number_percent(uint64_t part, uint64_t whole);   /* 12.3 % */
struct number number_metric(uint64_t value, const char *unit); /* as its unit says: bytes, blocks, ns */

struct grid_column {
    const char *title;
    bool right; /* else left; the last column takes what is left of the line */
    enum style style;
};

struct grid;
struct grid *grid_create(const struct grid_column *columns, size_t count);
/* One text for each column, copied. */
void grid_add(struct grid *grid, const char *const *cells);
/* On stdout. Lets go of the grid. */
void grid_print(struct grid *grid);

#endif
