/* json.c - see json.h. */
#include "tool/json.h"

#include <math.h>
#include <string.h>

/* The length of the UTF-8 sequence at p, 0 if it is none. */
static size_t sequence(const unsigned char *p)
{
    if (p[0] < 0x80)
        return 1;
    size_t length = p[0] >= 0xF0 && p[0] < 0xF5   ? 4
                    : p[0] >= 0xE0 && p[0] < 0xF0 ? 3
                    : p[0] >= 0xC2 && p[0] < 0xE0 ? 2
                                                  : 0;
    for (size_t i = 1; i < length; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    bool overlong = (p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xF0 && p[1] < 0x90);
    bool beyond = (p[0] == 0xED && p[1] > 0x9F) || (p[0] == 0xF4 && p[1] > 0x8F);
    return overlong || beyond ? 0 : length;
}

void json_quote(FILE *out, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    fputc('"', out);
    while (*p != '\0') {
        size_t length = sequence(p);
        if (length == 0) {
            fputs("\\ufffd", out);
            p++;
        } else if (*p == '"' || *p == '\\') {
            fputc('\\', out);
            fputc(*p++, out);
        } else if (*p < 0x20 || *p == 0x7F || *p == '<' || *p == '>' ||
                   *p == '&') { /* the last three: within <script> */
            fprintf(out, "\\u%04x", *p++);
        } else {
            fwrite(p, 1, length, out);
            p += length;
        }
    }
    fputc('"', out);
}

static void begin(struct json *json, const char *key)
{
    if (json->filled[json->depth])
        fputc(',', json->out);
    json->filled[json->depth] = true;
    if (!json->dense && json->depth > 0 && json->depth < 4)
        fprintf(json->out, "\n%*s", (int)json->depth, "");
    if (key != NULL) {
        json_quote(json->out, key);
        fputs(json->dense ? ":" : ": ", json->out);
    }
}

void json_open(struct json *json, const char *key, char bracket)
{
    begin(json, key);
    fputc(bracket, json->out);
    if (json->depth + 1 == JSON_DEPTH_MAX)
        tool_die(TOOL_FAILED, "JSON is nested too deeply");
    json->filled[++json->depth] = false;
}

void json_close(struct json *json, char bracket)
{
    bool filled = json->filled[json->depth--];
    if (!json->dense && filled && json->depth < 3)
        fprintf(json->out, "\n%*s", (int)json->depth, "");
    fputc(bracket, json->out);
    if (json->depth == 0 && !json->dense)
        fputc('\n', json->out);
}

void json_text(struct json *json, const char *key, const char *text)
{
    begin(json, key);
    json_quote(json->out, text == NULL ? "" : text);
}

void json_number(struct json *json, const char *key, uint64_t number)
{
    begin(json, key);
    fprintf(json->out, "%llu", (unsigned long long)number);
}

void json_signed(struct json *json, const char *key, int64_t number)
{
    begin(json, key);
    fprintf(json->out, "%lld", (long long)number);
}

void json_double(struct json *json, const char *key, double number)
{
    begin(json, key);
    fprintf(json->out, "%.15g", isfinite(number) ? number : 0.0);
}

void json_bool(struct json *json, const char *key, bool value)
{
    begin(json, key);
    fputs(value ? "true" : "false", json->out);
}

void json_null(struct json *json, const char *key)
{
    begin(json, key);
    fputs("null", json->out);
}
