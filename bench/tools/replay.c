/* replay.c - does again what a recorded program did with malloc: the same sizes, in as many threads, each
 * block touched up to where the program had written to it.
 *
 *   replay --prepare TRACE READY      once, see prepare.c
 *   replay READY                      under each allocator; prints the line of JSON that micro workloads print
 *
 * Order    a thread waits for an event of another one only where both concern the same slot. Such waits can't
 *          form a circle, since the recorded order satisfies them all
 * Touch    one word in each 64 bytes is written after the allocation and verified before the free
 * Memory   the prepared file is mapped, and its pages are dropped as they are done with, so that they do not
 *          count as the allocator's
 * Failure  one line on stderr: exit status 2 for the files, 1 for an allocator that breaks contents */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "prepare.h"
#include "trace.h"

enum { LINE = 64, DROP_OPS = 1 << 15, THREADS_MAX = 64 };

struct slot {
    unsigned char *at;
    uint64_t touched;
    atomic_uint turn; /* S1: released by whoever has done the event before, acquired by the next one */
};

struct worker {
    _Alignas(128) const struct ready_op *op, *end;
    uint64_t checksum, operations;
};

static struct slot *slots;
static struct worker workers[THREADS_MAX];

_Noreturn void replay_fail(const char *what, const char *detail)
{
    fprintf(stderr, "replay: %s %s\n", what, detail);
    _exit(2);
}

static _Noreturn void allocator_fail(const char *what)
{
    fprintf(stderr, "replay: %s\n", what);
    _exit(1);
}

static uint64_t tag_of(uint32_t slot, uint64_t offset)
{
    return (slot + UINT64_C(1)) * UINT64_C(0x9E3779B97F4A7C15) + offset;
}

/* Words from `from` (rounded down to its line) to the end of what the program had touched. */
static void block_touch(uint32_t index, struct slot *slot, uint64_t from)
{
    for (uint64_t i = from & ~(uint64_t)(LINE - 1); i + 8 <= slot->touched; i += LINE) {
        uint64_t tag = tag_of(index, i);
        memcpy(slot->at + i, &tag, sizeof tag);
    }
    if (slot->touched > 0 && slot->touched < 8)
        memset(slot->at, (int)(index & 0xFF), slot->touched);
}

static void block_verify(uint32_t index, const struct slot *slot, uint64_t end)
{
    uint64_t tag;
    for (uint64_t i = 0; i + 8 <= end; i += LINE) {
        memcpy(&tag, slot->at + i, sizeof tag);
        if (tag != tag_of(index, i))
            allocator_fail("the contents of a live block have changed");
    }
}

static void *block_get(const struct ready_op *op)
{
    void *at = NULL;
    if (op->kind == READY_ALLOC)
        return malloc(op->size);
    if (op->kind == READY_ZEROED)
        return calloc(1, op->size);
    return posix_memalign(&at, (size_t)1 << (op->alignment_log2 < 4 ? 4 : op->alignment_log2), op->size) == 0
               ? at
               : NULL;
}

static void slot_begin(struct worker *worker, const struct ready_op *op, struct slot *slot)
{
    slot->at = block_get(op);
    if (slot->at == NULL)
        allocator_fail("an allocation returned NULL");
    slot->touched = op->touched;
    block_touch(op->slot, slot, 0);
    worker->operations++;
}

static void slot_resize(struct worker *worker, const struct ready_op *op, struct slot *slot)
{
    uint64_t kept = slot->touched < op->size ? slot->touched : op->size;
    slot->at = realloc(slot->at, op->size);
    if (slot->at == NULL)
        allocator_fail("realloc returned NULL");
    block_verify(op->slot, slot, kept);
    slot->touched = op->touched;
    block_touch(op->slot, slot, kept);
    worker->operations++;
}

static void slot_end(struct worker *worker, const struct ready_op *op, struct slot *slot)
{
    block_verify(op->slot, slot, slot->touched);
    worker->checksum += tag_of(op->slot, slot->touched) * (op->turn + UINT64_C(1));
    free(slot->at);
    slot->at = NULL;
}

static void op_run(struct worker *worker, const struct ready_op *op)
{
    struct slot *slot = &slots[op->slot];
    while (atomic_load_explicit(&slot->turn, memory_order_acquire) != op->turn) /* S1 */
        sched_yield();
    if (op->kind == READY_FREE)
        slot_end(worker, op, slot);
    else if (op->kind == READY_REALLOC)
        slot_resize(worker, op, slot);
    else
        slot_begin(worker, op, slot);
    atomic_store_explicit(&slot->turn, op->turn + 1, memory_order_release); /* S1 */
}

/* Gives back the pages of the file that hold operations already done. */
static void ops_drop(const struct ready_op *from, const struct ready_op *to)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    size_t head = -(uintptr_t)from & (page - 1);
    size_t bytes = (size_t)((const char *)to - (const char *)from);
    if (bytes > head + page)
        madvise((char *)(uintptr_t)from + head, (bytes - head) & ~(size_t)(page - 1), MADV_DONTNEED);
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    const struct ready_op *dropped = worker->op;
    for (const struct ready_op *op = worker->op; op < worker->end; op++) {
        op_run(worker, op);
        if (op - dropped < DROP_OPS)
            continue;
        ops_drop(dropped, op);
        dropped = op;
    }
    return NULL;
}

static uint32_t workers_init(const char *path)
{
    unsigned long size;
    const struct ready_header *header = file_map(path, &size);
    if (size < sizeof *header || memcmp(header->magic, READY_MAGIC, sizeof header->magic) != 0)
        replay_fail("not a prepared trace:", path);
    const uint64_t *starts = (const void *)(header + 1);
    const struct ready_op *ops = (const void *)(starts + header->threads + 1);
    if (header->threads > THREADS_MAX || (const char *)(ops + header->ops) != (const char *)header + size)
        replay_fail("a damaged prepared trace:", path);
    for (uint32_t i = 0; i < header->threads; i++)
        workers[i] = (struct worker){.op = ops + starts[i], .end = ops + starts[i + 1]};
    slots =
        mmap(NULL, header->slots * sizeof *slots, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (slots == MAP_FAILED)
        replay_fail("out of memory", "");
    return header->threads;
}

static void workers_run(uint32_t count)
{
    pthread_t threads[THREADS_MAX];
    for (uint32_t i = 1; i < count; i++)
        if (pthread_create(&threads[i], NULL, worker_main, &workers[i]) != 0)
            replay_fail("cannot start", "a thread");
    worker_main(&workers[0]);
    for (uint32_t i = 1; i < count; i++)
        pthread_join(threads[i], NULL);
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int replay(const char *path)
{
    uint64_t checksum = 0, operations = 0;
    uint32_t count = workers_init(path);
    double start_s = now_s();
    workers_run(count);
    double work_s = now_s() - start_s;
    for (uint32_t i = 0; i < count; i++) {
        checksum += workers[i].checksum;
        operations += workers[i].operations;
    }
    printf("{\"checksum\": \"%016" PRIx64 "\", \"operations\": %" PRIu64
           ", \"work_s\": %.6f, \"settled\": []}\n",
           checksum, operations, work_s);
    return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--prepare") == 0) {
        trace_prepare(argv[2], argv[3]);
        return 0;
    }
    if (argc != 2)
        replay_fail("usage:", "replay --prepare TRACE READY, or replay READY");
    return replay(argv[1]);
}
