/* config.c - see config.h. Runs before main, so it uses neither stdio nor the heap. */
#include "front/config.h"

#include "base/attr.h"
#include "base/fmt.h"
#include "os/env.h"
#include <stdbool.h>
#include <string.h>

const struct option neb_options[OPTION_COUNT] = {
#define X(name, default_, min, max, help) {#name, default_, min, max, help},
    NEB_OPTIONS(X)
#undef X
};

const struct text_option neb_text_options[TEXT_OPTION_COUNT] = {
#define X(name, help) {#name, help},
    NEB_TEXT_OPTIONS(X)
#undef X
};

NEB_SPARSE static char text_values[TEXT_OPTION_COUNT][TEXT_OPTION_BYTES]; /* "": not given */

struct word {
    const char *start;
    size_t length;
};

static struct word word_until(const char **text, const char *stops)
{
    struct word word = {*text, strcspn(*text, stops)};
    *text += word.length;
    return word;
}

static const struct option *option_find(struct word name)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        if (strlen(neb_options[i].name) == name.length && memcmp(neb_options[i].name, name.start, name.length) == 0)
            return &neb_options[i];
    return NULL;
}

static bool number_parse(struct word word, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < word.length; i++) {
        unsigned digit = (unsigned)(word.start[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(*value, UINT64_C(10), value) || __builtin_add_overflow(*value, digit, value))
            return false;
    }
    return word.length > 0;
}

/* The names of the values, where the help ends with them; else NULL. */
static const char *names_of(const struct option *option)
{
    const char *names = strrchr(option->help, ':');
    return names == NULL || strchr(names, '|') == NULL ? NULL : names + 2;
}

static bool name_parse(const struct option *option, struct word word, uint64_t *value)
{
    const char *names = names_of(option);
    *value = 0;
    if (names == NULL)
        return false;
    for (; *names != '\0'; names += *names == '|', ++*value) {
        struct word name = word_until(&names, "|");
        if (name.length == word.length && memcmp(name.start, word.start, name.length) == 0)
            return true;
    }
    return false;
}

static const struct text_option *text_option_find(struct word name)
{
    for (unsigned i = 0; i < TEXT_OPTION_COUNT; i++)
        if (strlen(neb_text_options[i].name) == name.length && memcmp(neb_text_options[i].name, name.start, name.length) == 0)
            return &neb_text_options[i];
    return NULL;
}

static void complain_text(const struct text_option *option)
{
    char buffer[256];
    struct text text = neb_text_in(buffer, sizeof buffer);
    neb_text_string(&text, "nebmalloc: NEBMALLOC: ");
    neb_text_string(&text, option->name);
    neb_text_string(&text, " needs a value of 1 to ");
    neb_text_decimal(&text, TEXT_OPTION_BYTES - 1);
    neb_text_string(&text, " characters; ignored");
    neb_text_end_line(&text);
    neb_os_write(2, text.data, text.length);
}

static void text_set(const struct text_option *option, struct word value)
{
    char *to = text_values[option - neb_text_options];
    to[0] = '\0';
    if (value.length == 0 || value.length >= TEXT_OPTION_BYTES) {
        complain_text(option);
        return;
    }
    memcpy(to, value.start, value.length);
    to[value.length] = '\0';
}

/* What would have been right, and what is used instead. */
static void complain_accepted(struct text *text, const struct option *option)
{
    const char *names = names_of(option);
    if (names != NULL) {
        neb_text_string(text, "' is none of ");
        neb_text_string(text, names);
        neb_text_string(text, " and not");
    } else {
        neb_text_string(text, "' is not");
    }
    neb_text_string(text, " a number from ");
    neb_text_decimal(text, option->min);
    neb_text_string(text, " to ");
    neb_text_decimal(text, option->max);
    neb_text_string(text, "; using ");
    neb_text_decimal(text, option->default_value);
}

static void complain(struct word key, struct word value, const struct option *option)
{
    char buffer[384];
    struct text text = neb_text_in(buffer, sizeof buffer);
    neb_text_string(&text, "nebmalloc: NEBMALLOC: ");
    if (option == NULL) {
        neb_text_string(&text, "unknown option '");
        neb_text_bytes(&text, key.start, key.length > 64 ? 64 : key.length);
        neb_text_string(&text, "', ignored; NEBMALLOC=help lists the options");
    } else {
        neb_text_string(&text, option->name);
        neb_text_string(&text, "='");
        neb_text_bytes(&text, value.start, value.length > 64 ? 64 : value.length);
        complain_accepted(&text, option);
    }
    neb_text_end_line(&text);
    neb_os_write(2, text.data, text.length);
}

/* A key alone switches on. A wrong value takes a right one before it back: what is said is what is used. */
static void assignment_parse(const char **text, uint64_t values[OPTION_COUNT])
{
    struct word key = word_until(text, "=,"), value = {"1", 1};
    bool has_value = **text == '=';
    if (has_value) {
        ++*text;
        value = word_until(text, ",");
    }
    const struct text_option *text_option = text_option_find(key);
    if (text_option != NULL) {
        text_set(text_option, has_value ? value : (struct word){"", 0});
        return;
    }
    const struct option *option = option_find(key);
    uint64_t number;
    bool is_right = option != NULL && (number_parse(value, &number) || name_parse(option, value, &number)) &&
                    number >= option->min && number <= option->max;
    if (is_right)
        values[option - neb_options] = number;
    else if (option != NULL || key.length > 0)
        complain(key, value, option);
    if (option != NULL && !is_right)
        values[option - neb_options] = option->default_value;
}

static void help_print(void)
{
    char buffer[512];
    struct text text = neb_text_in(buffer, sizeof buffer);
    neb_text_string(&text, "NEBMALLOC=key=value,key=value\n");
    neb_os_write(2, text.data, text.length);
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &neb_options[i];
        text = neb_text_in(buffer, sizeof buffer);
        neb_text_string(&text, "  ");
        neb_text_string(&text, option->name);
        neb_text_string(&text, "=");
        neb_text_decimal(&text, option->min);
        neb_text_string(&text, "..");
        neb_text_decimal(&text, option->max);
        neb_text_string(&text, " (");
        neb_text_decimal(&text, option->default_value);
        neb_text_string(&text, ")\n      ");
        neb_text_string(&text, option->help);
        neb_text_string(&text, "\n");
        neb_os_write(2, text.data, text.length);
    }
    for (unsigned i = 0; i < TEXT_OPTION_COUNT; i++) {
        text = neb_text_in(buffer, sizeof buffer);
        neb_text_string(&text, "  ");
        neb_text_string(&text, neb_text_options[i].name);
        neb_text_string(&text, "=TEXT\n      ");
        neb_text_string(&text, neb_text_options[i].help);
        neb_text_string(&text, "\n");
        neb_os_write(2, text.data, text.length);
    }
}

const char *neb_config_text(unsigned option)
{
    return text_values[option][0] == '\0' ? NULL : text_values[option];
}

void neb_config_parse(const char *text, uint64_t values[OPTION_COUNT])
{
    config_defaults(values);
    for (unsigned i = 0; i < TEXT_OPTION_COUNT; i++)
        if (text_values[i][0] != '\0') /* else its page stays untouched */
            text_values[i][0] = '\0';
    while (text != NULL && *text != '\0') {
        assignment_parse(&text, values);
        if (*text == ',')
            text++;
    }
    if (values[OPTION_help] != 0)
        help_print();
}
