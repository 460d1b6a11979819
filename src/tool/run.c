/* run.c - `run`: a program under the library, its signals and its exit status passed on; the file packed
 * afterwards.
 *
 * LD_PRELOAD gets the variant of the library, NEBMALLOC its options; what both had before stays. The program
 * is found by the shell's rules. Where the program becomes the foreground of a terminal nothing changes: it
 * stays in this process group, and gets what the terminal sends by itself. */
#include "tool/cli.h"
#include "tool/pack.h"
#include "tool/reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct mode_fact {
    const char *name, *library, *option; /* option NULL: nothing is recorded */
};

static const struct mode_fact modes[] = {
    {"off", "libnebmalloc.so", NULL},
    {"sample", "libnebmalloc-profile.so", "sample"},
    {"profile", "libnebmalloc-profile.so", "profile"},
    {"trace", "libnebmalloc-profile.so", "trace"},
    {"check", "libnebmalloc-checked.so", NULL},
};

struct run_options {
    const struct mode_fact *mode;
    const char *output, *more;
    bool children, summary;
};

static const struct mode_fact *mode_find(const char *name)
{
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(modes[i].name, name) == 0)
            return &modes[i];
    tool_die(TOOL_USAGE, "no mode '%s': off, sample, profile, trace or check", name);
}

static struct run_options parse(int argc, char **argv)
{
    static const struct option table[] = {
        {"mode", required_argument, NULL, 'm'}, {"output", required_argument, NULL, 'o'},
        {"children", no_argument, NULL, 'c'},   {"option", required_argument, NULL, 'O'},
        {"no-summary", no_argument, NULL, 'q'}, {0}};
    struct run_options options = {.mode = mode_find("profile"), .summary = true};
    optind = 1;
    for (int letter; (letter = getopt_long(argc, argv, "+m:o:O:", table, NULL)) != -1;) {
        switch (letter) {
        case 'm':
            options.mode = mode_find(optarg);
            break;
        case 'o':
            options.output = optarg;
            break;
        case 'c':
            options.children = true;
            break;
        case 'O':
            options.more = optarg;
            break;
        case 'q':
            options.summary = false;
            break;
        default:
            tool_die(TOOL_USAGE, "`nebmalloc run --help` lists the options");
        }
    }
    if (optind == argc)
        tool_die(TOOL_USAGE, "run needs a program: nebmalloc run [OPTIONS] -- CMD [ARGUMENTS]");
    if (options.output != NULL && strchr(options.output, ',') != NULL)
        tool_die(TOOL_USAGE, "--output '%s': a file's name with a comma cannot be given to the library",
                 options.output);
    if (options.output != NULL && options.mode->option == NULL)
        tool_die(TOOL_USAGE, "mode %s records nothing: leave out --output", options.mode->name);
    if (options.children && options.output != NULL && strstr(options.output, "%p") == NULL)
        tool_die(TOOL_USAGE, "--children writes a file for each process: --output needs a %%p in its name");
    return options;
}

/* Beside this program, as in a build folder; or where it is installed. */
static char *library_path(const char *name)
{
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length <= 0)
        tool_die(TOOL_RUN_FAILED, "cannot find out where I am: /proc/self/exe: %s", strerror(errno));
    self[length] = '\0';
    char *slash = strrchr(self, '/');
    *(slash == NULL ? self : slash) = '\0';
    static const char *const folders[] = {"", ("/../" NEB_LIBDIR), "/../lib"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        char *path = tool_text("%s%s/%s", self, folders[i], name), real[PATH_MAX];
        bool there = realpath(path, real) != NULL;
        free(path);
        if (there) {
            if (strpbrk(real, ": ") != NULL)
                tool_die(TOOL_RUN_FAILED,
                         "%s: LD_PRELOAD cannot name a file with a space or colon in its path", real);
            return tool_copy(real, strlen(real));
        }
    }
    tool_die(TOOL_RUN_FAILED, "%s is neither in %s nor in %s/../" NEB_LIBDIR, name, self, self);
}

/* What the variable had before stays, on the other side of the separator: a library is looked for from the
 * left, and of two options of one name the later one counts. */
static void environment_add(const char *variable, const char *value, char separator)
{
    const char *before = getenv(variable);
    bool first = separator == ':';
    char *text = before == NULL || before[0] == '\0'
                     ? tool_text("%s", value)
                     : tool_text("%s%c%s", first ? value : before, separator, first ? before : value);
    setenv(variable, text, 1);
    free(text);
}

/* The absolute name of the file, with its %p and %e, but for the process itself already put in. */
static char *output_name(const struct run_options *options, const char *program)
{
    char folder[PATH_MAX];
    const char *name = strrchr(program, '/');
    name = name == NULL ? program : name + 1;
    char *text = options->output != NULL ? tool_copy(options->output, strlen(options->output))
                 : options->children     ? tool_text("nebmalloc.%%e.%%p.nbt")
                                         : tool_text("nebmalloc.%s.%%p.nbt", name);
    for (char *p = text; *p != '\0'; p++)
        if (*p == ',')
            *p = '_';
    /* The library would put in the name of what is executed in the end; without --children one file is looked
     * for. */
    for (char *e; !options->children && (e = strstr(text, "%e")) != NULL;) {
        char *named = tool_text("%.*s%s%s", (int)(e - text), text, name, e + 2);
        free(text);
        text = named;
    }
    if (text[0] == '/')
        return text;
    if (getcwd(folder, sizeof folder) == NULL || strchr(folder, ',') != NULL || strchr(folder, '%') != NULL)
        return text;
    char *absolute = tool_text("%s/%s", folder, text);
    free(text);
    return absolute;
}

static char *expanded(const char *pattern, long pid, const char *program)
{
    struct buffer text = {0};
    const char *name = strrchr(program, '/');
    for (const char *p = pattern; *p != '\0'; p++) {
        if (p[0] == '%' && p[1] == 'p')
            buffer_print(&text, "%ld", pid);
        else if (p[0] == '%' && p[1] == 'e')
            buffer_print(&text, "%s", name == NULL ? program : name + 1);
        else if (p[0] == '%' && p[1] == '%')
            buffer_add(&text, "%", 1);
        else {
            buffer_add(&text, p, 1);
            continue;
        }
        p++;
    }
    return text.data;
}

/* ---- the program --------------------------------------------------------------------------------------- */

static volatile pid_t child_pid;

static void pass_on(int signal)
{
    int error = errno;
    if (child_pid > 0)
        kill(child_pid, signal);
    errno = error;
}

static const int passed_on[] = {SIGHUP,  SIGINT,   SIGQUIT, SIGTERM, SIGUSR1,
                                SIGUSR2, SIGWINCH, SIGALRM, SIGCONT};

/* What the terminal sends (SIGINT, SIGQUIT, ...) the program gets as well, from the terminal itself: passing
 * it on would make two of them. SI_KERNEL says that it came from there. */
static void handle(int signal, siginfo_t *info, void *context)
{
    (void)context;
    if (info->si_code != SI_KERNEL)
        pass_on(signal);
}

/* settings: for NEBMALLOC, or NULL. `alone`: only this process is to record, not those that it starts. */
static pid_t start(char **argv, const sigset_t *mask, const char *settings, bool alone)
{
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0)
        tool_die(TOOL_RUN_FAILED, "pipe: %s", strerror(errno));
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0)
        tool_die(TOOL_RUN_FAILED, "fork: %s", strerror(errno));
    if (pid == 0) {
        char *text = settings != NULL && alone ? tool_text("%s,pid=%ld", settings, (long)getpid()) : NULL;
        if (settings != NULL)
            environment_add("NEBMALLOC", text != NULL ? text : settings, ',');
        sigprocmask(SIG_SETMASK, mask, NULL);
        execvp(argv[0], argv);
        int error = errno;
        ssize_t written = write(report[1], &error, sizeof error);
        _exit(written == sizeof error ? TOOL_CANNOT_RUN : TOOL_RUN_FAILED);
    }
    close(report[1]);
    int error = 0;
    while (read(report[0], &error, sizeof error) < 0 && errno == EINTR)
        ;
    close(report[0]);
    if (error != 0) {
        waitpid(pid, NULL, 0);
        tool_die(error == ENOENT ? TOOL_NOT_FOUND : TOOL_CANNOT_RUN, "%s: %s", argv[0], strerror(error));
    }
    return pid;
}

static int wait_for(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            tool_die(TOOL_RUN_FAILED, "waiting for the program: %s", strerror(errno));
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- afterwards ---------------------------------------------------------------------------------------- */

static void finish_file(const char *path, bool summary)
{
    uint64_t before, after;
    struct stat status;
    if (stat(path, &status) != 0) {
        tool_warn(
            "%s was not written: is the program statically linked, set-uid, or was its environment replaced?",
            path);
        return;
    }
    struct model model;
    model_init(&model);
    char *refused = reader_file(&model, path);
    bool lives = refused == NULL && model.processes[0].state == NBT_RUNNING && !model.processes[0].killed;
    if (refused == NULL && !lives) {
        char *failed = pack_file(path, &before, &after);
        if (failed != NULL)
            tool_warn("%s", failed);
        free(failed);
    }
    if (refused != NULL)
        tool_warn("%s", refused);
    else if (summary) {
        model_sum(&model);
        const struct totals *totals = &model.totals;
        struct stat now;
        uint64_t size = stat(path, &now) == 0 ? (uint64_t)now.st_size : 0;
        fprintf(stderr, "nebmalloc: %s allocations, %s; peak %s; not freed: %s in %s blocks\n",
                number_count(totals->allocs).text, number_bytes(totals->bytes).text,
                number_bytes(totals->peak_bytes).text, number_bytes(totals->live_bytes).text,
                number_count(totals->live_blocks).text);
        fprintf(stderr, "nebmalloc: %s (%s)%s; look at it: nebmalloc %s\n", path, number_bytes(size).text,
                lives ? ", still written by the process" : "", path);
    }
    free(refused);
    model_finish(&model);
}

/* "app.nbt", 2 -> "app-2.nbt": what the library takes when the name is somebody's. */
static char *numbered(const char *path, unsigned number)
{
    size_t length = strlen(path),
           stem = length > 4 && strcmp(path + length - 4, ".nbt") == 0 ? length - 4 : length;
    return tool_text("%.*s-%u%s", (int)stem, path, number, path + stem);
}

/* Whether the file is of the process that was just run. */
static bool is_of(const char *path, long pid, const struct timespec *since)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    struct nbt_file header;
    bool good = fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    struct source source = {.fd = fd, .bytes = good ? (uint64_t)status.st_size : 0, .name = path};
    char *refused = good ? reader_header(&source, &header) : NULL;
    uint64_t begin_ns = (uint64_t)since->tv_sec * UINT64_C(1000000000);
    good = good && refused == NULL && header.pid == (uint32_t)pid && header.start_unix_ns >= begin_ns;
    free(refused);
    if (fd >= 0)
        close(fd);
    return good;
}

/* A process that executes one program after another (a shim, env, a shell's exec) writes a file for each: the
 * last is the one that was meant. It gets the name; those before it go. */
static char *newest_image(const char *path, long pid, const struct timespec *since)
{
    char *newest = is_of(path, pid, since) ? tool_copy(path, strlen(path)) : NULL;
    struct stat status;
    for (unsigned number = 2;; number++) {
        char *next = numbered(path, number);
        if (stat(next, &status) != 0) {
            free(next);
            break;
        }
        if (!is_of(next, pid, since)) {
            free(next);
        } else if (newest != NULL && rename(next, newest) == 0) {
            free(next);
        } else {
            free(newest);
            newest = next;
        }
    }
    return newest != NULL ? newest : tool_copy(path, strlen(path));
}

/* With --children the names are only known by their pattern: what stands where %p and %e are. */
static bool matches(const char *pattern, const char *name)
{
    for (; *pattern != '\0'; pattern++, name++) {
        if (pattern[0] != '%') {
            if (*pattern != *name)
                return false;
            continue;
        }
        pattern++;
        if (*pattern == '%') {
            if (*name != '%')
                return false;
            continue;
        }
        size_t least = 1;
        for (size_t length = least; name[length - 1] != '\0' &&
                                    (*pattern != 'p' || (name[length - 1] >= '0' && name[length - 1] <= '9'));
             length++)
            if (matches(pattern + 1, name + length))
                return true;
        return false;
    }
    return *name == '\0';
}

static void finish_children(const char *pattern, const struct timespec *since, bool summary)
{
    const char *slash = strrchr(pattern, '/');
    char *folder = slash == NULL ? tool_copy(".", 1) : tool_copy(pattern, (size_t)(slash - pattern) + 1);
    DIR *files = opendir(folder);
    unsigned count = 0;
    for (struct dirent *entry; files != NULL && (entry = readdir(files)) != NULL;) {
        if (!matches(slash == NULL ? pattern : slash + 1, entry->d_name))
            continue;
        char *path = tool_text("%s/%s", slash == NULL ? "." : folder, entry->d_name);
        struct stat status;
        if (stat(path, &status) == 0 &&
            (status.st_mtim.tv_sec > since->tv_sec ||
             (status.st_mtim.tv_sec == since->tv_sec && status.st_mtim.tv_nsec >= since->tv_nsec))) {
            finish_file(path, false);
            count++;
        }
        free(path);
    }
    if (files != NULL)
        closedir(files);
    free(folder);
    if (summary)
        fprintf(stderr, "nebmalloc: %u processes, a file each: %s\n", count, pattern);
}

int command_run(int argc, char **argv)
{
    struct run_options options = parse(argc, argv);
    char **command = argv + optind, *library = library_path(options.mode->library), *pattern = NULL;
    char *settings = options.more == NULL ? NULL : tool_copy(options.more, strlen(options.more));
    term_begin(COLOUR_NEVER);
    environment_add("LD_PRELOAD", library, ':');
    if (options.mode->option != NULL) {
        pattern = output_name(&options, command[0]);
        free(settings);
        settings = tool_text("mode=%s,out=%s%s%s%s", options.mode->option, pattern,
                             options.children ? ",children=1" : "", options.more == NULL ? "" : ",",
                             options.more == NULL ? "" : options.more);
    }
    struct timespec since;
    clock_gettime(CLOCK_REALTIME_COARSE, &since); /* the clock of file times */
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before); /* none is lost between the fork and the handlers */
    child_pid = start(command, &before, settings, pattern != NULL && !options.children);
    for (size_t i = 0; i < sizeof passed_on / sizeof passed_on[0]; i++) {
        struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_RESTART};
        sigaction(passed_on[i], &action, NULL);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    int status = wait_for(child_pid);
    long pid = child_pid;
    child_pid = 0;
    unsetenv("LD_PRELOAD");
    if (pattern != NULL && options.children) {
        finish_children(pattern, &since, options.summary);
    } else if (pattern != NULL) {
        char *path = expanded(pattern, pid, command[0]), *file = newest_image(path, pid, &since);
        finish_file(file, options.summary);
        free(file);
        free(path);
    }
    free(pattern);
    free(settings);
    free(library);
    return status;
}
