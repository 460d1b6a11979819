/* format.h - the .nbt file as constants and structs; README.md in this folder says what they mean, byte by byte.
 *
 * Seen by trace/, which writes such files, and by the tool, which reads them. All numbers are little-endian; structs
 * have no padding that is not a named field. Nothing here depends on another header of the project. */
#ifndef NEB_TRACE_FORMAT_H
#define NEB_TRACE_FORMAT_H

#include <stdint.h>

/* A reader refuses a file of another major version. A minor version adds chunk kinds, events, keys, and fields at the
 * end of what has a length; a reader skips what it does not know. */
enum {
    NBT_MAJOR = 2,
    NBT_MINOR = 0
};

#define NBT_MAGIC "\x89NBT\r\n\x1a\n" /* 8 bytes, without the terminating NUL */

enum {
    NBT_HEADER_BYTES = 4096, /* struct nbt_file; the first chunk begins there */
    NBT_CHUNK_ALIGN = 4096,  /* where chunks begin in a file as the library writes it */
    NBT_CHUNK_MAGIC = 0x4354424e /* "NBTC" */
};

/* ---- the first page: the file, live figures, and the control channel ----------------------------------------- */

enum nbt_state {
    NBT_RUNNING = 0, /* or killed: see pid */
    NBT_CLOSED = 1,  /* the process ended, or `stop` was asked for: complete */
    NBT_FULL = 2     /* the disk is full, or another error: what is there is good, what came later is missing */
};

enum nbt_mode {
    NBT_MODE_OFF = 0,
    NBT_MODE_SAMPLE = 1,
    NBT_MODE_PROFILE = 2,
    NBT_MODE_TRACE = 3
};

enum nbt_command {
    NBT_COMMAND_NONE = 0,
    NBT_COMMAND_START = 1, /* text: options as in NEBMALLOC ("mode=trace,out=x.nbt"); refused while a mode is on */
    NBT_COMMAND_STOP = 2,  /* completes the file */
    NBT_COMMAND_DUMP = 3,  /* a snapshot: reply is the name of the file that holds it */
    NBT_COMMAND_STATS = 4, /* refreshes the live figures; reply: the readable report of the allocator */
    NBT_COMMAND_LEAKS = 5, /* as DUMP, for a reader that wants what is live now */
    NBT_COMMAND_MARK = 6   /* text: becomes a mark in the file */
};

enum nbt_status {
    NBT_STATUS_OK = 0,
    NBT_STATUS_REFUSED = 1 /* reply says why, one line */
};

enum { NBT_TEXT_BYTES = 512, NBT_REPLY_BYTES = 2048 };

struct nbt_file {
    uint8_t magic[8];
    uint16_t major, minor;
    uint32_t header_bytes; /* NBT_HEADER_BYTES: where the first chunk begins */
    uint32_t state;        /* enum nbt_state */
    uint32_t mode;         /* enum nbt_mode */
    uint32_t pid;
    uint32_t reserved0;
    uint64_t file_bytes;   /* what was reserved so far: no chunk begins at or behind it */
    uint64_t start_ns;     /* CLOCK_MONOTONIC; all times in chunks count from here */
    uint64_t start_unix_ns; /* CLOCK_REALTIME at the same moment */
    uint64_t sample_bytes; /* mean distance of samples in bytes; 0 but in mode sample */
    /* 64: live figures, refreshed every 10 ms or so */
    uint64_t now_ns;       /* time of the figures, from start_ns */
    uint64_t allocs, frees, alloc_bytes;
    uint64_t live_blocks, live_bytes, peak_bytes, peak_ns;
    uint64_t dropped_events; /* calls that could not be recorded: a signal came in the middle of recording another */
    uint64_t other_stack_events; /* allocations whose stack did not fit into the depot any more: NBT_STACK_OTHER */
    uint64_t rss_bytes;
    uint64_t peak_number; /* of the newest peak: see struct nbt_site */
    uint64_t reserved1[4];
    /* 192: the control channel */
    uint32_t request;      /* the tool adds one when command and text are written */
    uint32_t reply;        /* the library sets it to request when it is done */
    uint32_t command;      /* enum nbt_command */
    uint32_t status;       /* enum nbt_status */
    uint8_t text[NBT_TEXT_BYTES];   /* NUL-terminated */
    uint8_t answer[NBT_REPLY_BYTES]; /* NUL-terminated */
    uint8_t reserved2[NBT_HEADER_BYTES - 192 - 16 - NBT_TEXT_BYTES - NBT_REPLY_BYTES];
};
_Static_assert(sizeof(struct nbt_file) == NBT_HEADER_BYTES, "the first page");

/* ---- chunks -------------------------------------------------------------------------------------------------------- */

enum nbt_kind {
    NBT_PROCESS = 1,  /* keys and values */
    NBT_MODULES = 2,  /* records: loaded and unloaded libraries */
    NBT_THREADS = 3,  /* records: threads on lanes */
    NBT_STACKS = 4,   /* nodes of the stack tree; base: id of the first */
    NBT_EVENTS = 5,   /* mode trace: one lane's events */
    NBT_SITES = 6,    /* modes sample and profile: array of struct nbt_site, updated in place */
    NBT_TIMELINE = 7, /* array of struct nbt_point, updated in place */
    NBT_CLASSES = 8,  /* array of struct nbt_class: one snapshot; base: enum nbt_reason */
    NBT_SLABS = 9,    /* records: which stacks' blocks lie in which slabs; base: enum nbt_reason */
    NBT_MARKS = 10,   /* records: text at a time */
    NBT_END = 11,     /* keys and values: totals */
    NBT_INDEX = 12,   /* array of struct nbt_index_entry: made by the tool, may be left out or rebuilt */
    NBT_BUCKETS = 13, /* array of struct nbt_buckets, updated in place; base: how many came before */
    /* 32 to 63 are kept for hints, faults, reachability and advice. */
    NBT_KIND_LATER = 32
};

enum nbt_codec { NBT_RAW = 0, NBT_ZSTD = 1 };

enum nbt_chunk_flags {
    NBT_SEALED = 1 /* nothing changes any more, and checksum is valid */
};

enum nbt_reason { NBT_AT_EXIT = 0, NBT_AT_DUMP = 1 };

struct nbt_chunk {
    uint32_t magic;
    uint16_t kind;
    uint8_t codec;
    uint8_t flags;
    uint32_t checksum;     /* of the stored payload bytes: CRC-32C; valid when sealed */
    uint32_t lane;         /* events: whose they are; else 0 */
    uint64_t span_bytes;   /* from this header to the next chunk's; a multiple of 8 */
    uint64_t stored_bytes; /* payload bytes that are valid, behind this header; grows until the chunk is sealed */
    uint64_t raw_bytes;    /* of the payload when it is decompressed; 0 in raw chunks */
    uint64_t base;         /* events: number of the first allocation; stacks: id of the first node */
    uint64_t time_ns;      /* when the chunk was begun; events: the first stamp's time */
    uint64_t epoch;        /* events: the first epoch; else 0 */
};
_Static_assert(sizeof(struct nbt_chunk) == 64, "a chunk's header");

/* ---- stacks -------------------------------------------------------------------------------------------------------- */

enum {
    NBT_STACK_NONE = 0,      /* the root; as an allocation's stack: it is not known */
    NBT_STACK_OTHER = 1,     /* the depot was full */
    NBT_STACK_TRUNCATED = 2, /* parent of the outermost frame of a stack that was deeper than the limit */
    NBT_STACK_FIRST = 16     /* the first node in the file */
};

/* ---- events -------------------------------------------------------------------------------------------------------- */

/* The low two bits of an event's first varint. */
enum nbt_event {
    NBT_ALLOC = 0,       /* zigzag of the stack's distance; the size is the one remembered for the stack */
    NBT_ALLOC_SIZED = 1, /* the same; a varint follows: size */
    NBT_FREE = 2,        /* age - 1 of a block of this lane */
    NBT_OTHER = 3        /* enum nbt_other */
};

enum nbt_other {
    NBT_STAMP = 0,         /* varints: epoch's distance, time's distance in ns */
    NBT_FREE_REMOTE = 1,   /* varints: lane, zigzag of the number's distance */
    NBT_REALLOC = 2,       /* varints: age - 1, zigzag of the stack's distance, size << 1 | moved */
    NBT_REALLOC_REMOTE = 3, /* varints: lane, zigzag of the number's distance, zigzag of the stack's, size << 1 | moved */
    NBT_ALLOC_ALIGNED = 4, /* varints: zigzag of the stack's distance, size, log2 of the alignment */
    NBT_FAILED = 5,        /* varints: zigzag of the stack's distance, size: the allocator had no memory */
    NBT_DROPPED = 6        /* varint: calls of this lane that could not be recorded since the last such event */
};

enum { NBT_SIZE_SLOTS = 1024 }; /* of remembered sizes: slot stack % 1024 */

/* ---- sites --------------------------------------------------------------------------------------------------------- */

enum { NBT_AGE_BUCKETS = 32, NBT_SIZE_BUCKETS = 32, NBT_ROW_BYTES = 256 };

/* One allocating call stack. A record with stack 0 and no allocs is not in use. Sizes are as asked for. */
struct nbt_site {
    /* What every allocation changes. */
    uint32_t stack;
    uint32_t lock;          /* the library's; a reader ignores it */
    uint64_t allocs, bytes; /* all there were, those by realloc too */
    uint64_t frees, freed_bytes;
    uint64_t peak;          /* number of the peak that peak_blocks and peak_bytes belong to */
    uint64_t usable_bytes;  /* as bytes, but of blocks as they are: usable_bytes - bytes is slack */
    uint64_t last_ns;       /* time of the latest allocation */
    /* What some do. */
    uint64_t live_blocks_max, live_bytes_max; /* of this site by itself */
    uint64_t peak_blocks, peak_bytes; /* live when the whole process had its peak, if peak == the header's; see README */
    uint64_t size_max;
    uint64_t life_ns;       /* sum over the frees, to some 17 ms each */
    uint64_t frees_at_once; /* freed before the thread allocated again */
    uint64_t first_ns;      /* time of the first allocation */
    /* Modulo 256; the rest is in struct nbt_buckets. */
    uint8_t age[NBT_AGE_BUCKETS];   /* frees by log2 of the age in allocations of the thread: bucket 0 is age 1 */
    uint8_t size[NBT_SIZE_BUCKETS]; /* allocations by log2 of the size: bucket 0 is 0 and 1, 1 is 2 and 3 */
    uint64_t reallocs, reallocs_moved; /* resized to this site */
    uint64_t frees_remote;  /* by another thread than the one that allocated */
    uint64_t weighted_allocs, weighted_bytes, weighted_frees, weighted_freed_bytes; /* mode sample: estimates; blocks in 256ths */
    uint32_t buckets;       /* its struct nbt_buckets in the file, from 1 on; 0: none */
    uint32_t reserved;
};
_Static_assert(sizeof(struct nbt_site) == NBT_ROW_BYTES, "a site");

struct nbt_buckets {
    uint32_t age[NBT_AGE_BUCKETS], size[NBT_SIZE_BUCKETS]; /* how often each of the site's buckets went from 255 to 0 */
};
_Static_assert(sizeof(struct nbt_buckets) == NBT_ROW_BYTES, "a site's buckets");

/* ---- figures over time ------------------------------------------------------------------------------------------------ */

struct nbt_point {
    uint64_t time_ns;
    uint64_t live_bytes, live_blocks; /* as asked for */
    uint64_t allocs, frees;
    uint64_t rss_bytes;    /* of the process */
    uint64_t used_bytes;   /* slabs and large blocks */
    uint64_t mapped_bytes; /* by the allocator */
};

struct nbt_class {
    uint32_t block_bytes;  /* 0: large blocks */
    uint32_t reserved0;
    uint64_t slabs, blocks; /* blocks: that the slabs have room for */
    uint64_t live, cached; /* blocks with the program; in threads' magazines */
    uint64_t slab_bytes;
    uint64_t live_bytes;   /* as asked for, where known: modes profile and trace; else 0 */
    uint64_t reserved1;
};
_Static_assert(sizeof(struct nbt_class) == 64 && sizeof(struct nbt_point) == 64, "arrays without gaps");

struct nbt_index_entry {
    uint64_t offset;
    uint16_t kind, reserved0;
    uint32_t lane;
    uint64_t base, time_ns;
};

#endif
