/* fmt.c - see fmt.h. */
#include "base/fmt.h"

struct text neb_text_in(char *buffer, size_t capacity)
{
    buffer[0] = '\0';
    return (struct text){buffer, 0, capacity};
}

void neb_text_bytes(struct text *text, const char *bytes, size_t count)
{
    while (count-- > 0 && text->length + 1 < text->capacity)
        text->data[text->length++] = *bytes++;
    text->data[text->length] = '\0';
}

void neb_text_end_line(struct text *text)
{
    if (text->length + 1 == text->capacity)
        text->length--;
    neb_text_bytes(text, "\n", 1);
}

static size_t string_length(const char *string)
{
    size_t length = 0;
    while (string[length] != '\0')
        length++;
    return length;
}

void neb_text_string(struct text *text, const char *string)
{
    neb_text_bytes(text, string, string_length(string));
}

static void text_number(struct text *text, uint64_t value, unsigned radix, unsigned width)
{
    char digits[24];
    unsigned count = 0;
    do {
        digits[sizeof digits - ++count] = "0123456789abcdef"[value % radix];
        value /= radix;
    } while (value != 0);
    for (; width > count; width--)
        neb_text_bytes(text, " ", 1);
    neb_text_bytes(text, digits + sizeof digits - count, count);
}

void neb_text_decimal(struct text *text, uint64_t value)
{
    text_number(text, value, 10, 0);
}

void neb_text_hex(struct text *text, uint64_t value)
{
    neb_text_string(text, "0x");
    text_number(text, value, 16, 0);
}

void neb_text_decimal_padded(struct text *text, uint64_t value, unsigned width)
{
    text_number(text, value, 10, width);
}

void neb_text_string_padded(struct text *text, const char *string, unsigned width)
{
    for (size_t length = string_length(string); length < width; length++)
        neb_text_bytes(text, " ", 1);
    neb_text_string(text, string);
}

void neb_text_size(struct text *text, uint64_t bytes)
{
    static const char units[][4] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned unit = 0;
    uint64_t tenths = 0;
    while (bytes >= 1024) {
        tenths = bytes % 1024 * 10 / 1024;
        bytes /= 1024;
        unit++;
    }
    neb_text_decimal(text, bytes);
    if (unit > 0) {
        neb_text_string(text, ".");
        neb_text_decimal(text, tenths);
    }
    neb_text_string(text, " ");
    neb_text_string(text, units[unit]);
}
