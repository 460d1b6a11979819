/* inspect.c - see inspect.h. */
#define _GNU_SOURCE
#include "os/inspect.h"

#include "base/fmt.h"
#include "os/call.h"
#include "os/env.h"
#include "os/maps.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

ptrdiff_t neb_os_read_file(const char *path, char *to, size_t count)
{
    int descriptor = call_open(path, O_RDONLY | O_CLOEXEC, 0);
    if (descriptor < 0)
        return -1;
    size_t done = 0;
    ssize_t got;
    while (done < count && ((got = call_read(descriptor, to + done, count - done)) > 0 || (got < 0 && errno == EINTR)))
        done += got > 0 ? (size_t)got : 0;
    (void)call_close(descriptor);
    return (ptrdiff_t)done;
}

static uint64_t copied; /* 0: this process is no copy */

void neb_os_inspect_for(uint64_t process)
{
    copied = process;
}

uint64_t neb_os_inspected(void)
{
    return copied != 0 ? copied : neb_os_process_id();
}

void neb_os_task_name(uint32_t id, char *name, size_t capacity)
{
    char path[64];
    struct text text = neb_text_in(path, sizeof path);
    neb_text_string(&text, "/proc/");
    if (copied != 0)
        neb_text_decimal(&text, copied);
    else
        neb_text_string(&text, "self");
    neb_text_string(&text, "/task/");
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
    if (call_getrandom(to, bytes, GRND_NONBLOCK) == (ssize_t)bytes)
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
struct image_search {
    uintptr_t address;
    struct os_image *image;
};

static bool image_follow(void *argument, const struct os_map_entry *entry)
{
    struct image_search *search = argument;
    struct os_image *image = search->image;
    if (*entry->name == '\0' || strncmp(entry->name, image->name, sizeof image->name - 1) != 0) {
        struct text name = neb_text_in(image->name, sizeof image->name);
        neb_text_string(&name, entry->name);
        image->base = entry->start;
    }
    return search->address < entry->start || search->address >= entry->end;
}

bool neb_os_image_of(uintptr_t address, struct os_image *image)
{
    struct image_search search = {address, image};
    image->name[0] = '\0';
    image->base = 0;
    return !neb_os_maps_walk(image_follow, &search);
}

/* ---- output ---------------------------------------------------------------------------------------------------------------- */

int neb_os_open_append(const char *path)
{
    int descriptor = call_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
    if (descriptor < 0)
        return -1;
    int kept = neb_os_keep_descriptor_early(descriptor);
    if (kept != descriptor)
        (void)call_close(descriptor);
    return kept;
}

/* Of a pipe that is full and does not block: whether its reader goes on. */
static bool becomes_writable(int descriptor)
{
    enum { PATIENCE_MS = 2000 };
    struct pollfd wanted = {descriptor, POLLOUT, 0};
    return call_poll(&wanted, 1, PATIENCE_MS) == 1 && (wanted.revents & POLLOUT) != 0;
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
        ssize_t written = call_write(descriptor, data, count);
        if (written > 0) {
            data += written;
            count -= (size_t)written;
        } else if (written == 0 || (errno != EINTR && !(errno == EAGAIN && becomes_writable(descriptor)))) {
            is_whole = false;
        }
    }
    if (!is_whole && !was_pending) {
        struct timespec none = {0, 0};
        while (call_sigtimedwait(&pipe_only, NULL, &none) < 0 && errno == EINTR) {
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
