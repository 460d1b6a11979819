/* audit.c - LD_AUDIT: the auditor lives in a namespace of its own with a libc of its own; the loader loads it first, and
 * the program and its plugins run as ever.
 *
 * Plugin: auditor.c plugin.c
 */
#include "claim.h"
#include <dlfcn.h>
#include <sys/wait.h>

static int audited(void)
{
    char path[4096];
    int (*work)(unsigned);

    snprintf(path, sizeof path, "%s/plugin.so", getenv("FACT_DIR"));
    claim_holds("the heap works under an auditor", heap_works(1));
    void *plugin = dlopen(path, RTLD_NOW);
    if (plugin == NULL)
        return 1;
    *(void **)&work = dlsym(plugin, "plugin_work");
    claim_holds("a plugin works under an auditor", work(3) != 0);
    claim_holds("it closes", dlclose(plugin) == 0);
    return 0;
}

int main(int argc, char **argv)
{
    char path[4096];
    int status = -1;

    if (argc > 1)
        return audited();
    snprintf(path, sizeof path, "%s/auditor.so", getenv("FACT_DIR"));
    pid_t child = fork();
    if (child == 0) {
        setenv("LD_AUDIT", path, 1);
        execl("/proc/self/exe", argv[0], "audited", (char *)NULL);
        _exit(98);
    }
    waitpid(child, &status, 0);
    claim_is("the audited program's exit status", "%d", status);
    return 0;
}
