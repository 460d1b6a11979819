/* suppress.c - see suppress.h. */
#include "check/suppress.h"

#include "base/ptr.h"
#include "os/inspect.h"
#include "os/symbol.h"
#include "os/vm.h"
#include <stddef.h>
#include <string.h>

enum { FILE_BYTES_MAX = 65536, RULES_MAX = 512 };

struct rule {
    const char *kind, *pattern; /* strings in the file's text, which stays */
};

NEB_SPARSE static struct rule rules[RULES_MAX];
static int rule_count;

/* One line, which ends with NUL already. */
static bool line_parse(char *line)
{
    line += strspn(line, " \t");
    for (size_t length = strlen(line); length > 0 && strchr(" \t\r", line[length - 1]) != NULL; length--)
        line[length - 1] = '\0';
    if (*line == '\0' || *line == '#')
        return true;
    char *colon = strchr(line, ':');
    if (colon == NULL || colon == line || colon[1] == '\0' || rule_count == RULES_MAX)
        return false;
    *colon = '\0';
    rules[rule_count++] = (struct rule){strcmp(line, "leak") == 0 ? "memory-leak" : line, colon + 1};
    return true;
}

bool neb_suppress_load(const char *file)
{
    char *text = neb_vm_map(size_align_up(FILE_BYTES_MAX + 1, neb_vm_page_size()));
    ptrdiff_t count = text == NULL ? -1 : neb_os_read_file(file, text, FILE_BYTES_MAX);
    if (count < 0)
        return false;
    for (char *line = text; line != NULL;) {
        char *end = strchr(line, '\n');
        if (end != NULL)
            *end++ = '\0';
        if (!line_parse(line))
            return false;
        line = end;
    }
    return true;
}

/* The text's beginning matches the pattern: * is any text, the pattern's end is too, and $ the text's end. */
static bool begins_with(const char *text, const char *pattern)
{
    const char *star = NULL, *retry = NULL;
    for (;;) {
        if (*pattern == '\0' || (pattern[0] == '$' && pattern[1] == '\0' && *text == '\0'))
            return true;
        if (*pattern == '*') {
            star = ++pattern;
            retry = text;
        } else if (*text != '\0' && *text == *pattern) {
            text++;
            pattern++;
        } else if (star != NULL && *retry != '\0') {
            text = ++retry;
            pattern = star;
        } else {
            return false;
        }
    }
}

static bool matches(const char *text, const char *pattern)
{
    if (*pattern == '^')
        return begins_with(text, pattern + 1);
    for (;; text++) {
        if (begins_with(text, pattern))
            return true;
        if (*text == '\0')
            return false;
    }
}

static bool frame_matches(uintptr_t pc, const char *pattern)
{
    struct os_image module;
    char name[160];
    size_t offset;
    if (!neb_os_image_of(pc, &module))
        return false;
    return matches(module.name, pattern) ||
           (neb_os_symbol_of(module.name, module.base, pc - 1, name, sizeof name, &offset) && matches(name, pattern));
}

bool neb_suppress_matches(const char *kind, const uintptr_t *pcs, int count)
{
    for (int rule = 0; rule < rule_count; rule++)
        if (strcmp(rules[rule].kind, kind) == 0)
            for (int i = 0; i < count; i++)
                if (frame_matches(pcs[i], rules[rule].pattern))
                    return true;
    return false;
}
