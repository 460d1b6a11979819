/* dlopen_loop.c - a plugin that allocates is opened and closed 300 times, also while threads that have used its
 * thread-local storage live on; its blocks outlive it; nothing piles up.
 *
 * The plugin's thread-local storage is 30 KB, so that the loader allocates and frees it, and resizes the threads'
 * vectors of such storage (which it allocated itself, before there was a library to preload).
 *
 * Plugin: plugin.c
 */
#include "claim.h"
#include <dlfcn.h>
#include <pthread.h>

enum { THREADS = 3 };

static char path[4096];
static pthread_barrier_t barrier;

struct plugin {
    void *handle;
    int (*work)(unsigned);
    void *(*give)(size_t);
};

static bool plugin_open(struct plugin *plugin)
{
    plugin->handle = dlopen(path, RTLD_NOW);
    if (plugin->handle == NULL)
        return false;
    *(void **)&plugin->work = dlsym(plugin->handle, "plugin_work");
    *(void **)&plugin->give = dlsym(plugin->handle, "plugin_give");
    return plugin->work != NULL && plugin->give != NULL;
}

static struct plugin shared;

static void *use_shared(void *argument)
{
    bool *good = argument;

    for (unsigned turn = 0; turn < 50; turn++) {
        pthread_barrier_wait(&barrier); /* main has opened */
        *good = *good && shared.work(turn);
        pthread_barrier_wait(&barrier); /* main may close */
    }
    return NULL;
}

int main(void)
{
    bool opened = true, worked = true, kept = true, threads_good[THREADS];
    pthread_t threads[THREADS];
    void *blocks[300];
    long before = 0;

    snprintf(path, sizeof path, "%s/plugin.so", getenv("FACT_DIR"));
    for (unsigned turn = 0; turn < 300; turn++) {
        struct plugin plugin;

        if (turn == 50)
            before = resident_kib();
        opened = opened && plugin_open(&plugin);
        if (!opened)
            break;
        worked = worked && plugin.work(turn);
        blocks[turn] = plugin.give(2000);
        opened = opened && dlclose(plugin.handle) == 0;
        opened = opened && dlopen("libdoes-not-exist.so", RTLD_NOW) == NULL && dlerror() != NULL;
    }
    claim_holds("opened and closed 300 times", opened);
    claim_holds("the plugin's allocations work each time", worked);
    claim_at_most("250 turns (blocks of 2,000 bytes kept) cost", resident_kib() - before, 2048, "KiB");
    for (unsigned turn = 0; opened && turn < 300; turn++) {
        kept = kept && is_filled(blocks[turn], 2000, 77);
        free(blocks[turn]);
    }
    claim_holds("the plugin's blocks outlive it", kept);

    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (unsigned i = 0; i < THREADS; i++) {
        threads_good[i] = true;
        pthread_create(&threads[i], NULL, use_shared, &threads_good[i]);
    }
    for (unsigned turn = 0; turn < 50; turn++) {
        if (!plugin_open(&shared))
            return 1;
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        if (dlclose(shared.handle) != 0)
            return 1;
    }
    worked = true;
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        worked = worked && threads_good[i];
    }
    claim_holds("50 times while three threads use its thread-local storage", worked);
    claim_holds("the heap works after all that", heap_works(6));
    return 0;
}
