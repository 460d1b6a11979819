/* deepbind_plugin.c - gives, takes and resizes blocks; see ../deepbind.c. */
#include "claim.h"

void *plugin_give(size_t size);
bool plugin_take(void *block, size_t size);
void *plugin_resize(void *block, size_t size);
char *plugin_copy(const char *text);
bool plugin_work(void);

void *plugin_give(size_t size)
{
    void *block = malloc(size);

    fill(block, size, 6);
    return block;
}

bool plugin_take(void *block, size_t size)
{
    bool good = is_filled(block, size, 5);

    free(block);
    return good;
}

void *plugin_resize(void *block, size_t size)
{
    return realloc(block, size);
}

char *plugin_copy(const char *text)
{
    return strdup(text);
}

bool plugin_work(void)
{
    char *text = NULL, *line = NULL;
    size_t capacity = 0;
    FILE *stream = open_memstream(&text, &capacity);
    bool good = stream != NULL && fputs("a line\n", stream) >= 0 && fclose(stream) == 0 && strcmp(text, "a line\n") == 0;

    free(text);
    stream = fopen("/proc/self/status", "r");
    capacity = 0;
    good = good && stream != NULL && getline(&line, &capacity, stream) > 0;
    free(line);
    if (stream != NULL)
        fclose(stream);
    return good;
}
