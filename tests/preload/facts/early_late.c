/* early_late.c - malloc works before any constructor and after every destructor.
 *
 * In time: .preinit_array (before the constructors of all libraries), another preloaded library's constructor (before
 * or after ours), own constructors, main, atexit handlers, own destructors, that library's destructor, and at last a
 * handler of the output stream that exit flushes. No ifunc resolver: the loader calls a program's resolvers before it
 * has relocated the preloaded libraries, so that no preloaded malloc can serve them (glibc 2.36).
 *
 * Preload: early.c
 */
#include "claim.h"
#include <dlfcn.h>

static void *from_preinit, *from_constructor, *from_main;

static void preinit(int argc, char **argv, char **envp)
{
    (void)argc;
    (void)argv;
    (void)envp;
    from_preinit = calloc(10, 100);
    free(realloc(malloc(10), 3000));
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit_entry)(int, char **, char **) = preinit;

__attribute__((constructor(101))) static void first_constructor(void)
{
    from_constructor = malloc(200);
    fill(from_constructor, 200, 3);
}

__attribute__((destructor(101))) static void last_destructor(void)
{
    claim_holds("a late destructor frees the blocks of the constructor and of main",
                is_filled(from_constructor, 200, 3) && is_filled(from_main, 500, 4));
    free(from_constructor);
    free(from_main);
    claim_holds("the heap works in a late destructor", heap_works(11));
}

static void at_exit(void)
{
    claim_holds("the heap works in an atexit handler", heap_works(12));
}

static ssize_t last_write(void *cookie, const char *text, size_t length)
{
    void *block = malloc(opaque_size(3000));

    (void)text;
    fill(block, 3000, 5);
    claim_holds("a stream flushed at the very end allocates", is_filled(block, 3000, 5) && cookie == NULL);
    free(block);
    return (ssize_t)length;
}

int main(void)
{
    void *(*early_block)(void);
    cookie_io_functions_t functions = {.write = last_write};
    FILE *stream = fopencookie(NULL, "w", functions);

    *(void **)&early_block = dlsym(RTLD_DEFAULT, "early_block");
    claim_holds("the .preinit_array's block is zero", from_preinit != NULL && is_zero(from_preinit, 1000));
    free(from_preinit);
    claim_holds("the other preloaded library's constructor had memory",
                early_block != NULL && early_block() != NULL && is_filled(early_block(), 6000, 42));
    from_main = malloc(500);
    fill(from_main, 500, 4);
    claim_holds("the heap works in main", heap_works(13));
    fputs("x", stream);
    return atexit(at_exit);
}
