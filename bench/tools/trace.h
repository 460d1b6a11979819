/* trace.h - the plain format of a recorded allocation trace, and the prepared one that is replayed.
 *
 *   program + librecord.so --> FILE: trace_header, trace_record ...      in the order in which things
 * happened replay --prepare       --> FILE: ready_header, thread table, ready_op ... grouped by thread replay
 * <-- under each allocator
 *
 * All numbers are in the machine's byte order. Addresses are those of the recorded program, and only serve as
 * names.
 *
 * Order   a free (or the begin of a realloc) is recorded before it is done, an allocation after it: an
 * address is never seen allocated twice at once, whatever the threads do
 */
#ifndef TRACE_H
#define TRACE_H

#include <stdint.h>

#define TRACE_MAGIC "NEBTRC1\n"
#define READY_MAGIC "NEBRDY1\n"

enum trace_kind {
    TRACE_EMPTY = 0,    /* not written, since the program was killed: skip */
    TRACE_ALLOC = 1,    /* address, size */
    TRACE_ALIGNED = 2,  /* address, size, alignment_log2 */
    TRACE_ZEROED = 3,   /* address, size */
    TRACE_FREE = 4,     /* address, value = bytes touched: up to the last one the program has written */
    TRACE_RE_BEGIN = 5, /* realloc of address; value = bytes touched */
    TRACE_RE_END = 6,   /* its result, same thread: new address (0: it failed), value = size */
};

struct trace_header {
    char magic[8];
    uint64_t count; /* of records */
    uint64_t unused[6];
};

struct trace_record {
    uint16_t kind;
    uint16_t alignment_log2;
    uint32_t thread; /* 0 is the first one seen */
    uint64_t address;
    uint64_t value;
};

struct ready_header {
    char magic[8];
    uint64_t ops;
    uint32_t slots;   /* blocks that are live at once, at most */
    uint32_t threads; /* the thread table holds threads + 1 numbers of type uint64_t: first op of each, end */
};

enum ready_kind { READY_ALLOC, READY_ALIGNED, READY_ZEROED, READY_FREE, READY_REALLOC };

/* The turn-th thing that happens to a slot; whoever is earlier waits. */
struct ready_op {
    uint16_t kind;
    uint16_t alignment_log2;
    uint32_t thread;
    uint32_t slot;
    uint32_t turn;
    uint64_t size;
    uint64_t touched; /* bytes of the block to write once it is allocated */
};

_Static_assert(sizeof(struct trace_header) == 64, "the header is one cache line");
_Static_assert(sizeof(struct trace_record) == 24, "no padding in a file format");
_Static_assert(sizeof(struct ready_op) == 32, "no padding in a file format");

#endif
