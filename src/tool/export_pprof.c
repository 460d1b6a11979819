/* export_pprof.c - two formats of the pprof family.
 *
 * pprof       profile.proto (github.com/google/pprof): messages written by hand, since six of them need no
 * library: a field is varint(number << 3 | 0) varint, or varint(number << 3 | 2) varint(length) bytes.
 * gperftools  the text of gperftools' heap profiler, with a symbol table in front, as `google-pprof --raw`
 * writes it. */
#include "tool/export.h"

#include <stdlib.h>
#include <string.h>

static void put_varint(struct buffer *to, uint64_t value)
{
    unsigned char bytes[10];
    size_t count = 0;
    do {
        bytes[count++] = (unsigned char)((value & 0x7F) | (value > 0x7F ? 0x80 : 0));
        value >>= 7;
    } while (value != 0);
    buffer_add(to, bytes, count);
}

static void put_number(struct buffer *to, unsigned field, uint64_t value)
{
    put_varint(to, field << 3);
    put_varint(to, value);
}

static void put_bytes(struct buffer *to, unsigned field, const void *data, size_t bytes)
{
    put_varint(to, field << 3 | 2);
    put_varint(to, bytes);
    buffer_add(to, data, bytes);
}

/* A message within a message; empties it for the next one. */
static void put_message(struct buffer *to, unsigned field, struct buffer *message)
{
    put_bytes(to, field, message->data, message->bytes);
    message->bytes = 0;
}

static void put_value_type(struct buffer *to, unsigned field, struct strings *strings, const char *type,
                           const char *unit)
{
    struct buffer message = {0};
    put_number(&message, 1, strings_add(strings, type));
    put_number(&message, 2, strings_add(strings, unit));
    put_message(to, field, &message);
    buffer_finish(&message);
}

static bool pair_same(const void *context, uint32_t id, const void *key)
{
    return memcmp((const uint32_t *)context + 2 * (size_t)id, key, 2 * sizeof(uint32_t)) == 0;
}

/* Functions, each once: (name, file) as numbers in the strings. Numbered from 1 on. */
struct functions {
    uint32_t *pairs;
    size_t count, room;
    struct table table;
};

static uint32_t function_number(struct functions *functions, uint32_t name, uint32_t file)
{
    uint32_t key[2] = {name, file};
    uint64_t hash = tool_mix((uint64_t)name << 32 | file);
    uint32_t id = table_find(&functions->table, hash, pair_same, functions->pairs, key);
    if (id != UINT32_MAX)
        return id + 1;
    if (functions->count * 2 == functions->room) {
        functions->room = functions->room == 0 ? 64 : functions->room * 2;
        functions->pairs = tool_resize(functions->pairs, functions->room, sizeof *functions->pairs);
    }
    memcpy(functions->pairs + 2 * functions->count, key, sizeof key);
    table_add(&functions->table, hash, (uint32_t)functions->count);
    return (uint32_t)++functions->count;
}

void export_pprof(struct exporting *exporting)
{
    static const struct {
        enum metric metric;
        const char *type, *unit;
    } types[] = {{METRIC_COUNT, "alloc_objects", "count"},
                 {METRIC_BYTES, "alloc_space", "bytes"},
                 {METRIC_LEAKED_BLOCKS, "inuse_objects", "count"},
                 {METRIC_LEAKED, "inuse_space", "bytes"},
                 {METRIC_PEAK, "peak_space", "bytes"},
                 {METRIC_LIFETIME, "lifetime", "nanoseconds"}};
    enum { TYPES = sizeof types / sizeof types[0] };
    const struct model *model = exporting->model;
    struct buffer profile = {0}, message = {0}, inner = {0};
    struct strings strings = {0};
    struct functions functions = {0};
    strings_add(&strings, "");
    for (unsigned i = 0; i < TYPES; i++)
        put_value_type(&profile, 1, &strings, types[i].type, types[i].unit);
    bool *used = tool_make(model->frame_count, sizeof *used);
    for (size_t i = 0; i < model->site_count; i++) { /* samples: locations are frames, innermost first */
        for (uint32_t node = model->sites[i].node; node != NODE_ROOT; node = model->nodes[node].parent) {
            put_varint(&inner, model->nodes[node].frame + UINT64_C(1));
            used[model->nodes[node].frame] = true;
        }
        put_message(&message, 1, &inner);
        for (unsigned k = 0; k < TYPES; k++)
            put_varint(&inner, stats_metric(&model->sites[i].stats, types[k].metric));
        put_message(&message, 2, &inner);
        put_message(&profile, 2, &message);
    }
    for (size_t i = 0; i < model->module_count; i++) { /* mappings */
        const struct module *module = &model->modules[i];
        char id[2 * sizeof module->build_id + 1] = "";
        for (unsigned k = 0; k < module->build_id_bytes; k++)
            snprintf(id + 2 * k, 3, "%02x", module->build_id[k]);
        put_number(&message, 1, i + 1);
        put_number(&message, 2, module->first);
        put_number(&message, 3, module->last);
        put_number(&message, 4, module->first - module->base);
        put_number(&message, 5, strings_add(&strings, module->path));
        put_number(&message, 6, strings_add(&strings, id));
        for (unsigned flag = 7; flag <= 10;
             flag++) /* has functions, file names, lines, inlined frames: do not look them up again */
            put_number(&message, flag, 1);
        put_message(&profile, 3, &message);
    }
    for (size_t i = 0; i < model->frame_count; i++) { /* locations */
        if (!used[i])
            continue;
        size_t count;
        const struct symbol *symbols = symbols_of(exporting->symbols, (uint32_t)i, &count);
        const struct frame *frame = &model->frames[i];
        put_number(&message, 1, i + 1);
        if (frame->module != 0)
            put_number(&message, 2, frame->module);
        put_number(&message, 3,
                   frame->address + (frame->module == 0 ? 0 : model->modules[frame->module - 1].base));
        for (size_t k = 0; k < count; k++) {
            uint32_t name = strings_add(&strings, symbols[k].function),
                     file = strings_add(&strings, symbols[k].file == NULL ? "" : symbols[k].file);
            put_number(&inner, 1, function_number(&functions, name, file));
            put_number(&inner, 2, symbols[k].line);
            put_message(&message, 4, &inner);
        }
        put_message(&profile, 4, &message);
    }
    for (size_t i = 0; i < functions.count; i++) {
        put_number(&message, 1, i + 1);
        put_number(&message, 2, functions.pairs[2 * i]);
        put_number(&message, 3, functions.pairs[2 * i]);
        put_number(&message, 4, functions.pairs[2 * i + 1]);
        put_message(&profile, 5, &message);
    }
    put_number(&profile, 9, model->processes[0].start_unix_ns);
    put_number(&profile, 10, model->processes[0].end_ns);
    uint32_t shown = strings_add(&strings, exporting->metric == METRIC_PEAK ? "peak_space" : "inuse_space");
    for (unsigned i = 0; i < TYPES; i++)
        if (types[i].metric == exporting->metric)
            shown = strings_add(&strings, types[i].type);
    put_number(&profile, 14, shown); /* default_sample_type */
    for (size_t i = 0; i < strings.count; i++)
        put_bytes(&profile, 6, strings.texts[i], strlen(strings.texts[i]));
    fwrite(profile.data, 1, profile.bytes, exporting->out);
    free(used);
    free(functions.pairs);
    table_finish(&functions.table);
    strings_finish(&strings);
    buffer_finish(&profile);
    buffer_finish(&message);
    buffer_finish(&inner);
}

/* ---- gperftools ---------------------------------------------------------------------------------------- */

/* Made up, one for each frame: the symbol table in front gives them their names. It looks an address up less
 * one. */
static unsigned long long made_up(uint32_t frame)
{
    return 0x10000 + (unsigned long long)frame * 16;
}

void export_gperftools(struct exporting *exporting)
{
    const struct model *model = exporting->model;
    FILE *out = exporting->out;
    fprintf(out, "--- symbol\nbinary=%s\n",
            model->processes[0].exe == NULL ? "unknown" : model->processes[0].exe);
    for (size_t i = 0; i < model->frame_count; i++) {
        size_t count;
        const struct symbol *symbols = symbols_of(exporting->symbols, (uint32_t)i, &count);
        fprintf(out, "0x%llx ", made_up((uint32_t)i));
        for (size_t k = 0; k < count; k++) /* inlined ones in one line, innermost first */
            fprintf(out, "%s%s", k == 0 ? "" : "--", symbols[k].function);
        fputc('\n', out);
    }
    const struct totals *totals = &model->totals;
    fprintf(out, "---\nheap profile: %llu: %llu [%llu: %llu] @ heapprofile\n",
            (unsigned long long)totals->live_blocks, (unsigned long long)totals->live_bytes,
            (unsigned long long)totals->allocs, (unsigned long long)totals->bytes);
    for (size_t i = 0; i < model->site_count; i++) {
        const struct stats *stats = &model->sites[i].stats;
        fprintf(out, "%llu: %llu [%llu: %llu] @", (unsigned long long)stats_live_blocks(stats),
                (unsigned long long)stats_live_bytes(stats), (unsigned long long)stats->allocs,
                (unsigned long long)stats->bytes);
        for (uint32_t node = model->sites[i].node; node != NODE_ROOT; node = model->nodes[node].parent)
            fprintf(out, " 0x%llx", made_up(model->nodes[node].frame));
        fputc('\n', out);
    }
    fputs("\nMAPPED_LIBRARIES:\n", out);
}
