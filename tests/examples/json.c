/* json.c - a JSON parser with a scope for each document: no destructor for the tree, no leak on any error path.
 *
 * The malloc version needs json_free, and has to call it also when parsing fails half-way. */
#include <nebmalloc/scope.h>

#include "versus.h"
#include <ctype.h>

enum json_kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
    enum json_kind kind;
    double number;
    char *string;        /* of a string */
    char *key;           /* inside an object */
    struct json *first;  /* of an array or object */
    struct json *next;   /* its sibling */
};

struct parser {
    const char *at;
    neb_scope *scope; /* NULL: malloc */
    int depth;
};

static void *take(struct parser *parser, size_t size)
{
    return or_die(parser->scope != NULL ? neb_scope_alloc(parser->scope, size) : malloc(size));
}

static void json_free(struct json *json)
{
    while (json != NULL) {
        struct json *next = json->next;
        json_free(json->first);
        free(json->string);
        free(json->key);
        free(json);
        json = next;
    }
}

static void skip_space(struct parser *parser)
{
    while (*parser->at == ' ' || *parser->at == '\n' || *parser->at == '\t' || *parser->at == '\r')
        parser->at++;
}

static size_t utf8_put(char *to, unsigned code)
{
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xC0 | code >> 6);
        to[1] = (char)(0x80 | (code & 63));
        return 2;
    }
    to[0] = (char)(0xE0 | code >> 12);
    to[1] = (char)(0x80 | (code >> 6 & 63));
    to[2] = (char)(0x80 | (code & 63));
    return 3;
}

static int hex4(const char *at, unsigned *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++) {
        if (!isxdigit((unsigned char)at[i]))
            return 0;
        unsigned char c = (unsigned char)tolower((unsigned char)at[i]);
        *code = *code * 16 + (unsigned)(isdigit(c) ? c - '0' : c - 'a' + 10);
    }
    return 1;
}

/* Behind the opening quote. NULL: not a string. */
static char *parse_string(struct parser *parser)
{
    const char *end = parser->at;
    while (*end != '"' && *end != '\0')
        end += *end == '\\' && end[1] != '\0' ? 2 : 1;
    if (*end == '\0')
        return NULL;
    char *text = take(parser, (size_t)(end - parser->at) + 1), *to = text;
    while (parser->at < end) {
        char c = *parser->at++;
        if (c != '\\') {
            *to++ = c;
            continue;
        }
        static const char plain[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
        const char *known = strchr(plain, *parser->at);
        unsigned code;
        if (known != NULL) {
            *to++ = meant[known - plain];
            parser->at++;
        } else if (*parser->at == 'u' && hex4(parser->at + 1, &code)) {
            to += utf8_put(to, code);
            parser->at += 5;
        } else {
            if (parser->scope == NULL)
                free(text);
            return NULL;
        }
    }
    parser->at = end + 1;
    *to = '\0';
    return text;
}

static struct json *parse_value(struct parser *parser);

/* Behind the opening bracket. */
static int parse_members(struct parser *parser, struct json *json, char close)
{
    struct json **link = &json->first;
    skip_space(parser);
    if (*parser->at == close) {
        parser->at++;
        return 1;
    }
    for (;;) {
        char *key = NULL;
        skip_space(parser);
        if (close == '}') {
            if (*parser->at++ != '"' || (key = parse_string(parser)) == NULL)
                return 0;
            skip_space(parser);
            if (*parser->at++ != ':') {
                if (parser->scope == NULL)
                    free(key);
                return 0;
            }
        }
        struct json *member = parse_value(parser);
        if (member == NULL) {
            if (parser->scope == NULL)
                free(key);
            return 0;
        }
        member->key = key;
        *link = member;
        link = &member->next;
        skip_space(parser);
        char c = *parser->at++;
        if (c == close)
            return 1;
        if (c != ',')
            return 0;
    }
}

static int parse_word(struct parser *parser, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(parser->at, word, length) != 0)
        return 0;
    parser->at += length;
    return 1;
}

static int parse_into(struct parser *parser, struct json *json)
{
    char *end;
    switch (*parser->at) {
    case '{':
    case '[':
        json->kind = *parser->at == '{' ? JSON_OBJECT : JSON_ARRAY;
        parser->at++;
        return parse_members(parser, json, json->kind == JSON_OBJECT ? '}' : ']');
    case '"':
        json->kind = JSON_STRING;
        parser->at++;
        return (json->string = parse_string(parser)) != NULL;
    case 'n':
        return parse_word(parser, "null");
    case 't':
        json->kind = JSON_TRUE;
        return parse_word(parser, "true");
    case 'f':
        json->kind = JSON_FALSE;
        return parse_word(parser, "false");
    default:
        json->kind = JSON_NUMBER;
        json->number = strtod(parser->at, &end);
        if (end == parser->at)
            return 0;
        parser->at = end;
        return 1;
    }
}

/* NULL: not JSON. */
static struct json *parse_value(struct parser *parser)
{
    struct json *json = take(parser, sizeof *json);
    memset(json, 0, sizeof *json);
    skip_space(parser);
    if (++parser->depth < 200 && parse_into(parser, json)) {
        parser->depth--;
        return json;
    }
    if (parser->scope == NULL)
        json_free(json);
    return NULL;
}

static uint64_t json_sum(const struct json *json)
{
    uint64_t sum = 0;
    for (; json != NULL; json = json->next) {
        sum = sum * 31 + (uint64_t)json->kind + (uint64_t)(int64_t)(json->number * 16);
        for (const char *c = json->string; c != NULL && *c != '\0'; c++)
            sum = sum * 33 + (unsigned char)*c;
        for (const char *c = json->key; c != NULL && *c != '\0'; c++)
            sum = sum * 35 + (unsigned char)*c;
        sum += json_sum(json->first) * 37;
    }
    return sum;
}

/* ---- documents to parse ------------------------------------------------------------------------------------------------- */

static char document[1 << 20];

static size_t write_value(size_t at, uint32_t *random, int depth)
{
    uint32_t kind = versus_random(random) % (depth > 4 ? 4 : 7);
    size_t room = sizeof document - at;
    if (kind == 0)
        return at + (size_t)snprintf(document + at, room, "null");
    if (kind == 1)
        return at + (size_t)snprintf(document + at, room, "%g", (int)(versus_random(random) % 100000) / 16.0);
    if (kind < 4)
        return at + (size_t)snprintf(document + at, room, "\"text %u \\u00e4\\n\"", versus_random(random) % 1000);
    at += (size_t)snprintf(document + at, room, kind == 4 ? "[" : "{");
    for (uint32_t i = 0, count = versus_random(random) % 7 + 2; i < count; i++) {
        if (i > 0)
            document[at++] = ',';
        if (kind != 4)
            at += (size_t)snprintf(document + at, sizeof document - at, "\"key%u\": ", i);
        at = write_value(at, random, depth + 1);
    }
    document[at++] = kind == 4 ? ']' : '}';
    document[at] = '\0';
    return at;
}

static void write_document(void)
{
    uint32_t random = 12345;
    size_t at = 0;
    document[at++] = '[';
    for (int i = 0; i < 60; i++) {
        at = write_value(at, &random, 0);
        document[at++] = ',';
    }
    document[at++] = '1';
    document[at++] = ']';
    document[at] = '\0';
}

static uint64_t parse_all(int use_neb)
{
    uint64_t sum = 0;
    for (int i = 0; i < 200; i++) {
        neb_scope *scope = use_neb ? or_die(neb_scope_enter("document")) : NULL;
        struct parser parser = {document, scope, 0};
        struct json *json = parse_value(&parser);
        sum += json_sum(json);
        if (use_neb)
            neb_scope_leave(scope);
        else
            json_free(json);
    }
    return sum;
}

/* Documents that end anywhere must be refused, and leak nothing. */
static int refuses_what_is_cut_off(void)
{
    size_t length = strlen(document);
    for (size_t cut = 1; cut < length; cut = cut * 3 / 2 + 1) {
        char saved = document[cut];
        document[cut] = '\0';
        for (int use_neb = 0; use_neb < 2; use_neb++) {
            neb_scope *scope = use_neb ? or_die(neb_scope_enter("cut")) : NULL;
            struct parser parser = {document, scope, 0};
            struct json *json = parse_value(&parser);
            neb_scope_leave(scope);
            if (json != NULL)
                return 0;
        }
        document[cut] = saved;
    }
    return 1;
}

int main(void)
{
    write_document();
    if (!refuses_what_is_cut_off())
        return 1;
    return versus("json", "scope", parse_all);
}
