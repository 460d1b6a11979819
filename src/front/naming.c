/* naming.c - see naming.h. */
#include "front/naming.h"

#include <string.h>

bool neb_naming_expand(const char *pattern, const char *executable, uint64_t process, char *into, size_t bytes)
{
    struct text text = neb_text_in(into, bytes);
    const char *slash = strrchr(executable, '/');
    const char *program = slash == NULL ? executable : slash + 1;
    for (const char *at = pattern; *at != '\0'; at++) {
        if (*at != '%')
            neb_text_bytes(&text, at, 1);
        else if (*++at == 'e')
            neb_text_string(&text, program[0] == '\0' ? "unknown" : program);
        else if (*at == 'p')
            neb_text_decimal(&text, process);
        else if (*at == '%')
            neb_text_string(&text, "%");
        else
            return false;
    }
    return text.length > 0 && text.length + 1 < text.capacity;
}

bool neb_naming_number(const char *name, const char *word, uint64_t number, char *into, size_t bytes)
{
    struct text text = neb_text_in(into, bytes);
    size_t length = strlen(name);
    bool has_suffix = length > 4 && strcmp(name + length - 4, ".nbt") == 0;
    neb_text_bytes(&text, name, has_suffix ? length - 4 : length);
    neb_text_string(&text, word[0] == '\0' ? "" : ".");
    neb_text_string(&text, word);
    neb_text_string(&text, "-");
    neb_text_decimal(&text, number);
    neb_text_string(&text, has_suffix ? ".nbt" : "");
    return text.length + 1 < text.capacity;
}
