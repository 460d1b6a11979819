/* inspect.c - see inspect.h. */
#define _GNU_SOURCE
#include "os/inspect.h"

#include "base/fmt.h"
#include "os/env.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

ptrdiff_t neb_os_read_file(const char *path, char *to, size_t count)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return -1;
    size_t done = 0;
    ssize_t got;
    while (done < count && ((got = read(descriptor, to + done, count - done)) > 0 || (got < 0 && errno == EINTR)))
        done += got > 0 ? (size_t)got : 0;
    (void)close(descriptor);
    return (ptrdiff_t)done;
}

void neb_os_task_name(uint32_t id, char *name, size_t capacity)
{
    char path[64];
    struct text text = neb_text_in(path, sizeof path);
    neb_text_string(&text, "/proc/self/task/");
    neb_text_decimal(&text, id);
    neb_text_string(&text, "/comm");
    ptrdiff_t count = neb_os_read_file(path, name, capacity - 1);
    name[count < 0 ? 0 : count] = '\0';
    if (count > 0 && name[count - 1] == '\n')
        name[count - 1] = '\0';
}

/* Where the system call is refused, the clock and an address are better than nothing. */
void neb_os_random(void *to, size_t bytes)
{
    if (getrandom(to, bytes, GRND_NONBLOCK) == (ssize_t)bytes)
        return;
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t x = (uint64_t)now.tv_nsec * UINT64_C(0x9E3779B97F4A7C15) + (uint64_t)(uintptr_t)&now;
    for (size_t i = 0; i < bytes; i++) {
        x = (x ^ (x >> 29)) * UINT64_C(0xBF58476D1CE4E5B9);
        ((unsigned char *)to)[i] = (unsigned char)(x >> 56);
    }
}

/* ---- modules ------------------------------------------------------------------------------------------------------------ */

/* The kernel lists a file's mappings one after the other, the first of them first. */
struct module_search {
    uintptr_t address;
    struct os_image *module;
    bool found;
};

static bool module_line(char *line, struct module_search *search)
{
    char *at = line;
    uintptr_t start = 0, end = 0;
    for (; *at != '-' && *at != '\0'; at++)
        start = start * 16 + (uintptr_t)(*at <= '9' ? *at - '0' : *at - 'a' + 10);
    for (at += *at == '-'; *at != ' ' && *at != '\0'; at++)
        end = end * 16 + (uintptr_t)(*at <= '9' ? *at - '0' : *at - 'a' + 10);
    for (int field = 0; field < 4; field++) {
        at += strspn(at, " ");
        at += strcspn(at, " ");
    }
    at += strspn(at, " ");
    if (strncmp(at, search->module->name, sizeof search->module->name - 1) != 0 || *at == '\0') {
        struct text name = neb_text_in(search->module->name, sizeof search->module->name);
        neb_text_string(&name, at);
        search->module->base = start;
    }
    search->found = search->address >= start && search->address < end;
    return search->found;
}

bool neb_os_image_of(uintptr_t address, struct os_image *module)
{
    char input[1024], line[512];
    size_t length = 0;
    ssize_t count;
    struct module_search search = {address, module, false};
    int descriptor = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    module->name[0] = '\0';
    module->base = 0;
    if (descriptor < 0)
        return false;
    while (!search.found && (count = read(descriptor, input, sizeof input)) > 0)
        for (ssize_t i = 0; i < count && !search.found; i++) {
            if (input[i] != '\n') {
                if (length + 1 < sizeof line)
                    line[length++] = input[i];
                continue;
            }
            line[length] = '\0';
            length = 0;
            (void)module_line(line, &search);
        }
    (void)close(descriptor);
    return search.found;
}

/* ---- output ---------------------------------------------------------------------------------------------------------------- */

int neb_os_open_append(const char *path)
{
    int descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
    if (descriptor < 0)
        return -1;
    int kept = neb_os_keep_descriptor(descriptor);
    if (kept != descriptor)
        (void)close(descriptor);
    return kept;
}

/* A pipe without reader raises SIGPIPE in the thread that writes: it is blocked, and taken away if it was not pending. */
bool neb_os_write_all(int descriptor, const char *data, size_t count)
{
    sigset_t pipe_only, before, pending;
    (void)sigemptyset(&pipe_only);
    (void)sigaddset(&pipe_only, SIGPIPE);
    (void)sigemptyset(&pending);
    (void)sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGPIPE) == 1;
    (void)pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    bool is_whole = true;
    while (count > 0 && is_whole) {
        ssize_t written = write(descriptor, data, count);
        if (written > 0) {
            data += written;
            count -= (size_t)written;
        } else if (written == 0 || errno != EINTR) {
            is_whole = false;
        }
    }
    if (!is_whole && !was_pending) {
        struct timespec none = {0, 0};
        while (sigtimedwait(&pipe_only, NULL, &none) < 0 && errno == EINTR) {
        }
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return is_whole;
}

void neb_os_stop(void)
{
    (void)raise(SIGSTOP);
}

void neb_os_yield(void)
{
    (void)sched_yield();
}
