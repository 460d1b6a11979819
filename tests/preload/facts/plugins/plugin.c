/* plugin.c - a library to open and close: allocates in its constructor, in a call, in thread-local storage of its own
 * (large enough that the loader allocates it), and frees in its destructor.
 */
#include "claim.h"

int plugin_work(unsigned tag);
void *plugin_give(size_t size);

static void *from_constructor;
static __thread unsigned char local[30000];

__attribute__((constructor)) static void opened(void)
{
    from_constructor = malloc(5000);
    fill(from_constructor, 5000, 5);
}

__attribute__((destructor)) static void closed(void)
{
    void *late = malloc(7000);

    if (!is_filled(from_constructor, 5000, 5))
        abort();
    free(from_constructor);
    fill(late, 7000, 6);
    free(late);
}

int plugin_work(unsigned tag)
{
    char *text = strdup("a text that the plugin copies");
    void *block = calloc(tag % 100 + 1, 64);
    bool good = text != NULL && block != NULL && is_zero(block, (tag % 100 + 1) * 64u);

    fill(local, sizeof local, tag);
    good = good && is_filled(local, sizeof local, tag);
    free(text);
    free(block);
    return good;
}

void *plugin_give(size_t size)
{
    void *block = malloc(size);

    fill(block, size, 77);
    return block;
}
