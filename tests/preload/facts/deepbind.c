/* deepbind.c - plugins loaded with RTLD_DEEPBIND look for malloc in libc first: blocks cross between them and the program
 * all the same, and the loader still searches the program's own RUNPATH.
 *
 * Variants: dlopen dlmopen
 * Plugin: deepbind_plugin.c
 * Link: -Wl,--enable-new-dtags,-rpath,$ORIGIN
 */
#include "claim.h"
#include <dlfcn.h>

static void *plugin_open(const char *variant)
{
    int mode = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND;

    return strcmp(variant, "dlmopen") == 0 ? dlmopen(LM_ID_BASE, "deepbind_plugin.so", mode)
                                           : dlopen("deepbind_plugin.so", mode);
}

int main(int argc, char **argv)
{
    void *(*give)(size_t);
    bool (*take)(void *, size_t);
    void *(*resize)(void *, size_t);
    char *(*copy)(const char *);
    bool (*work)(void);
    bool good = true;

    if (getenv("LD_LIBRARY_PATH") != NULL || argc < 2)
        return 1;
    void *plugin = plugin_open(argv[1]);
    claim_holds("found through the RUNPATH of the caller", plugin != NULL);
    if (plugin == NULL)
        return 1;
    *(void **)&give = dlsym(plugin, "plugin_give");
    *(void **)&take = dlsym(plugin, "plugin_take");
    *(void **)&resize = dlsym(plugin, "plugin_resize");
    *(void **)&copy = dlsym(plugin, "plugin_copy");
    *(void **)&work = dlsym(plugin, "plugin_work");
    for (size_t size = 1; size < 4u << 20; size = size * 3 + 1) {
        void *ours = malloc(size), *theirs = give(size);

        fill(ours, size, 5);
        good = good && is_filled(theirs, size, 6) && take(ours, size);
        theirs = realloc(theirs, size * 2);
        good = good && is_filled(theirs, size, 6);
        theirs = resize(theirs, size + size / 2);
        good = good && is_filled(theirs, size, 6);
        free(theirs);
    }
    claim_holds("blocks cross in both directions", good);
    char *text = copy("a text that libc's strdup allocates for the plugin");
    claim_holds("what libc allocated for the plugin is the program's to free", strlen(text) > 10);
    free(text);
    claim_holds("the plugin frees what libc allocated for it", work());
    errno = 0;
    claim_holds("a plugin that is not there is not found",
                dlopen("deepbind_none.so", RTLD_NOW | RTLD_DEEPBIND) == NULL && dlerror() != NULL);
    claim_holds("the plugin closes", dlclose(plugin) == 0);
    claim_holds("the heap works", heap_works(8));
    return 0;
}
