/* process.c - see process.h. */
#define _GNU_SOURCE
#include "os/process.h"

#include "base/ptr.h"
#include "os/call.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

/* ---- who we are ---------------------------------------------------------------------------------------------------- */

static uint64_t processors_allowed(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? (uint64_t)CPU_COUNT(&set) : 0;
}

void neb_os_identity(struct os_identity *identity)
{
    struct utsname name;
    memset(identity, 0, sizeof *identity);
    identity->process = (uint64_t)getpid();
    identity->parent = (uint64_t)getppid();
    identity->user = (uint64_t)geteuid();
    identity->processors = processors_allowed();
    if (readlink("/proc/self/exe", identity->executable, sizeof identity->executable - 1) < 0)
        identity->executable[0] = '\0';
    if (getcwd(identity->folder, sizeof identity->folder) == NULL)
        identity->folder[0] = '\0';
    _Static_assert(sizeof identity->host >= sizeof name.nodename, "a name and its end");
    if (uname(&name) == 0)
        memcpy(identity->host, name.nodename, sizeof name.nodename);
#if defined(__x86_64__)
    identity->architecture = "x86_64";
#elif defined(__aarch64__)
    identity->architecture = "aarch64";
#else
    identity->architecture = "other";
#endif
}

size_t neb_os_arguments(char *into, size_t bytes)
{
    size_t length = 0;
    ssize_t count;
    int descriptor = call_open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC, 0);
    if (descriptor < 0)
        return 0;
    while (length < bytes && (count = call_read(descriptor, into + length, bytes - length)) > 0)
        length += (size_t)count;
    (void)call_close(descriptor);
    if (length == bytes) /* cut off */
        into[bytes - 1] = '\0';
    return length;
}

void neb_os_thread_name(char into[16])
{
    memset(into, 0, 16);
    (void)prctl(PR_GET_NAME, into, 0, 0, 0);
    into[15] = '\0';
}

bool neb_os_process_lives(uint64_t process)
{
    return kill((pid_t)process, 0) == 0 || errno == EPERM;
}

uint64_t neb_os_user(void)
{
    return (uint64_t)geteuid();
}

int neb_os_bare_fork(int end_signal)
{
    return (int)syscall(SYS_clone, (long)end_signal, NULL, NULL, NULL, 0L);
}

void neb_os_end_exit(int status)
{
    (void)fflush(NULL);
    _exit(status);
}

/* The kernel reads the mask before it looks at what is to be done with it, and refuses that: nothing changes. */
bool neb_os_can_read(const void *address)
{
    int saved = errno;
    bool can = syscall(SYS_rt_sigprocmask, ~0, address, NULL, sizeof(uint64_t)) != 0 && errno == EINVAL;
    errno = saved;
    return can;
}

/* ---- modules --------------------------------------------------------------------------------------------------------- */

#ifdef DLFO_STRUCT_HAS_EH_DBASE /* a glibc that has the function declares it */
/* Declared with an address where glibc has a pointer that nobody follows: the calling convention is the same, and no
 * integer becomes a pointer. */
static int (*find_object)(uintptr_t, struct dl_find_object *);

bool neb_os_modules_init(void)
{
    if (find_object == NULL)
        *(void **)(void *)&find_object = dlsym(RTLD_DEFAULT, "_dl_find_object");
    return find_object != NULL;
}

bool neb_os_module_of(uintptr_t pc, struct os_module *module)
{
    struct dl_find_object found;
    if (find_object == NULL || find_object(pc, &found) != 0)
        return false;
    module->map = found.dlfo_map_start;
    module->start = ptr_address(found.dlfo_map_start);
    module->end = ptr_address(found.dlfo_map_end);
    module->base = found.dlfo_link_map->l_addr;
    module->name = found.dlfo_link_map->l_name == NULL ? "" : found.dlfo_link_map->l_name;
    module->unwind = found.dlfo_eh_frame;
    return true;
}
#else
bool neb_os_modules_init(void)
{
    return false;
}

bool neb_os_module_of(uintptr_t pc, struct os_module *module)
{
    (void)pc;
    (void)module;
    return false;
}
#endif

static int generation_add(struct dl_phdr_info *info, size_t size, void *sum)
{
    if (size >= offsetof(struct dl_phdr_info, dlpi_subs) + sizeof info->dlpi_subs)
        *(uint64_t *)sum = info->dlpi_adds + info->dlpi_subs;
    return 1;
}

uint64_t neb_os_modules_generation(void)
{
    uint64_t sum = 0;
    (void)dl_iterate_phdr(generation_add, &sum);
    return sum;
}

static size_t note_find_build_id(const unsigned char *note, size_t bytes, const unsigned char **id)
{
    while (bytes >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) header;
        memcpy(&header, note, sizeof header);
        size_t name = size_align_up(header.n_namesz, 4), description = size_align_up(header.n_descsz, 4);
        if (name + description > bytes - sizeof header)
            return 0;
        if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4 && memcmp(note + sizeof header, "GNU", 4) == 0) {
            *id = note + sizeof header + name;
            return header.n_descsz;
        }
        note += sizeof header + name + description;
        bytes -= sizeof header + name + description;
    }
    return 0;
}

/* Program headers stand in the first page of nearly every file; where they do not, there is no id. */
size_t neb_os_build_id(const struct os_module *module, const unsigned char **id)
{
    ElfW(Ehdr) header;
    ElfW(Phdr) segment;
    size_t span = module->end - module->start, length = 0;
    if (span < 4096)
        return 0;
    memcpy(&header, module->map, sizeof header);
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phentsize != sizeof segment ||
        header.e_phoff > 4096 - sizeof segment)
        return 0;
    for (unsigned i = 0; i < header.e_phnum && length == 0; i++) {
        size_t at = header.e_phoff + i * sizeof segment;
        if (at + sizeof segment > 4096)
            break;
        memcpy(&segment, module->map + at, sizeof segment);
        size_t offset = module->base + segment.p_vaddr - module->start;
        if (segment.p_type == PT_NOTE && offset < span && segment.p_memsz <= span - offset)
            length = note_find_build_id(module->map + offset, segment.p_memsz, id);
    }
    return length <= 64 ? length : 0;
}
