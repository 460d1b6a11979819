/* fault.c - see fault.h. */
#include "heap/fault.h"

#include "base/fmt.h"
#include "heap/chunk.h"
#include "heap/large.h"
#include "os/env.h"
#include "os/maps.h"

#define ERROR_PREFIX "nebmalloc: ERROR: "

struct message {
    char buffer[512];
    struct text text;
};

static void (*reporter)(const char *kind, const char *what, bool goes_on); /* written before there are threads */

void neb_fault_set_reporter(void (*function)(const char *kind, const char *what, bool goes_on))
{
    reporter = function;
}

static void message_begin(struct message *message, const char *call, const void *p)
{
    message->text = neb_text_in(message->buffer, sizeof message->buffer);
    neb_text_string(&message->text, ERROR_PREFIX);
    neb_text_string(&message->text, call);
    neb_text_string(&message->text, "(");
    neb_text_hex(&message->text, ptr_address(p));
    neb_text_string(&message->text, "): ");
}

static void message_write(struct message *message, const char *kind, bool goes_on)
{
    if (reporter != NULL) {
        reporter(kind, message->text.data + sizeof ERROR_PREFIX - 1, goes_on);
        return;
    }
    neb_text_end_line(&message->text);
    neb_os_write(2, message->text.data, message->text.length);
}

NEB_COLD void neb_fault_say(const char *kind, const char *call, const void *p, const char *what)
{
    struct message message;
    message_begin(&message, call, p);
    neb_text_string(&message.text, what);
    message_write(&message, kind, false);
}

static void say_inside(struct text *text, size_t offset, size_t size)
{
    neb_text_decimal(text, offset);
    neb_text_string(text, " bytes inside a block of ");
    neb_text_decimal(text, size);
    neb_text_string(text, " bytes");
}

static void say_in_slab(struct text *text, const void *p)
{
    const struct slab *slab = slab_of(p);
    size_t size = neb_size_class[slab->class_index].size, offset = ptr_offset(p, slab->base);
    if (offset / size >= slab->capacity)
        neb_text_string(text, "behind the last block of a slab, never allocated");
    else if (offset % size == 0)
        neb_text_string(text, "a block that was never allocated");
    else
        say_inside(text, offset % size, size);
}

static void say_in_large(struct text *text, const void *p)
{
    const struct chunk *chunk = page_map_chunk(p);
    unsigned first = chunk->head[chunk_granule_of(p)];
    const unsigned char *base = chunk->base + ((size_t)first << GRANULE_SHIFT);
    say_inside(text, ptr_offset(p, base), (size_t)chunk->granules[first] << GRANULE_SHIFT);
}

static void say_foreign(struct text *text, const void *p)
{
    struct os_mapping mapping;
    const void *base;
    size_t bytes;
    if (neb_huge_around(p, &base, &bytes)) {
        say_inside(text, ptr_offset(p, base), bytes);
        return;
    }
    if (!neb_os_mapping_of(ptr_address(p), &mapping)) {
        neb_text_string(text, "an address where nothing is mapped, never allocated or already freed");
        return;
    }
    neb_text_string(text, "never allocated by this library or already freed; it lies in ");
    neb_text_string(text, mapping.name[0] == '\0' ? "anonymous memory" : mapping.name);
}

_Noreturn NEB_COLD void neb_fault_invalid(const char *call, const void *p)
{
    struct message message;
    message_begin(&message, call, p);
    neb_text_string(&message.text, "invalid pointer: ");
    uint32_t entry = page_map_load(p);
    if (entry_is_pooled(entry))
        say_in_slab(&message.text, p);
    else if (entry == ENTRY_LARGE_HEAD || entry == ENTRY_LARGE_BODY)
        say_in_large(&message.text, p);
    else
        say_foreign(&message.text, p);
    message_write(&message, "invalid-free", false);
    neb_os_abort();
}

_Noreturn NEB_COLD void neb_fault_double_free(const char *call, const void *p)
{
    neb_fault_say("double-free", call, p, "double free: the block is already free");
    neb_os_abort();
}

_Noreturn NEB_COLD void neb_fault_freed(const char *call, const void *p)
{
    neb_fault_say("heap-use-after-free", call, p, "use after free: the block is free");
    neb_os_abort();
}

NEB_COLD void neb_fault_wrong_size(const char *call, const void *p, size_t stated, size_t usable)
{
    struct message message;
    message_begin(&message, call, p);
    neb_text_string(&message.text, "wrong size: ");
    neb_text_decimal(&message.text, stated);
    neb_text_string(&message.text, " stated, the block has ");
    neb_text_decimal(&message.text, usable);
    message_write(&message, "size-mismatch", true);
}
