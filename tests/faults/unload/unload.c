/* unload.c - a library is unloaded, another comes to stand at its addresses, and a block that was allocated there is freed twice:
 * unload PLUGIN PLUGIN. Exit status 3: the second does not stand where the first one stood, so that nothing is shown.
 *
 * Both plugins are the same code with frames of another size: by the rules of the first, the stack would end in the second. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

static void *plugin;

static uintptr_t plugin_use(const char *path, void **block)
{
    void *(*give)(size_t);
    plugin = dlopen(path, RTLD_NOW);
    if (plugin == NULL)
        exit(2);
    *(void **)&give = dlsym(plugin, "plugin_give");
    *block = give(100);
    return (uintptr_t)give;
}

int main(int argc, char **argv)
{
    void *first, *second;
    if (argc != 3)
        return 2;
    uintptr_t before = plugin_use(argv[1], &first);
    (void)dlclose(plugin);
    if (plugin_use(argv[2], &second) != before)
        return 3;
    free(first);
    free(second);
    free(second);
    return 0;
}
