/* probe.c - says whether the preloaded library is really the one that serves malloc, and which functions of
 * the family it leaves to another library: a block of one given to the other is a crash.
 *
 *   {"malloc": "path of the library", "missing": ["aligned_alloc", ...]}
 *
 * The dynamic linker only warns about a library it cannot preload and then runs the program without it.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static const char *const family[] = {"free",          "calloc",   "realloc",     "posix_memalign",
                                     "aligned_alloc", "memalign", "valloc",      "malloc_usable_size",
                                     "pvalloc",       "cfree",    "reallocarray"};

static const char *library_of(const char *function)
{
    Dl_info info;
    void *at = dlsym(RTLD_DEFAULT, function);
    return at != NULL && dladdr(at, &info) != 0 ? info.dli_fname : "";
}

int main(void)
{
    const char *library = library_of("malloc");
    const char *separator = "";
    printf("{\"malloc\": \"%s\", \"missing\": [", library);
    for (unsigned i = 0; i < sizeof family / sizeof *family; i++) {
        if (strcmp(library_of(family[i]), library) == 0)
            continue;
        printf("%s\"%s\"", separator, family[i]);
        separator = ", ";
    }
    printf("]}\n");
    return fflush(stdout) == 0 ? 0 : 1;
}
