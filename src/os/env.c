/* env.c - see env.h. */
#define _GNU_SOURCE
#include "os/env.h"

#include "base/fmt.h"
#include "base/panic.h"
#include "os/call.h"
#include "os/vm.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

NEB_COMMON const char *neb_env_value(char *const *environment, const char *name)
{
    if (environment == NULL || getauxval(AT_SECURE) != 0)
        return NULL;
    size_t length = strlen(name);
    for (char *const *variable = environment; *variable != NULL; variable++)
        if (strncmp(*variable, name, length) == 0 && (*variable)[length] == '=')
            return *variable + length + 1;
    return NULL;
}

void neb_os_write(int descriptor, const char *data, size_t count)
{
    while (count > 0) {
        ssize_t written = call_write(descriptor, data, count);
        if (written <= 0 && errno != EINTR)
            return;
        if (written > 0) {
            data += written;
            count -= (size_t)written;
        }
    }
}

void neb_os_complain(const char *what)
{
    char buffer[256];
    struct text text = neb_text_in(buffer, sizeof buffer);
    neb_text_string(&text, "nebmalloc: ");
    neb_text_string(&text, what);
    neb_text_end_line(&text);
    neb_os_write(STDERR_FILENO, text.data, text.length);
}

NEB_COMMON int neb_os_error(void)
{
    return errno;
}

NEB_COMMON void neb_os_set_error(int error)
{
    errno = error;
}

/* The few that files really give; strerror would allocate. */
static const char *error_text(int error)
{
    switch (error) {
    case ENOSPC:
        return "no space left on the disk";
    case EDQUOT:
        return "the disk quota is used up";
    case EFBIG:
        return "the file size limit (ulimit -f) is reached";
    case EACCES:
    case EPERM:
        return "permission denied";
    case ENOENT:
    case ENOTDIR:
        return "there is no such folder";
    case EROFS:
        return "the file system is read-only";
    case EMFILE:
    case ENFILE:
        return "too many open files";
    case ENAMETOOLONG:
        return "the name is too long";
    case EEXIST:
        return "it exists and cannot be replaced";
    case EISDIR:
        return "it is a folder";
    case ENOMEM:
        return "no memory to map it";
    case EBADF:
        return "it was removed or replaced";
    case EIO:
        return "input/output error";
    default:
        return NULL;
    }
}

void neb_os_complain_file(const char *path, int error, const char *and)
{
    char buffer[1536];
    struct text text = neb_text_in(buffer, sizeof buffer);
    const char *meaning = error_text(error);
    neb_text_string(&text, "nebmalloc: ");
    neb_text_string(&text, path);
    neb_text_string(&text, ": ");
    neb_text_string(&text, meaning != NULL ? meaning : "error ");
    if (meaning == NULL)
        neb_text_decimal(&text, (uint64_t)error);
    neb_text_string(&text, and);
    neb_text_end_line(&text);
    neb_os_write(STDERR_FILENO, text.data, text.length);
}

enum { HIGH = 200 }; /* shells hand out 10 and up, programs count from 3 */

int neb_os_keep_descriptor(int descriptor)
{
    int kept = fcntl(descriptor, F_DUPFD_CLOEXEC, HIGH);
    return kept < 0 ? descriptor : kept;
}

int neb_os_keep_descriptor_early(int descriptor)
{
    enum { LIMIT_MAX = 4096 }; /* the kernel's table is as large as the highest number */
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max || limit.rlim_cur < HIGH || limit.rlim_cur > LIMIT_MAX)
        return neb_os_keep_descriptor(descriptor);
    struct rlimit raised = {limit.rlim_cur + 1, limit.rlim_max};
    if (setrlimit(RLIMIT_NOFILE, &raised) != 0)
        return neb_os_keep_descriptor(descriptor);
    int kept = fcntl(descriptor, F_DUPFD_CLOEXEC, (int)limit.rlim_cur);
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    return kept < 0 ? descriptor : kept;
}

_Noreturn void neb_os_abort(void)
{
    abort();
}

uint64_t neb_os_process_id(void)
{
    return (uint64_t)getpid();
}

_Noreturn NEB_COLD void neb_panic(const char *file, int line, const char *what)
{
    char buffer[256];
    struct text text = neb_text_in(buffer, sizeof buffer);
    neb_text_string(&text, "nebmalloc: internal check failed: ");
    neb_text_string(&text, what);
    neb_text_string(&text, " (");
    neb_text_string(&text, file);
    neb_text_string(&text, ":");
    neb_text_decimal(&text, (uint64_t)line);
    neb_text_string(&text, ")");
    neb_text_end_line(&text);
    neb_os_write(STDERR_FILENO, text.data, text.length);
    neb_os_abort();
}

NEB_COMMON uint32_t neb_clock_ms(void)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
}

/* "size resident shared ..." in pages. */
static uint64_t resident_bytes(void)
{
    char buffer[128];
    int descriptor = call_open("/proc/self/statm", O_RDONLY | O_CLOEXEC, 0);
    if (descriptor < 0)
        return 0;
    ssize_t count = call_read(descriptor, buffer, sizeof buffer - 1);
    (void)call_close(descriptor);
    if (count <= 0)
        return 0;
    buffer[count] = '\0';
    const char *space = strchr(buffer, ' ');
    return space == NULL ? 0 : strtoull(space, NULL, 10) * neb_vm_page_size();
}

struct os_usage neb_os_usage(void)
{
    struct rusage usage;
    memset(&usage, 0, sizeof usage);
    (void)getrusage(RUSAGE_SELF, &usage);
    return (struct os_usage){resident_bytes(), (uint64_t)usage.ru_maxrss * 1024, (uint64_t)usage.ru_minflt,
                             (uint64_t)usage.ru_majflt};
}

bool neb_os_on_signal(int number, void (*handler)(int))
{
    struct sigaction old, ours;
    if (sigaction(number, NULL, &old) != 0 || old.sa_handler != SIG_DFL)
        return false;
    memset(&ours, 0, sizeof ours);
    ours.sa_handler = handler;
    ours.sa_flags = SA_RESTART;
    return sigaction(number, &ours, NULL) == 0;
}
