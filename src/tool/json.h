/* json.h - writes JSON: commas, quoting, and valid UTF-8 whatever the names are made of.
 *
 * Keys are given within objects and are NULL within arrays. */
#ifndef NEB_TOOL_JSON_H
#define NEB_TOOL_JSON_H

#include "tool/util.h"

enum { JSON_DEPTH_MAX = 512 };

struct json {
    FILE *out;
    unsigned depth;
    bool filled[JSON_DEPTH_MAX]; /* whether a comma is needed, by depth */
    bool dense;                  /* no line breaks */
};

void json_open(struct json *json, const char *key, char bracket); /* { or [ */
void json_close(struct json *json, char bracket);
void json_text(struct json *json, const char *key, const char *text);
void json_number(struct json *json, const char *key, uint64_t number);
void json_signed(struct json *json, const char *key, int64_t number);
void json_double(struct json *json, const char *key, double number);
void json_null(struct json *json, const char *key);
void json_bool(struct json *json, const char *key, bool value);
/* A text as JSON has it, with its quotes. Safe within <script>, too. */
void json_quote(FILE *out, const char *text);

#endif
