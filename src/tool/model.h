/* model.h - what .nbt files say, in memory: the reader fills it, reports and exporters look at it.
 *
 *   files --reader--> processes, modules, threads, frames, nodes, sites --views--> reports, exports
 *
 * Several files (the processes of one run) go into one model: modules, frames and stacks that are the same
 * are kept once, and the sites of equal stacks are added up.
 *
 * Invariant  a node's parent has a smaller number; node 0 is the root; each node has at most one site
 *            the sums over all sites are the totals
 * Threads    the tool has one */
#ifndef NEB_TOOL_MODEL_H
#define NEB_TOOL_MODEL_H

#include "tool/util.h"
#include "trace/format.h"

struct module {
    char *path;
    const char *name; /* the last part of path */
    uint8_t build_id[32];
    unsigned build_id_bytes;    /* 0: none */
    uint64_t base, first, last; /* where the first process that had it mapped it; last is one beyond */
};

struct frame {
    uint64_t address; /* relative to the module's base; absolute where there is none */
    uint32_t module;  /* index + 1; 0: none */
    bool exact;       /* else the call stands before the address */
};

/* Frames that stand for something that is not known; they have neither module nor address. */
enum model_frame {
    FRAME_NONE,
    FRAME_OTHER,     /* the library had no more room for stacks */
    FRAME_TRUNCATED, /* deeper than what is kept */
    FRAME_LOST,      /* stood in a part of the file that is damaged */
    FRAME_UNKNOWN,   /* the library could not tell */
    FRAME_FIRST
};

struct node {
    uint32_t parent, frame;
    uint32_t depth; /* the root's is 0 */
};

enum { NODE_ROOT = 0, NODE_DEPTH_MAX = 4096 };

/* What blocks did, added up. Sizes as the program asked for. live = allocs - frees, bytes - freed_bytes. */
struct stats {
    uint64_t allocs, bytes, frees, freed_bytes;
    uint64_t peak_blocks, peak_bytes;         /* live at the process's peak */
    uint64_t live_blocks_max, live_bytes_max; /* its own maximum */
    uint64_t size_max;
    uint64_t reallocs, reallocs_moved, frees_remote, frees_at_once;
    uint64_t life_ns;      /* summed over the frees */
    uint64_t usable_bytes; /* 0: not known */
    uint64_t first_ns, last_ns;
    uint64_t age[NBT_AGE_BUCKETS], size[NBT_SIZE_BUCKETS];
};

struct site {
    uint32_t node;
    struct stats stats;
    uint64_t live_at_seen_bytes, live_at_seen_blocks, peak_seen; /* the reader's, while events are added up */
};

struct thread {
    uint32_t process, lane, tid;
    bool counted; /* the figures below are known */
    bool ended;
    char *name; /* "" if none */
    uint64_t begin_ns, end_ns;
    uint64_t allocs, bytes, frees, freed_bytes, frees_remote;
    size_t next_on_lane; /* index + 1 of the thread that came to its lane after it; 0: none */
};

struct mark {
    uint32_t process;
    uint64_t time_ns;
    char *text;
};

struct pin {
    uint32_t node;
    uint64_t blocks;
};

/* A slab that is mostly empty, and whose blocks keep it. */
struct slab_view {
    uint32_t process;
    uint64_t block_bytes, used, capacity;
    size_t first_pin, pin_count;
};

struct totals {
    uint64_t allocs, frees, reallocs, bytes, freed_bytes, live_blocks, live_bytes, peak_bytes, peak_ns;
    uint64_t failed, dropped, other_stack, untracked, events;
};

struct process {
    char *file, *exe, *command, *version, *mode_name, *arch, *cwd;
    uint64_t pid, ppid, start_unix_ns, end_ns, file_bytes, sample_bytes, page_size;
    enum nbt_mode mode;
    uint32_t state; /* enum nbt_state */
    bool killed;    /* state is running, but there is no such process */
    bool ended;     /* the file has an end with totals */
    struct totals totals;
    struct nbt_point *points;
    size_t point_count, point_room;
    struct nbt_class *classes; /* of the newest snapshot */
    size_t class_count;
    uint64_t classes_ns;
};

struct model {
    struct process *processes;
    size_t process_count, process_room;
    struct module *modules;
    size_t module_count, module_room;
    struct frame *frames;
    size_t frame_count, frame_room;
    struct node *nodes;
    size_t node_count, node_room;
    uint32_t *site_of_node; /* index + 1 */
    size_t site_of_node_room;
    struct site *sites;
    size_t site_count, site_room;
    struct thread *threads;
    size_t thread_count, thread_room;
    struct mark *marks;
    size_t mark_count, mark_room;
    struct slab_view *slabs;
    size_t slab_count, slab_room;
    struct pin *pins;
    size_t pin_count, pin_room;
    char **damage; /* one line each: what is missing and why */
    size_t damage_count, damage_room;
    uint64_t damage_more; /* lines beyond those that are kept */
    bool sampled;         /* counts are estimates */
    struct totals totals; /* summed over the processes */
    struct table module_table, frame_table, node_table;
};

void model_init(struct model *model);
void model_finish(struct model *model);

uint32_t model_module(struct model *model, const struct module *module); /* copies the path */
uint32_t model_frame(struct model *model, struct frame frame);
uint32_t model_node(struct model *model, uint32_t parent, uint32_t frame);
/* The node of a stack that is only a frame that is not known. */
uint32_t model_unknown(struct model *model, enum model_frame frame);
/* The site of a node, made when there is none. The pointer is good until the next call. */
struct site *model_site(struct model *model, uint32_t node);
void model_damage(struct model *model, const char *format, ...) TOOL_PRINTF(2, 3);
/* After the last file: totals, from the sites. */
void model_sum(struct model *model);

void stats_add(struct stats *sum, const struct stats *more);

static inline uint64_t stats_live_blocks(const struct stats *stats)
{
    return stats->allocs - stats->frees;
}

static inline uint64_t stats_live_bytes(const struct stats *stats)
{
    return stats->bytes - stats->freed_bytes;
}

/* What can be shown, sorted by, and drawn. */
enum metric {
    METRIC_PEAK,
    METRIC_BYTES,
    METRIC_COUNT,
    METRIC_LEAKED,
    METRIC_LEAKED_BLOCKS,
    METRIC_LIFETIME,
    METRIC_TEMPORARY,
    METRIC_COUNT_OF
};

struct metric_fact {
    const char *name, *title, *unit; /* unit: bytes, blocks, or ns */
};

extern const struct metric_fact metric_facts[METRIC_COUNT_OF];

uint64_t stats_metric(const struct stats *stats, enum metric metric);
/* METRIC_COUNT_OF when there is none of that name. */
enum metric metric_find(const char *name);

#endif
