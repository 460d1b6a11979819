/* glibc.c - glibc's own extensions: figures, tuning, and reports of this allocator under the names of that one. */
#include "base/fmt.h"
#include "front/alloc.h"
#include "front/stats.h"
#include "interpose/exports.h"
#include "os/env.h"
#include <errno.h>
#include <stdio.h>

static struct mallinfo2 info_take(void)
{
    struct stats stats;
    neb_stats_take(&stats);
    return (struct mallinfo2){
        .arena = stats.mapped_bytes - stats.large.huge_bytes - stats.large.kept_bytes,
        .ordblks = stats.all.blocks - stats.all.live,
        .hblks = stats.large.huge_blocks,
        .hblkhd = stats.large.huge_bytes,
        .uordblks = stats.small_live_bytes + stats.large.large_bytes,
        .fordblks = stats.mapped_bytes - stats.large.kept_bytes - stats.live_bytes,
        .keepcost = stats.free_resident_bytes,
    };
}

NEB_EXPORT struct mallinfo2 mallinfo2(void)
{
    return info_take();
}

/* The old form has ints: figures wrap, as they do in glibc. */
NEB_EXPORT struct mallinfo mallinfo(void)
{
    struct mallinfo2 now = info_take();
    return (struct mallinfo){
        .arena = (int)now.arena,
        .ordblks = (int)now.ordblks,
        .hblks = (int)now.hblks,
        .hblkhd = (int)now.hblkhd,
        .uordblks = (int)now.uordblks,
        .fordblks = (int)now.fordblks,
        .keepcost = (int)now.keepcost,
    };
}

NEB_EXPORT int malloc_trim(size_t pad)
{
    (void)pad; /* what is kept on top is a notion of heaps that grow with brk */
    return neb_trim() > 0;
}

/* glibc's parameters have no counterpart here; a known one is accepted and changes nothing, as programs expect that
 * tuning cannot fail. */
NEB_EXPORT int mallopt(int parameter, int value)
{
    (void)value;
    switch (parameter) {
    case M_MXFAST:
    case M_TRIM_THRESHOLD:
    case M_TOP_PAD:
    case M_MMAP_THRESHOLD:
    case M_MMAP_MAX:
    case M_CHECK_ACTION:
    case M_PERTURB:
    case M_ARENA_TEST:
    case M_ARENA_MAX:
        return 1;
    default:
        return 0;
    }
}

NEB_EXPORT void malloc_stats(void)
{
    neb_stats_print_glibc(2);
    neb_stats_print(2);
}

static void print_class(FILE *stream, const struct class_stats *class, size_t size)
{
    if (class->taken == 0)
        return;
    fprintf(stream, "  <size bytes=\"%zu\" slabs=\"%llu\" live=\"%llu\" cached=\"%llu\" free=\"%llu\"/>\n", size,
            (unsigned long long)class->slabs, (unsigned long long)class->live, (unsigned long long)class->cached,
            (unsigned long long)(class->blocks - class->live - class->cached));
}

/* glibc's outer form, so that its readers find the totals; heaps are not told apart, size classes are. */
NEB_EXPORT int malloc_info(int options, FILE *stream)
{
    struct stats stats;
    if (options != 0)
        return EINVAL;
    neb_stats_take(&stats);
    fputs("<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n", stream);
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++)
        print_class(stream, &stats.class[class_index], neb_size_class[class_index].size);
    fprintf(stream,
            "</sizes>\n</heap>\n"
            "<total type=\"rest\" count=\"%llu\" size=\"%llu\"/>\n"
            "<total type=\"large\" count=\"%zu\" size=\"%zu\"/>\n"
            "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n"
            "<system type=\"current\" size=\"%llu\"/>\n"
            "<system type=\"max\" size=\"%llu\"/>\n"
            "<live size=\"%llu\"/>\n"
            "</malloc>\n",
            (unsigned long long)(stats.all.blocks - stats.all.live), (unsigned long long)(stats.mapped_bytes - stats.live_bytes),
            stats.large.large_blocks, stats.large.large_bytes, stats.large.huge_blocks, stats.large.huge_bytes,
            (unsigned long long)stats.mapped_bytes, (unsigned long long)stats.mapped_peak_bytes,
            (unsigned long long)stats.live_bytes);
    return 0;
}
