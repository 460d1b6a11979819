/* tuning.h - every number that was chosen, with its unit, its reason, and what measures it. */
#ifndef NEB_POLICY_TUNING_H
#define NEB_POLICY_TUNING_H

#include <stddef.h>
#include <stdint.h>

/* ---- the picture of memory ---------------------------------------------------------------------------------- */

enum {
    GRANULE_SHIFT = 16, /* 64 KiB: the largest page size in use, so that a granule is always whole pages */
    CHUNK_SHIFT = 22,   /* 4 MiB: two huge pages, and its 64 granules are the bits of one word */
    HUGE_PAGE_SHIFT = 21, /* 2 MiB, where pages are of 4 KiB; elsewhere asking for them does nothing */
    LEAF_SHIFT = 34,    /* 16 GiB a leaf of the page map: of its entries few pages are ever touched */
    ADDRESS_BITS = 48   /* what the kernel hands out unless asked for more; a mapping beyond is given back */
};
#define GRANULE_BYTES ((size_t)1 << GRANULE_SHIFT)
#define CHUNK_BYTES ((size_t)1 << CHUNK_SHIFT)
#define CHUNK_GRANULES (1u << (CHUNK_SHIFT - GRANULE_SHIFT))
#define HUGE_PAGE_BYTES ((size_t)1 << HUGE_PAGE_SHIFT)
#define HUGE_PAGE_GRANULES (1u << (HUGE_PAGE_SHIFT - GRANULE_SHIFT))
#define LEAF_GRANULES ((size_t)1 << (LEAF_SHIFT - GRANULE_SHIFT))
#define LEAF_CHUNKS ((size_t)1 << (LEAF_SHIFT - CHUNK_SHIFT))
#define LEAF_COUNT ((size_t)1 << (ADDRESS_BITS - LEAF_SHIFT))
_Static_assert(CHUNK_GRANULES == 64, "a chunk's granules are one word");

/* The part of the page map that the fast path reads: 64 GiB of addresses from a little above the first mapping
 * downwards. Its table costs 64 KiB of commit charge for each GiB (a step). */
#define WINDOW_GRANULES ((size_t)1 << 20)
#define WINDOW_STEP_GRANULES ((size_t)1 << 14)
#define WINDOW_ABOVE_BYTES ((size_t)512 << 20)

/* The first chunk is made usable in parts, this one and then as much again as there is: little programs never need more,
 * and memory counts as committed where the administrator forbids overcommitting. Granules. */
#define CHUNK_PART_GRANULES 4u

/* Granules in use, 32 MiB, from which on untouched huge pages, where a dense slab is the first, are asked for. bench: from 12 MiB on some
 * programs take a tenth less time where huge pages are at hand, and half as much again where a virtual machine's host has to find the
 * memory first; from 8 MiB on git has 13 % more memory. */
#define HUGE_PAGES_FROM_GRANULES 512u

/* Refills without a flush from which on a pool counts as growing. Its fresh slabs are faulted in whole, and may ask for
 * huge pages: it has filled several by then, so that little but a part of the last stays unused. bench: python3, perl
 * and sort took 2 to 5 % less processor time, for 1 % more memory; without this condition a thread churn had 180 MiB
 * resident instead of 40. Slabs of big blocks are faulted in too, but never ask for huge pages: node took 3 % less time
 * than with glibc's malloc, and with huge pages from 15 % less to 50 % more, by what the machine had at hand. */
#define GROWING_REFILLS 8

/* How long free pages stay resident, milliseconds; the option decay_ms. bench: with 500 python-text had 28.2 MiB and has 26.0, redis 22.8 and 21.5,
 * sqlite 16.6 and 15.8; with 20 sizes-large takes 5 % more time. */
#define DECAY_MS_DEFAULT 50
/* When mallocs are watched (heap/heap.h): one is late so many milliseconds after the last that was, which the coarse clock's step
 * makes 4 on most systems; slow frees, the first ones and each eighth, after which two are watched; and how many after a late one, as the
 * few of a program that does something now and then. bench: settled size 7.6 to 2.6 MiB (glibc 4.5). After each slow free mstress-crowded
 * loses 8 %. */
enum { RESTING_MS = 2, WATCH_FIRST = 32, WATCH_EVERY = 8, WATCHED_BUSY = 2, WATCHED_RESTING = 64 };

/* ---- sizes of blocks ------------------------------------------------------------------------------------------ */

enum {
    STEP_SHIFT = 4,         /* classes are multiples of 16: the ABI's strictest alignment */
    CLASS_COUNT = 80,       /* 8 up to 128, then 8 for each doubling */
    SMALL_MAX = 65536,      /* bytes; above, granules are waste of less than half and are not faulted in */
    BIG_MIN = 8192,         /* bytes; blocks above are big: a few of them in the wrong place are a megabyte */
    SLAB_GRANULES_MAX = 3   /* bench: mstress had 19 MiB with slabs of at least 8 blocks, and has 14 with such of at least 2 */
};
/* Up to here a block is a run of a chunk's granules, above a mapping of its own. Half a chunk always fits beside
 * another. Bytes. */
#define LARGE_MAX (CHUNK_BYTES / 2)

/* Each size up to here finds its bin's offset in a table, with one load; above, the table goes in steps. Bytes. */
#define FAST_MAX 1024u

/* calloc above this size asks a bump arena for memory that is zero already before it clears a recycled block. Bytes. */
#define CALLOC_FRESH_MIN 512u

/* ---- magazines ------------------------------------------------------------------------------------------------ */

enum {
    MAGAZINE_ORDER_START = 9,      /* a magazine begins with 512 bytes: 63 entries and the NULL below them */
    MAGAZINE_ORDER_DOUBLES = 12,   /* up to a page */
    MAGAZINE_ORDER_MAX = 17,       /* 16,383 entries: bulk patterns of 10,000 blocks then need no flush */
    MAGAZINE_MIN = 4,              /* entries, for the largest classes */
    MAGAZINE_START_BYTES = 32768,  /* blocks that a new magazine may hold */
    /* Blocks that a magazine may hold after it swung between empty and full: little ones, of which programs make and free ten thousand
     * at a time, and all others, whose use costs more than a refill. bench: bulk, fragment, node */
    MAGAZINE_LITTLE = 96,
    MAGAZINE_LITTLE_BYTES = 1048576,
    MAGAZINE_MAX_BYTES = 262144,
    FRESH_BYTES = 16384,           /* taken from a bump arena at a time, at least one block */
    PRODUCER_REFILLS = 4,          /* refills without a flush from which on each one doubles the magazine: bench fresh */
    CONSUMER_FLUSHES = 4,          /* flushes without a refill from which on a heap gives up its partial slabs */
    SURPLUS_SLABS = 16,             /* given to the others at a time, when one of them found none and made a new one */
    STREAK_MAX = 100,
    FREED_LOOKS = 8, /* newest entries among which realloc looks for the block that it is to resize */
    /* What costs little where there is little traffic: so many first frees of a new magazine are looked at, and what they free waits behind so
     * many entries; so many first blocks of a class of up to so many bytes have room for another between them, taken so many at a time. */
    WARY_FREES = 32,
    WARY_DEPTH = 8,
    APART_BLOCKS = 32,
    APART_MAX = 256,
    APART_TAKEN = 16,
    APART_STRIDE = 2,
    APART_LITTLE = 128, /* bytes up to which there is room for three */
    APART_LITTLE_STRIDE = 4
};

/* ---- hardening ------------------------------------------------------------------------------------------------ */

enum {
    HARDEN_ORDER_START = 13,     /* of a new magazine: a refill takes 512 blocks, */
    HARDEN_FRESH_BYTES = 65536,  /* but not more than a slab: with few blocks alive, what is beside one mostly is in no use */
    HARDEN_SHUFFLE = 512,        /* entries among which they change places, while few blocks of a class are alive: */
    HARDEN_SHUFFLE_REFILLS = 2,  /* for so many refills, of which the first entries are this many blocks */
    HARDEN_APART = 8,            /* from each other. From then on */
    HARDEN_RUN = 128,            /* entries stay together. bench: python3 takes 1.23 of harden=0's time. With all entries in random order it was
                                  * 1.85, among 8 entries 1.6, with each second one and then the others 1.37; in no random order 1.20 */
    HARDEN_WAITING = 7,          /* harden=1: freed blocks of a class that wait, but of big ones. bench: 3 % on python3 */
    HARDEN_QUARANTINE_SHIFT = 2  /* harden=1: large blocks, which wait with their pages, take a fourth of the option's KiB */
};

/* ---- blocks freed by other threads -------------------------------------------------------------------------- */

enum {
    BATCH_BLOCKS = 30,       /* with its header a batch is 256 bytes */
    BATCH_ORDER = 8,
    BATCH_BYTES_MAX = 65536, /* big blocks are not kept waiting until there are thirty */
    OUTBOX_SLOTS = 8,        /* owners for which a thread gathers at the same time */
    KEPT_MIN = 64,           /* bytes of another heap's block that the magazine may keep: a line */
    BURST_FREES = 8,         /* such frees in a row from which on it does. bench: with 2 mstress loses 5 %, with 0 larson-crowded a fifth */
    SPARE_BATCHES = 16       /* empty batches that a heap keeps */
};

/* ---- threads --------------------------------------------------------------------------------------------------- */

enum {
    /* Slow calls that a thread may make in the shared heap before it gets a heap: threads that allocate a block
     * or two (1,500 of them with one block each) never touch pages of their own. */
    YOUNG_CALLS = 8,
    /* Heaps that are kept whole for the next threads, with so many slabs at the most, magazines of arrays of up to 2^ORDER bytes, and so many
     * bytes of blocks in each. bench: churn has 2.6 MiB (without 3.5) and takes 0.7 of the time, larson-crowded has 10.6 (9.4). With 4 heaps
     * they have 3.1 and 12; with magazines of every size larson-crowded has 12, with new ones alone churn takes twice the instructions. */
    PARKED_HEAPS = 2,
    PARKED_SLABS = 64,
    PARKED_ORDER = 10,
    PARKED_BYTES = 32768,
    TICK_CALLS = 16,    /* slow calls between two looks at the clock, which takes some 20 ns */
    DECAY_CHUNKS_MAX = 16, /* chunks purged at one tick: 64 MiB take some ms */
    HEAP_ID_BITS = 19,  /* of a page-map entry: half a million threads at a time */
    HEAP_SEGMENT = 64  /* heaps in the first segment of the table from ids to heaps */
};

/* ---- huge blocks ------------------------------------------------------------------------------------------------ */

/* Freed mappings kept for reuse until they decay: faulting 64 MiB in again costs some 10 ms. The option huge_keep_mib. */
#define HUGE_KEEP_MIB_DEFAULT 64
/* Huge blocks that were allocated before new ones ask for huge pages: a few large tables may be sparse. bench: sizes-huge; with 2 it takes 0.85 of
 * the time on a warm machine, 1.9 on a cold one. */
#define HUGE_PAGE_ALLOCS_MIN 8
/* Frees of blocks above half of what may be kept before one is kept: a program that is done with its one large table shall not hold it
 * until it calls again. bench: realloc-large. */
#define HUGE_OVERSIZE_FREES 1

/* ---- checks (check/) ------------------------------------------------------------------------------------------------ */

enum {
    QUARANTINE_BLOCKS_MAX = 1 << 17,
    QUARANTINE_STEP = 64,   /* once it is full, so large a part of it leaves, */
    QUARANTINE_BATCH = 32,  /* so many blocks at a time */
    QUARANTINE_TRAY = 61,   /* blocks that a thread gathers before they come into the quarantine */
    QUARANTINE_KIB_DEFAULT = 3072, /* checked: with 4096 git, redis and python3 have more than twice glibc's memory, with 16384 sqlite3 2.9 times */
    HIDE_ALLOWANCE = 256,           /* large blocks that are hidden at their free before there has to be a millisecond for each (check/hide.h): */
    HIDE_ALWAYS_BYTES = 262144,     /* up to this size. bench: git 1.6 to 1.1 of default time at harden=1, checked 4.2 to 2.3 of glibc's */
    CHECKED_REFILL = 8,             /* blocks; frees go to the bitmaps. bench: 2 to 5 % on python3. With magazines for both it lost 5 %: the
                                     * lowest free block is on a page that is in use */
    CANARY_SLACK_MAX = 256,         /* bytes of a canary behind a block, however much room there is */
    FILL_BYTES_MAX = 65536,         /* of a fresh block; filling more would make memory resident that is never used */
    CHECK_STACK_DEPTH = 12,
    GUARD_GROWING_MIN = 65536,      /* bytes of a guarded block from which on it grows where it is: to copy less costs less than the slot's
                                     * system calls. bench: 20 MB grown by 4 KiB take 0.05 s, not 24 */
    GUARD_SAMPLE_SLOTS = 1 << 10    /* two pages of address space each, one of memory: 4 MiB at most */
};

/* ---- signal handlers ---------------------------------------------------------------------------------------------- */

enum {
    EMERGENCY_GRANULES = 4,   /* 256 KiB of address space, once a program has a handler of signals */
    EMERGENCY_CELL_SHIFT = 8  /* blocks are up to 64 cells of 256 bytes: a crash handler's texts and tables */
};

/* ---- metadata ---------------------------------------------------------------------------------------------------- */

/* Bytes, of the first region and of the others: what is mapped counts as committed. */
#define META_REGION_BYTES_FIRST ((size_t)64 << 10)
#define META_REGION_BYTES ((size_t)256 << 10)

/* ---- recording (the profile variant) ----------------------------------------------------------------------------- */

enum {
    /* Frames of all call stacks together: 24 bytes each and some 40 in the table, 130 MiB at most. gcc's cc1plus, which recurses
     * over its trees, had 613,000 on one file of templates; CPython has some 50,000. */
    DEPOT_NODES_MAX = 5 << 19,
    SITES_MAX = 1 << 18,     /* call stacks that allocate, 256 bytes each in the file, 512 where much is allocated; that cc1plus had 65,000 */
    STACK_FRAMES_MAX = 128,  /* the largest depth that can be asked for */
    TRACE_DEPTH_DEFAULT = 128, /* programs of more frames than that have others of each call with every level: costly */
    STACK_CACHE_SLOTS = 512, /* call stacks that a thread remembers whole, 8 KiB each, made as they are needed */
    STACK_CACHE_WAYS = 8,    /* of them with the same place: loops that call from several places outside of it alternate */
    STACK_CACHE_SEEN = 2048, /* that came once, and are remembered when they come again */
    STACK_CACHE_CHILDREN = 4096, /* nodes of the depot that a thread remembers, 16 bytes each */
    LANE_CHUNK_BYTES_FIRST = 4096, /* a lane's first chunk: thousands of threads write a little each */
    LANE_CHUNK_BYTES_MAX = 262144,
    STACKS_CHUNK_BYTES_FIRST = 16384,
    STACKS_CHUNK_BYTES = 65536,
    ROWS_CHUNK_BYTES = 65536,
    TIMELINE_BYTES = 65536, /* 1,023 points: what a plot can show */
    LANES_MAX = 65535,      /* a block's record has 16 bits for its lane */
    PULSE_EVENTS = 256,     /* events of a lane between two looks at the clock, and two epochs */
    WORKER_MS = 10          /* between two looks at the control channel */
};
#define SAMPLE_BYTES_DEFAULT ((uint64_t)512 << 10)

#endif
