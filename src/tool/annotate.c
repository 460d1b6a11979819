/* annotate.c - `annotate`: error reports on stdin become error reports with files, lines and inlined
 * functions on stdout.
 *
 *   report --find--> places, each with a frame of the model --symbols--> the same text, the places replaced
 *
 * Two forms of a place, which are those that check/report.c writes:
 *
 *         #3 function (/path/module+0x1234)            a line; "function" may be missing
 *     {"module":"/path/module","offset":4660}          anywhere
 *
 * Laws  what is no place passes as it is, byte for byte
 *       nothing is written before all of the input was read
 *       debuginfod is not asked: a program waits for its report */
#include "tool/cli.h"
#include "tool/json.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct place {
    size_t begin, end; /* of the input */
    bool is_json;
    char *module; /* as it stood there */
    uint64_t offset;
    uint32_t frame;
};

struct report {
    struct buffer text;
    struct place *places;
    size_t count, room;
    struct model model;
};

static void read_all(struct buffer *text)
{
    char part[65536];
    for (ssize_t got; (got = read(0, part, sizeof part)) != 0;) {
        if (got < 0 && errno != EINTR)
            tool_die(TOOL_FAILED, "reading the report: %s", strerror(errno));
        if (got > 0)
            buffer_add(text, part, (size_t)got);
    }
    buffer_add(text, "", 1); /* searched as a string */
    text->bytes--;
}

/* Reports count from a module's first mapping, symbol tables from where the file says that it would like to
 * be. */
static uint64_t first_address(const char *path)
{
    uint64_t first = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    Elf *elf = fd < 0 || elf_version(EV_CURRENT) == EV_NONE ? NULL : elf_begin(fd, ELF_C_READ, NULL);
    size_t count;
    if (elf != NULL && elf_getphdrnum(elf, &count) == 0) {
        GElf_Phdr segment;
        for (size_t i = 0; i < count; i++)
            if (gelf_getphdr(elf, (int)i, &segment) != NULL && segment.p_type == PT_LOAD) {
                first = segment.p_align > 1 ? segment.p_vaddr & ~(segment.p_align - 1) : segment.p_vaddr;
                break;
            }
    }
    elf_end(elf);
    if (fd >= 0)
        close(fd);
    return first;
}

static void place_add(struct report *report, struct place place)
{
    struct module module = {.path = place.module};
    size_t before = report->model.module_count;
    uint32_t number = model_module(&report->model, &module);
    if (report->model.module_count > before)
        report->model.modules[number].base = first_address(place.module);
    uint64_t address = place.offset + report->model.modules[number].base;
    place.frame = model_frame(&report->model, (struct frame){.address = address, .module = number + 1});
    TOOL_ROOM(report->places, report->count, report->room);
    report->places[report->count++] = place;
}

/* "    #3 function (/path/module+0x1234)\n" at the beginning of a line. */
static bool line_find(struct report *report, const char *line)
{
    const char *text = report->text.data, *at = line + 5, *end = strchrnul(line, '\n');
    if (strncmp(line, "    #", 5) != 0 || !isdigit((unsigned char)*at))
        return false;
    const char *open = memchr(at, '(', (size_t)(end - at)), *plus = end;
    while (plus > at && strncmp(plus, "+0x", 3) != 0)
        plus--;
    if (open == NULL || plus <= open + 1 || end[-1] != ')')
        return false;
    char *stop;
    uint64_t offset = strtoull(plus + 1, &stop, 16);
    if (stop != end - 1)
        return false;
    char *module = tool_copy(open + 1, (size_t)(plus - open - 1));
    place_add(report, (struct place){(size_t)(line - text), (size_t)(end - text), false, module, offset, 0});
    return true;
}

static const char json_module[] = "{\"module\":\"", json_offset[] = "\",\"offset\":";

/* {"module":"...","offset":N} */
static bool object_find(struct report *report, const char *object)
{
    const char *text = report->text.data, *at = object + strlen(json_module);
    if (strncmp(object, json_module, strlen(json_module)) != 0)
        return false;
    struct buffer module = {0};
    for (; *at != '\0' && *at != '"'; at++) {
        at += *at == '\\' && at[1] != '\0';
        buffer_add(&module, at, 1);
    }
    buffer_add(&module, "", 1);
    char *stop = NULL;
    uint64_t offset = 0;
    bool good = strncmp(at, json_offset, strlen(json_offset)) == 0;
    if (good)
        offset = strtoull(at + strlen(json_offset), &stop, 10);
    if (!good || *stop != '}') {
        free(module.data);
        return false;
    }
    place_add(report, (struct place){(size_t)(object - text), (size_t)(stop + 1 - text), true, module.data,
                                     offset, 0});
    return true;
}

static void find(struct report *report)
{
    const char *text = report->text.data;
    for (const char *at = text; *at != '\0'; at++)
        if (((at == text || at[-1] == '\n') && line_find(report, at)) ||
            (*at == '{' && object_find(report, at)))
            at = text + report->places[report->count - 1].end - 1;
}

/* Each function inlined there gets a line, and a number, of its own. */
static void say_lines(const struct place *place, const struct symbol *list, size_t count, unsigned *number)
{
    for (size_t i = 0; i < count; i++) {
        printf(i == 0 ? "    #%u " : "\n    #%u ", (*number)++);
        if (list[i].named)
            printf("%s ", list[i].function);
        if (list[i].file != NULL)
            printf("%s:%u ", list[i].file, list[i].line);
        printf("(%s+0x%llx)", place->module, (unsigned long long)place->offset);
    }
}

static void say_objects(const struct place *place, const struct symbol *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct json json = {.out = stdout, .dense = true};
        if (i > 0)
            putchar(',');
        json_open(&json, NULL, '{');
        json_text(&json, "module", place->module);
        json_number(&json, "offset", place->offset);
        if (list[i].named)
            json_text(&json, "function", list[i].function);
        if (list[i].file != NULL) {
            json_text(&json, "file", list[i].file);
            json_number(&json, "line", list[i].line);
        }
        json_bool(&json, "inlined", list[i].inlined);
        json_close(&json, '}');
    }
}

static void say(struct report *report)
{
    struct symbols *symbols = symbols_create(&report->model);
    size_t done = 0;
    unsigned number = 0;
    for (size_t i = 0; i < report->count; i++) {
        const struct place *place = &report->places[i];
        size_t count;
        const struct symbol *list = symbols_of(symbols, place->frame, &count);
        fwrite(report->text.data + done, 1, place->begin - done, stdout);
        if (place->begin > done + 1) /* a stack of its own */
            number = 0;
        if (place->is_json)
            say_objects(place, list, count);
        else
            say_lines(place, list, count, &number);
        done = place->end;
    }
    fwrite(report->text.data + done, 1, report->text.bytes - done, stdout);
    symbols_destroy(symbols);
}

int command_annotate(int argc, char **argv)
{
    struct report report = {.text = {0}};
    if (argc > 1)
        tool_die(TOOL_USAGE, "annotate reads a report on standard input: '%s' is too much", argv[1]);
    unsetenv("DEBUGINFOD_URLS");
    term_begin(COLOUR_NEVER);
    model_init(&report.model);
    read_all(&report.text);
    find(&report);
    say(&report);
    if (fflush(stdout) != 0)
        tool_die(TOOL_FAILED, "writing the report: %s", strerror(errno));
    for (size_t i = 0; i < report.count; i++)
        free(report.places[i].module);
    free(report.places);
    buffer_finish(&report.text);
    model_finish(&report.model);
    return TOOL_OK;
}
