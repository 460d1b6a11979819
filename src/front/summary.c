/* summary.c - see summary.h. */
#include "front/summary.h"

#include "base/fmt.h"
#include "front/stats.h"
#include "os/clock.h"
#include "os/env.h"
#include "os/vm.h"
#include "policy/tuning.h"
#include "trace/census.h"
#include "trace/depot.h"
#include "trace/lane.h"
#include "trace/output.h"
#include "trace/site.h"
#include "trace/state.h"
#include "trace/varint.h"
#include <string.h>

#define VERSION "0.1.0" /* as in meson.build */

enum { ARGUMENTS_BYTES = 3000, PROCESS_BYTES = 2 * NBT_CHUNK_ALIGN, END_BYTES = NBT_CHUNK_ALIGN };

static struct nbt_chunk *timeline, *end;
static uint64_t timeline_step_ns, timeline_next_ns; /* distance of points; when the next is due */
static uint64_t events_before;                      /* at the last pulse */
static uint32_t mode;
static struct stats stats; /* 12 KiB: too much for a small stack */

static struct trace_state *state(void)
{
    return &neb_trace_page.state;
}

static uint64_t get(const _Atomic uint64_t *value)
{
    return atomic_load_explicit(value, memory_order_relaxed); /* statistics order nothing */
}

/* ---- keys and values ------------------------------------------------------------------------------------------------- */

struct keys {
    unsigned char *at, *end;
};

static struct keys keys_in(struct nbt_chunk *chunk)
{
    return (struct keys){neb_output_payload(chunk), neb_output_payload(chunk) + neb_output_room(chunk)};
}

/* Both or neither. */
static void key_put(struct keys *keys, const char *key, const char *value)
{
    size_t key_bytes = strlen(key) + 1, value_bytes = strlen(value) + 1;
    if (key_bytes + value_bytes > (size_t)(keys->end - keys->at))
        return;
    memcpy(keys->at, key, key_bytes);
    memcpy(keys->at + key_bytes, value, value_bytes);
    keys->at += key_bytes + value_bytes;
}

static void key_put_number(struct keys *keys, const char *key, uint64_t value)
{
    char digits[24];
    struct text text = neb_text_in(digits, sizeof digits);
    neb_text_decimal(&text, value);
    key_put(keys, key, digits);
}

static void keys_seal(struct nbt_chunk *chunk, const struct keys *keys)
{
    neb_output_commit(chunk, (size_t)(keys->at - neb_output_payload(chunk)));
    neb_output_seal(chunk);
}

static void arguments_put(struct keys *keys)
{
    static char arguments[ARGUMENTS_BYTES];
    size_t bytes = neb_os_arguments(arguments, sizeof arguments);
    for (size_t at = 0; at < bytes; at += strlen(arguments + at) + 1)
        key_put(keys, "arg", arguments + at);
}

static const char *mode_name(uint32_t of)
{
    static const char *const names[] = {"off", "sample", "profile", "trace"};
    return names[of <= NBT_MODE_TRACE ? of : 0];
}

static void process_write(const struct os_identity *identity, const struct summary_settings *settings)
{
    struct nbt_chunk *chunk = neb_output_begin(NBT_PROCESS, PROCESS_BYTES, 0, 0, 0);
    if (chunk == NULL)
        return;
    struct keys keys = keys_in(chunk);
    key_put_number(&keys, "pid", identity->process);
    key_put_number(&keys, "ppid", identity->parent);
    key_put(&keys, "exe", identity->executable);
    key_put(&keys, "version", VERSION);
    key_put(&keys, "arch", identity->architecture);
    key_put_number(&keys, "page_size", neb_vm_page_size());
    key_put(&keys, "mode", mode_name(settings->mode));
    key_put_number(&keys, "sample_rate", settings->sample_bytes);
    key_put_number(&keys, "depth", settings->depth);
    key_put_number(&keys, "start_unix_ns", neb_output_first()->start_unix_ns);
    key_put_number(&keys, "uid", identity->user);
    key_put_number(&keys, "cpus", identity->processors);
    key_put(&keys, "hostname", identity->host);
    if (settings->parent_file != NULL)
        key_put(&keys, "parent_file", settings->parent_file);
    key_put(&keys, "cwd", identity->folder);
    arguments_put(&keys);
    keys_seal(chunk, &keys);
}

/* ---- the first page and the time line ---------------------------------------------------------------------------------- */

void neb_summary_begin(const struct os_identity *identity, const struct summary_settings *settings)
{
    mode = settings->mode;
    process_write(identity, settings);
    end = neb_output_begin(NBT_END, END_BYTES, 0, 0, 0);
    timeline = mode == NBT_MODE_OFF ? NULL : neb_output_begin(NBT_TIMELINE, TIMELINE_BYTES, 0, 0, 0);
    timeline_step_ns = (uint64_t)WORKER_MS * 1000000;
    timeline_next_ns = 0;
    events_before = 0;
}

/* Where call stacks are summed, live bytes and their peak are exact; else sums of lanes, and the largest seen. */
static void live_refresh(struct nbt_file *page, const struct lane_totals *totals)
{
    page->allocs = totals->allocs;
    page->frees = totals->frees;
    page->alloc_bytes = totals->alloc_bytes;
    page->live_blocks = totals->allocs - totals->frees;
    page->live_bytes = totals->alloc_bytes - totals->freed_bytes;
    page->dropped_events = totals->dropped;
    page->other_stack_events = neb_depot_others();
    if (mode != NBT_MODE_TRACE) {
        page->peak_bytes = get(&state()->peak_bytes);
        page->peak_ns = get(&state()->peak_ns);
        page->peak_number = get(&state()->peak_number);
    } else if (page->live_bytes > page->peak_bytes && (int64_t)page->live_bytes > 0) {
        page->peak_bytes = page->live_bytes;
        page->peak_ns = page->now_ns;
    }
}

static uint64_t now_refresh(void)
{
    uint64_t now = neb_clock_ns() - get(&state()->start_ns);
    atomic_store_explicit(&state()->now_ns, now, memory_order_relaxed); /* a time */
    return now;
}

void neb_summary_refresh(void)
{
    struct lane_totals totals;
    struct nbt_file *page = neb_output_first();
    neb_lanes_total(&totals);
    page->now_ns = now_refresh();
    page->rss_bytes = neb_os_usage().resident_bytes;
    live_refresh(page, &totals);
}

/* Every second point goes, and from now on they come half as often. */
static void timeline_thin(void)
{
    struct nbt_point *points = (struct nbt_point *)(void *)neb_output_payload(timeline);
    size_t count = (size_t)timeline->stored_bytes / sizeof *points;
    for (size_t i = 0; i < count / 2; i++)
        points[i] = points[2 * i];
    neb_output_commit(timeline, count / 2 * sizeof *points);
    timeline_step_ns *= 2;
}

static void timeline_add(const struct nbt_file *page)
{
    size_t stored = (size_t)timeline->stored_bytes;
    if (stored + sizeof(struct nbt_point) > neb_output_room(timeline)) {
        timeline_thin();
        stored = (size_t)timeline->stored_bytes;
    }
    neb_stats_take(&stats);
    struct nbt_point point = {.time_ns = page->now_ns,
                              .live_bytes = page->live_bytes,
                              .live_blocks = page->live_blocks,
                              .allocs = page->allocs,
                              .frees = page->frees,
                              .rss_bytes = page->rss_bytes,
                              .used_bytes = stats.slab_bytes + stats.large.large_bytes + stats.large.huge_bytes,
                              .mapped_bytes = stats.mapped_bytes};
    memcpy(neb_output_payload(timeline) + stored, &point, sizeof point);
    neb_output_commit(timeline, stored + sizeof point);
}

void neb_summary_pulse(void)
{
    struct lane_totals totals;
    struct nbt_file *page = neb_output_first();
    neb_lanes_total(&totals);
    page->now_ns = now_refresh();
    if (totals.allocs + totals.frees != events_before)
        atomic_fetch_add_explicit(&state()->epoch, 1, memory_order_relaxed); /* orders nothing by itself: see README.md */
    events_before = totals.allocs + totals.frees;
    if (timeline == NULL || page->now_ns < timeline_next_ns) {
        live_refresh(page, &totals);
        return;
    }
    neb_summary_refresh();
    timeline_add(page);
    timeline_next_ns = page->now_ns - page->now_ns % timeline_step_ns + timeline_step_ns;
}

/* ---- the allocator's own figures ------------------------------------------------------------------------------------------- */

static struct nbt_class class_of(unsigned class_index)
{
    const struct class_stats *class = &stats.class[class_index];
    return (struct nbt_class){.block_bytes = neb_size_class[class_index].size,
                              .slabs = class->slabs,
                              .blocks = class->blocks,
                              .live = class->live,
                              .cached = class->cached,
                              .slab_bytes = class->slabs * neb_size_class[class_index].granules * GRANULE_BYTES};
}

/* Slabs of which at least a quarter is free, with the stacks that have most blocks there. */
static void slab_write(void *argument, const struct census_slab *slab)
{
    enum { NUMBERS = 4 + 2 * CENSUS_STACKS };
    struct output_stream *stream = argument;
    size_t capacity = neb_size_class[slab->class_index].capacity;
    unsigned char text[(NUMBERS + 1) * VARINT_BYTES_MAX], record[sizeof text + VARINT_BYTES_MAX], *at = text;
    if (slab->used > capacity - capacity / 4)
        return;
    at = varint_put(at, neb_size_class[slab->class_index].size);
    at = varint_put(at, slab->used);
    at = varint_put(at, capacity);
    at = varint_put(at, slab->stack_count);
    for (size_t i = 0; i < slab->stack_count; i++) {
        uint32_t name = slab->stack[i].name;
        at = varint_put(at, mode == NBT_MODE_TRACE ? name : neb_site_stack(name));
        at = varint_put(at, slab->stack[i].blocks);
    }
    size_t bytes = (size_t)(bytes_put(record, text, (uint64_t)(at - text)) - record);
    (void)neb_output_append(stream, record, bytes); /* the disk is full: what is there is good */
}

/* Where every block has a record; else all are 0. */
static void slabs_write(enum nbt_reason reason, uint64_t live_bytes[CLASS_COUNT])
{
    struct output_stream slabs = {.kind = NBT_SLABS, .base = reason, .time_ns = neb_output_first()->now_ns};
    memset(live_bytes, 0, CLASS_COUNT * sizeof *live_bytes);
    if (mode != NBT_MODE_PROFILE && mode != NBT_MODE_TRACE)
        return;
    neb_census(atomic_load_explicit(&state()->session, memory_order_relaxed), slab_write, &slabs, live_bytes);
    neb_output_finish(&slabs);
}

void neb_summary_classes(enum nbt_reason reason)
{
    static uint64_t live_bytes[CLASS_COUNT]; /* the recorder's lock */
    slabs_write(reason, live_bytes);
    struct nbt_chunk *chunk = neb_output_begin(NBT_CLASSES, 2 * NBT_CHUNK_ALIGN, 0, reason, 0);
    if (chunk == NULL)
        return;
    _Static_assert((CLASS_COUNT + 1) * sizeof(struct nbt_class) + sizeof(struct nbt_chunk) <= 2 * NBT_CHUNK_ALIGN, "all fit");
    unsigned char *at = neb_output_payload(chunk);
    neb_stats_take(&stats);
    uint64_t large_bytes = mode == NBT_MODE_PROFILE || mode == NBT_MODE_TRACE ? neb_output_first()->live_bytes : 0;
    for (unsigned class_index = 0; class_index < CLASS_COUNT; class_index++) {
        struct nbt_class class = class_of(class_index);
        class.live_bytes = live_bytes[class_index];
        large_bytes -= class.live_bytes;
        if (stats.class[class_index].taken == 0)
            continue;
        memcpy(at, &class, sizeof class);
        at += sizeof class;
    }
    uint64_t large = stats.large.large_blocks + stats.large.huge_blocks;
    struct nbt_class rest = {.blocks = large, .live = large, .slab_bytes = stats.large.large_bytes + stats.large.huge_bytes,
                             .live_bytes = (int64_t)large_bytes > 0 ? large_bytes : 0};
    memcpy(at, &rest, sizeof rest);
    at += sizeof rest;
    neb_output_commit(chunk, (size_t)(at - neb_output_payload(chunk)));
    neb_output_seal(chunk);
}

void neb_summary_text(char *into, size_t bytes)
{
    struct text text = neb_text_in(into, bytes);
    const struct nbt_file *page = neb_output_first();
    const struct {
        const char *label;
        uint64_t value;
        bool is_size;
    } lines[] = {{"mode ", 0, false},
                 {"live ", page->live_bytes, true},
                 {" in ", page->live_blocks, false},
                 {" blocks\npeak ", page->peak_bytes, true},
                 {"\nallocated ", page->alloc_bytes, true},
                 {" in ", page->allocs, false},
                 {" calls, freed ", page->frees, false},
                 {"\nresident ", page->rss_bytes, true},
                 {"; mapped by the allocator ", stats.mapped_bytes, true},
                 {", of which free ", stats.free_resident_bytes, true},
                 {"\nrunning for ms ", page->now_ns / 1000000, false}};
    neb_stats_take(&stats);
    neb_text_string(&text, lines[0].label);
    neb_text_string(&text, mode_name(mode));
    neb_text_string(&text, "\n");
    for (unsigned i = 1; i < sizeof lines / sizeof lines[0]; i++) {
        neb_text_string(&text, lines[i].label);
        if (lines[i].is_size)
            neb_text_size(&text, lines[i].value);
        else
            neb_text_decimal(&text, lines[i].value);
    }
    neb_text_end_line(&text);
}

/* ---- the end ------------------------------------------------------------------------------------------------------------------ */

static void end_write(void)
{
    struct lane_totals totals;
    const struct nbt_file *page = neb_output_first();
    struct keys keys = keys_in(end);
    neb_lanes_total(&totals);
    key_put_number(&keys, "allocs", totals.allocs);
    key_put_number(&keys, "frees", totals.frees);
    key_put_number(&keys, "reallocs", totals.reallocs);
    key_put_number(&keys, "alloc_bytes", totals.alloc_bytes);
    key_put_number(&keys, "live_blocks", totals.allocs - totals.frees);
    key_put_number(&keys, "live_bytes", totals.alloc_bytes - totals.freed_bytes);
    if (mode != NBT_MODE_TRACE) { /* whoever reads the events knows it exactly; here it is only the largest that was seen */
        key_put_number(&keys, "peak_bytes", page->peak_bytes);
        key_put_number(&keys, "peak_ns", page->peak_ns);
    }
    key_put_number(&keys, "failed", totals.failed);
    key_put_number(&keys, "dropped_events", totals.dropped);
    key_put_number(&keys, "other_stack_events", neb_depot_others());
    key_put_number(&keys, "untracked_frees", get(&state()->untracked_frees));
    key_put_number(&keys, "end_ns", page->now_ns);
    key_put_number(&keys, "stacks", neb_depot_count());
    key_put_number(&keys, "events", totals.events);
    keys_seal(end, &keys);
    end = NULL;
}

void neb_summary_finish(void)
{
    if (timeline != NULL) {
        timeline_add(neb_output_first());
        neb_output_seal(timeline);
    }
    timeline = NULL;
    if (end != NULL)
        end_write();
}

void neb_summary_forget(void)
{
    neb_output_drop(&timeline);
    neb_output_drop(&end);
}
