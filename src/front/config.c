/* config.c - see config.h. Runs before main, so it uses neither stdio nor the heap. */
#include "front/config.h"

#include "base/fmt.h"
#include "os/env.h"
#include <stdbool.h>
#include <string.h>

const struct option neb_options[OPTION_COUNT] = {
#define X(name, default_, min, max, help) {#name, default_, min, max, help},
    NEB_OPTIONS(X)
#undef X
};

static const char *const mode_words[] = {"off", "sample", "profile", "trace"};

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

static bool is_text(const struct option *option)
{
    return option == &neb_options[OPTION_out];
}

static bool word_parse(struct word word, uint64_t *value)
{
    for (*value = 0; *value < sizeof mode_words / sizeof mode_words[0]; ++*value)
        if (strlen(mode_words[*value]) == word.length && memcmp(mode_words[*value], word.start, word.length) == 0)
            return true;
    return false;
}

/* begin: of the text as a whole, in which a text's place is its value: offset and length, one above the other. */
static bool value_parse(const struct option *option, struct word word, const char *begin, uint64_t *value)
{
    if (is_text(option)) {
        *value = (uint64_t)(word.start - begin) << 16 | word.length;
        return word.length > 0 && word.length <= UINT16_MAX;
    }
    if (option == &neb_options[OPTION_mode] && word_parse(word, value))
        return true;
    return number_parse(word, value) && *value >= option->min && *value <= option->max;
}

static void complain_accepted(struct text *text, const struct option *option)
{
    if (is_text(option)) {
        neb_text_string(text, "' is not a name of a file; using the default");
    } else if (option == &neb_options[OPTION_mode]) {
        neb_text_string(text, "' is not off, sample, profile or trace; using ");
        neb_text_string(text, mode_words[option->default_value]);
    } else {
        neb_text_string(text, "' is not a number from ");
        neb_text_decimal(text, option->min);
        neb_text_string(text, " to ");
        neb_text_decimal(text, option->max);
        neb_text_string(text, "; using ");
        neb_text_decimal(text, option->default_value);
    }
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
static void assignment_parse(const char *begin, const char **text, uint64_t values[OPTION_COUNT])
{
    struct word key = word_until(text, "=,"), value = {*text, 0};
    bool is_alone = **text != '=';
    if (**text == '=') {
        ++*text;
        value = word_until(text, ",");
    }
    const struct option *option = option_find(key);
    uint64_t number = 1;
    if (is_alone && option != NULL && !is_text(option))
        value = (struct word){"1", 1};
    bool is_right = option != NULL && value_parse(option, value, begin, &number);
    if (is_right)
        values[option - neb_options] = number;
    else if (option != NULL || key.length > 0)
        complain(key, value, option);
    if (option != NULL && !is_right)
        values[option - neb_options] = option->default_value;
}

bool neb_config_text(const char *text, uint64_t value, const char *default_value, char *into, size_t bytes)
{
    size_t length = value == 0 ? strlen(default_value) : (size_t)(value & UINT16_MAX);
    if (length >= bytes)
        return false;
    memcpy(into, value == 0 ? default_value : text + (value >> 16), length);
    into[length] = '\0';
    return true;
}

/* What can be given for it, and in brackets what it is otherwise. */
static void help_range(struct text *text, const struct option *option)
{
    if (is_text(option)) {
        neb_text_string(text, "NAME");
        return;
    }
    if (option == &neb_options[OPTION_mode]) {
        neb_text_string(text, "off|sample|profile|trace (off)");
        return;
    }
    neb_text_decimal(text, option->min);
    neb_text_string(text, "..");
    neb_text_decimal(text, option->max);
    neb_text_string(text, " (");
    neb_text_decimal(text, option->default_value);
    neb_text_string(text, ")");
}

static void help_print(void)
{
    char buffer[4096];
    struct text text = neb_text_in(buffer, sizeof buffer);
    neb_text_string(&text, "NEBMALLOC=key=value,key=value\n");
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        const struct option *option = &neb_options[i];
        neb_text_string(&text, "  ");
        neb_text_string(&text, option->name);
        neb_text_string(&text, "=");
        help_range(&text, option);
        neb_text_string(&text, "\n      ");
        neb_text_string(&text, option->help);
        neb_text_string(&text, "\n");
    }
    neb_os_write(2, text.data, text.length);
}

void neb_config_parse(const char *text, uint64_t values[OPTION_COUNT])
{
    for (unsigned i = 0; i < OPTION_COUNT; i++)
        values[i] = neb_options[i].default_value;
    const char *begin = text;
    while (text != NULL && *text != '\0') {
        assignment_parse(begin, &text, values);
        if (*text == ',')
            text++;
    }
    if (values[OPTION_help] != 0)
        help_print();
}
