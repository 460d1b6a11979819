/* util.c - see util.h. */
#include "tool/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static _Noreturn void out_of_memory(void)
{
    fputs("nebmalloc: out of memory\n", stderr);
    exit(TOOL_FAILED);
}

void *tool_make(size_t count, size_t size)
{
    void *memory = calloc(count == 0 ? 1 : count, size);
    if (memory == NULL)
        out_of_memory();
    return memory;
}

void *tool_resize(void *memory, size_t count, size_t size)
{
    memory = reallocarray(memory, count == 0 ? 1 : count, size);
    if (memory == NULL)
        out_of_memory();
    return memory;
}

static char *text_made(const char *format, va_list arguments, size_t *length)
{
    char *text;
    int made = vasprintf(&text, format, arguments);
    if (made < 0)
        out_of_memory();
    *length = (size_t)made;
    return text;
}

char *tool_text(const char *format, ...)
{
    size_t length;
    va_list arguments;
    va_start(arguments, format);
    char *text = text_made(format, arguments, &length);
    va_end(arguments);
    return text;
}

char *tool_copy(const char *text, size_t bytes)
{
    char *copy = tool_make(bytes + 1, 1);
    if (bytes > 0)
        memcpy(copy, text, bytes);
    return copy;
}

static void line_say(const char *format, va_list arguments)
{
    progress_end();
    fputs("nebmalloc: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void tool_die(int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    line_say(format, arguments);
    va_end(arguments);
    exit(status);
}

void tool_warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    line_say(format, arguments);
    va_end(arguments);
}

uint64_t tool_hash(const void *bytes, size_t count)
{
    const unsigned char *p = bytes;
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001B3);
    return tool_mix(hash);
}

uint32_t table_find(const struct table *table, uint64_t hash, table_same *same, const void *context,
                    const void *key)
{
    if (table->slots == NULL)
        return UINT32_MAX;
    for (size_t at = (uint32_t)hash & table->mask;; at = (at + 1) & table->mask) {
        const struct table_slot *slot = &table->slots[at];
        if (slot->id_plus_one == 0)
            return UINT32_MAX;
        if (slot->hash == (uint32_t)hash && same(context, slot->id_plus_one - 1, key))
            return slot->id_plus_one - 1;
    }
}

static void table_place(struct table *table, struct table_slot slot)
{
    size_t at = slot.hash & table->mask;
    while (table->slots[at].id_plus_one != 0)
        at = (at + 1) & table->mask;
    table->slots[at] = slot;
}

void table_add(struct table *table, uint64_t hash, uint32_t id)
{
    if (table->slots == NULL || table->count * 2 > table->mask) {
        struct table old = *table;
        table->mask = old.slots == NULL ? 63 : old.mask * 2 + 1;
        table->slots = tool_make(table->mask + 1, sizeof *table->slots);
        for (size_t i = 0; old.slots != NULL && i <= old.mask; i++)
            if (old.slots[i].id_plus_one != 0)
                table_place(table, old.slots[i]);
        free(old.slots);
    }
    table_place(table, (struct table_slot){(uint32_t)hash, id + 1});
    table->count++;
}

void table_finish(struct table *table)
{
    free(table->slots);
    *table = (struct table){0};
}

static bool string_same(const void *context, uint32_t id, const void *key)
{
    const struct strings *strings = context;
    return strcmp(strings->texts[id], key) == 0;
}

uint32_t strings_add(struct strings *strings, const char *text)
{
    size_t bytes = strlen(text);
    uint64_t hash = tool_hash(text, bytes);
    uint32_t id = table_find(&strings->table, hash, string_same, strings, text);
    if (id != UINT32_MAX)
        return id;
    TOOL_ROOM(strings->texts, strings->count, strings->room);
    strings->texts[strings->count] = tool_copy(text, bytes);
    table_add(&strings->table, hash, (uint32_t)strings->count);
    return (uint32_t)strings->count++;
}

void strings_finish(struct strings *strings)
{
    for (size_t i = 0; i < strings->count; i++)
        free(strings->texts[i]);
    free(strings->texts);
    table_finish(&strings->table);
    *strings = (struct strings){0};
}

static void buffer_reserve(struct buffer *buffer, size_t bytes)
{
    if (buffer->room - buffer->bytes > bytes)
        return;
    buffer->room =
        buffer->room * 2 > buffer->bytes + bytes + 1 ? buffer->room * 2 : buffer->bytes + bytes + 64;
    buffer->data = tool_resize(buffer->data, buffer->room, 1);
}

void buffer_add(struct buffer *buffer, const void *data, size_t bytes)
{
    buffer_reserve(buffer, bytes);
    if (bytes > 0)
        memcpy(buffer->data + buffer->bytes, data, bytes);
    buffer->bytes += bytes;
    buffer->data[buffer->bytes] = '\0';
}

void buffer_print(struct buffer *buffer, const char *format, ...)
{
    size_t length;
    va_list arguments;
    va_start(arguments, format);
    char *text = text_made(format, arguments, &length);
    va_end(arguments);
    buffer_add(buffer, text, length);
    free(text);
}

void buffer_finish(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

void output_open(struct output *output, const char *name)
{
    *output = (struct output){.name = tool_copy(name, strlen(name))};
    struct stat existing;
    if (strcmp(name, "-") == 0) {
        output->file = stdout;
    } else if (stat(name, &existing) == 0 && !S_ISREG(existing.st_mode)) { /* a pipe, /dev/null: as it is */
        output->file = fopen(name, "w");
    } else {
        output->temporary = tool_text("%s.%ld.tmp", name, (long)getpid());
        output->file = fopen(output->temporary, "wx");
    }
    if (output->file == NULL)
        tool_die(TOOL_FAILED, "cannot write %s: %s", name, strerror(errno));
}

void output_commit(struct output *output)
{
    bool failed = fflush(output->file) != 0 || ferror(output->file) != 0;
    if (output->file != stdout)
        failed |= fclose(output->file) != 0;
    if (!failed && output->temporary != NULL)
        failed = rename(output->temporary, output->name) != 0;
    int error = errno;
    if (failed && output->temporary != NULL)
        unlink(output->temporary);
    if (failed && !(output->file == stdout && error == EPIPE))
        tool_die(TOOL_FAILED, "cannot write %s: %s", output->name, strerror(error));
    free(output->name);
    free(output->temporary);
}

static bool progress_shown;

void progress_show(const char *what, uint64_t done, uint64_t total)
{
    static uint64_t last_ms;
    static int terminal = -1;
    if (terminal < 0)
        terminal = isatty(STDERR_FILENO);
    if (terminal == 0)
        return;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    if (last_ms == 0)
        last_ms = ms; /* the first tenth of a second is not worth a word */
    if (ms - last_ms < 100)
        return;
    last_ms = ms;
    progress_shown = true;
    if (total > 0)
        fprintf(stderr, "\r\033[K%s %3u%%", what, (unsigned)((double)done * 100 / (double)total));
    else
        fprintf(stderr, "\r\033[K%s %llu", what, (unsigned long long)done);
    fflush(stderr);
}

void progress_end(void)
{
    if (progress_shown)
        fputs("\r\033[K", stderr);
    progress_shown = false;
}
