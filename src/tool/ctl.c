/* ctl.c - `ctl`: orders to a process that runs under the profile library (../trace/README.md, "Steering a
 * running process").
 *
 * The process's .nbt file is found in its /proc/PID/maps; its first page is shared memory with a mail box. A
 * process that records nothing has none: it finds the order to start in a request file. */
#include "tool/cli.h"
#include "tool/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 5000, STEP_MS = 5 };

static void sleep_step(void)
{
    struct timespec step = {0, STEP_MS * 1000000};
    nanosleep(&step, NULL);
}

static const struct {
    const char *name;
    enum nbt_command command;
} orders[] = {{"start", NBT_COMMAND_START}, {"stop", NBT_COMMAND_STOP},   {"dump", NBT_COMMAND_DUMP},
              {"stats", NBT_COMMAND_STATS}, {"leaks", NBT_COMMAND_LEAKS}, {"mark", NBT_COMMAND_MARK}};

static long parse_pid(const char *text)
{
    char *end;
    errno = 0;
    long pid = strtol(text, &end, 10);
    if (*text < '1' || *text > '9' || *end != '\0' || errno != 0 || pid > INT_MAX)
        tool_die(TOOL_USAGE, "ctl: '%s' is no process id", text);
    return pid;
}

/* A page of a running process's file, shared; NULL if this is none of that process. */
static struct nbt_file *map_page(const char *path, long pid, int *fd)
{
    struct stat status;
    *fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (*fd < 0)
        return NULL;
    struct nbt_file *page = MAP_FAILED;
    if (fstat(*fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size >= NBT_HEADER_BYTES)
        page = mmap(NULL, NBT_HEADER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (page != MAP_FAILED && memcmp(page->magic, NBT_MAGIC, 8) == 0 && page->major == NBT_MAJOR &&
        page->pid == (uint32_t)pid && page->state == NBT_RUNNING)
        return page;
    if (page != MAP_FAILED)
        munmap(page, NBT_HEADER_BYTES);
    close(*fd);
    return NULL;
}

/* The file that the process writes. `library`: whether it runs under the profile library at all. */
static struct nbt_file *find_page(long pid, char **path, int *fd, bool *library)
{
    char *maps = tool_text("/proc/%ld/maps", pid), *line = NULL, *last = tool_copy("", 0);
    FILE *file = fopen(maps, "r");
    struct nbt_file *page = NULL;
    size_t room = 0;
    *library = false;
    if (file == NULL)
        tool_die(TOOL_FAILED, "ctl: process %ld: %s", pid,
                 errno == ENOENT ? "there is no such process" : strerror(errno));
    for (ssize_t length; page == NULL && (length = getline(&line, &room, file)) > 0;) {
        line[length - (line[length - 1] == '\n')] = '\0';
        const char *name = strchr(line, '/');
        if (name == NULL || strcmp(name, last) == 0)
            continue;
        free(last);
        last = tool_copy(name, strlen(name));
        *library |= strstr(name, "libnebmalloc") != NULL;
        const char *slash = strrchr(name, '/');
        if (strstr(slash, ".so") == NULL)
            page = map_page(name, pid, fd);
    }
    fclose(file);
    free(line);
    free(maps);
    *path = last;
    return page;
}

/* What the process answers; false: it refused, and the answer says why. */
static bool order(struct nbt_file *page, long pid, enum nbt_command command, const char *text, char *answer)
{
    _Atomic(uint32_t) *request = (_Atomic(uint32_t) *)&page->request,
                      *reply = (_Atomic(uint32_t) *)&page->reply;
    uint32_t number = atomic_load_explicit(request, memory_order_relaxed) + 1;
    page->command = command;
    memset(page->text, 0, sizeof page->text);
    memcpy(page->text, text, strlen(text));
    atomic_store_explicit(request, number, memory_order_release); /* C1: publishes command and text */
    for (int ms = 0; atomic_load_explicit(reply, memory_order_acquire) != number;
         ms += STEP_MS) { /* C2: the answer */
        char *folder = tool_text("/proc/%ld", pid);
        bool gone = access(folder, F_OK) != 0;
        free(folder);
        if (gone)
            tool_die(TOOL_FAILED, "ctl: process %ld ended before it answered", pid);
        if (ms >= WAIT_MS)
            tool_die(TOOL_FAILED, "ctl: process %ld does not answer; is it stopped?", pid);
        sleep_step();
    }
    memcpy(answer, page->answer, NBT_REPLY_BYTES);
    answer[NBT_REPLY_BYTES - 1] = '\0';
    return page->status == NBT_STATUS_OK;
}

/* A process that records nothing looks for a file: in a folder that only its user can write. */
static int start_by_file(long pid, const char *text)
{
    char *proc = tool_text("/proc/%ld", pid);
    struct stat status;
    if (stat(proc, &status) != 0)
        tool_die(TOOL_FAILED, "ctl: process %ld: %s", pid, strerror(errno));
    free(proc);
    char *folder = tool_text("/tmp/nebmalloc-%u", (unsigned)status.st_uid),
         *name = tool_text("%s/%ld.start", folder, pid);
    char *temporary = tool_text("%s.new", name);
    struct stat there;
    bool made = mkdir(folder, 0700) == 0;
    if (made && chown(folder, status.st_uid, status.st_gid) != 0 && geteuid() == 0)
        tool_die(TOOL_FAILED, "ctl: %s: %s", folder, strerror(errno));
    if (lstat(folder, &there) != 0 || !S_ISDIR(there.st_mode) || there.st_uid != status.st_uid ||
        (there.st_mode & 0777) != 0700)
        tool_die(TOOL_FAILED, "ctl: %s must be a folder of user %u with mode 0700", folder,
                 (unsigned)status.st_uid);
    unlink(temporary);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    size_t length = strlen(text);
    bool good = fd >= 0 && write(fd, text, length) == (ssize_t)length;
    good = good && (fchown(fd, status.st_uid, status.st_gid) == 0 || geteuid() == status.st_uid);
    good = fd >= 0 && close(fd) == 0 && good && rename(temporary, name) == 0;
    if (!good)
        tool_die(TOOL_FAILED, "ctl: cannot write %s: %s", name, strerror(errno));
    for (int ms = 0; ms < WAIT_MS; ms += STEP_MS) {
        char *path;
        int file;
        bool library;
        struct nbt_file *page = find_page(pid, &path, &file, &library);
        if (page != NULL) {
            printf("%s\n", path);
            munmap(page, NBT_HEADER_BYTES);
            close(file);
            free(path);
            free(folder);
            free(name);
            free(temporary);
            return TOOL_OK;
        }
        free(path);
        sleep_step();
    }
    unlink(name);
    tool_die(TOOL_FAILED,
             "ctl: process %ld did not begin to record: it looks when it allocates, and only under "
             "libnebmalloc-profile.so",
             pid);
}

int command_ctl(int argc, char **argv)
{
    term_begin(COLOUR_AUTO);
    if (argc < 3)
        tool_die(
            TOOL_USAGE,
            "ctl needs a process and an order: nebmalloc ctl PID start|stop|dump|stats|leaks|mark [TEXT]");
    long pid = parse_pid(argv[1]);
    size_t which = 0, count = sizeof orders / sizeof orders[0];
    while (which < count && strcmp(orders[which].name, argv[2]) != 0)
        which++;
    if (which == count)
        tool_die(TOOL_USAGE, "ctl: no order '%s': start, stop, dump, stats, leaks or mark", argv[2]);
    enum nbt_command command = orders[which].command;
    bool takes_text = command == NBT_COMMAND_START || command == NBT_COMMAND_MARK;
    if (argc > 4 || (argc == 4 && !takes_text) || (argc == 3 && command == NBT_COMMAND_MARK))
        tool_die(TOOL_USAGE, "ctl: %s takes %s", argv[2],
                 command == NBT_COMMAND_MARK ? "one text"
                 : takes_text                ? "options at most"
                                             : "nothing more");
    char *text = command == NBT_COMMAND_START && (argc == 3 || strstr(argv[3], "mode=") == NULL)
                     ? tool_text("mode=profile%s%s", argc == 4 ? "," : "", argc == 4 ? argv[3] : "")
                     : tool_text("%s", argc == 4 ? argv[3] : "");
    if (strlen(text) >= NBT_TEXT_BYTES)
        tool_die(TOOL_USAGE, "ctl: the text is longer than %d bytes", NBT_TEXT_BYTES - 1);
    char *path, answer[NBT_REPLY_BYTES];
    int fd;
    bool library;
    struct nbt_file *page = find_page(pid, &path, &fd, &library);
    if (page == NULL && command == NBT_COMMAND_START && library) {
        int status = start_by_file(pid, text);
        free(path);
        free(text);
        return status;
    }
    if (page == NULL && !library)
        tool_die(TOOL_FAILED,
                 "ctl: process %ld does not run under nebmalloc; `nebmalloc run` starts programs so", pid);
    if (page == NULL)
        tool_die(TOOL_FAILED, "ctl: process %ld records nothing now; `nebmalloc ctl %ld start` begins", pid,
                 pid);
    if (flock(fd, LOCK_EX) != 0)
        tool_die(TOOL_FAILED, "ctl: %s: %s", path, strerror(errno));
    bool good = order(page, pid, command, text, answer);
    munmap(page, NBT_HEADER_BYTES);
    close(fd);
    free(path);
    free(text);
    if (!good)
        tool_die(TOOL_FAILED, "ctl: process %ld refused: %s", pid, answer);
    if (command == NBT_COMMAND_LEAKS) {
        char *file = answer;
        return command_leaks(&(struct arguments){.files = &file, .count = 1, .metric = METRIC_LEAKED});
    }
    if (answer[0] != '\0')
        printf("%s%s", answer, answer[strlen(answer) - 1] == '\n' ? "" : "\n");
    return TOOL_OK;
}
