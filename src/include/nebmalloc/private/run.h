/* run.h - runs: objects of one size in a scope, without a word before each. A part of engine.h, private.
 *
 *   block: [64][magic|table of runs|bits][word|object][word|object]  [obj|obj|obj|obj]  [word|object]
 *          ^ a multiple of 32 KiB                                    ^ begin          ^ end
 *
 * A word and cur lie in two cache lines, and to store into both in turn costs more than all else that an
 * allocation does. So the size of objects that follow each other stands once, in the table of their block. By
 * an object's address free() finds the block, in at most NEB_RUNS_ steps the run, and by a remainder whether
 * an object begins there. Two bits for each 16 bytes say that an object was freed, and that it is smaller
 * than those of its run: by how much stands in its last byte. Bits where objects begin, set by the inline
 * path, lost: 0.96 ns for an object of 64 bytes, against 0.63 with words and 0.30 in a run.
 *
 * A run begins where an object is of the size of the two before. Whether it is so is looked at after some KiB
 * of objects with words, and then only now and again: small scopes, and those whose sizes change, have words.
 *
 * With the library alone: the fallback cannot know its memory by address, and tools want all objects apart.
 *
 * Invariant  in the block of a tail's cur the magic stands if and only if the block began with a table; its
 *            runs lie below cur, but for the open one. Blocks above cur may hold anything: who enters one
 *            writes its table, or takes the magic out where an object reaches into it
 * Invariant  cur is at an object's place while a run is open, else at a word's, 8 beyond a multiple of 16
 * Sync       threads that free objects read the table while it grows: count is released after its entry */
#ifndef NEBMALLOC_PRIVATE_RUN_H
#define NEBMALLOC_PRIVATE_RUN_H

enum { NEB_BLOCK_BYTES_ = 32768, NEB_RUNS_ = 8, NEB_UNITS_ = NEB_BLOCK_BYTES_ / 16 };
enum {
    NEB_SKIP_MAX_ = 1024, /* of a block's end: larger objects reach into the next one */
    NEB_MISSES_MAX_ = 5,
    NEB_WORDS_ = 1536,  /* bytes with words until a run is thought of, doubled by a miss: it takes 10 ns */
    NEB_SHORT_RUN_ = 16 /* objects; a run of fewer is a miss, too */
};

typedef struct neb_run_entry_ {
    uint16_t begin, end; /* from the block's beginning; end atomic; begin + 1: one object, of any size */
    uint32_t size;       /* of each object */
} neb_run_entry_;

typedef struct neb_runs_ {
    uint64_t magic;
    uint16_t count;     /* atomic */
    uint16_t is_open;   /* the last one */
    uint32_t is_marked; /* atomic; some bit below may be set */
    neb_run_entry_ run[NEB_RUNS_];
    uint64_t freed[NEB_UNITS_ / 64], shrunk[NEB_UNITS_ / 64]; /* atomic */
} neb_runs_;

enum { NEB_BLOCK_HEAD_ = sizeof(neb_segment) + sizeof(neb_runs_) };

NEB_INTERNAL_ size_t neb_block_offset_(const void *p)
{
    return neb_address_(p) % NEB_BLOCK_BYTES_;
}

NEB_INTERNAL_ unsigned char *neb_block_of_(void *p)
{
    return (unsigned char *)p - neb_block_offset_(p);
}

NEB_INTERNAL_ neb_runs_ *neb_runs_at_(void *p)
{
    return (neb_runs_ *)(void *)(neb_block_of_(p) + sizeof(neb_segment));
}

NEB_INTERNAL_ uint64_t neb_runs_magic_(const neb_runs_ *runs)
{
    return (uint64_t)neb_address_(runs) * UINT64_C(0x9E3779B97F4A7C15) ^ UINT64_C(0xB10C5EED0D1CE5A3);
}

/* The table of p's block; NULL: it has none. p lies in a segment of the library's. */
NEB_INTERNAL_ neb_runs_ *neb_runs_of_(void *p)
{
    neb_runs_ *runs = neb_runs_at_(p);
    return runs->magic == neb_runs_magic_(runs) ? runs : NULL;
}

NEB_INTERNAL_ size_t neb_stride_(size_t size)
{
    return (size + (size == 0) + 15) & ~(size_t)15;
}

NEB_INTERNAL_ bool neb_run_is_single_(const neb_run_entry_ *run)
{
    return __atomic_load_n(&run->end, __ATOMIC_RELAXED) == run->begin + 1;
}

/* The run p lies in, at the beginning of an object (or not: *is_inside); NULL: in none. */
NEB_INTERNAL_ neb_run_entry_ *neb_run_find_(neb_runs_ *runs, const void *p, bool *is_inside)
{
    size_t offset = neb_block_offset_(p), count = __atomic_load_n(&runs->count, __ATOMIC_ACQUIRE);
    *is_inside = false;
    for (size_t i = 0; i < count && i < NEB_RUNS_; i++) {
        neb_run_entry_ *run = &runs->run[i];
        if (offset < run->begin || offset >= __atomic_load_n(&run->end, __ATOMIC_RELAXED))
            continue;
        *is_inside = (offset - run->begin) % neb_stride_(run->size) != 0;
        return run;
    }
    return NULL;
}

NEB_INTERNAL_ bool neb_bit_get_(const uint64_t *bits, const void *p)
{
    size_t unit = neb_block_offset_(p) / 16;
    return (__atomic_load_n(&bits[unit / 64], __ATOMIC_RELAXED) >> (unit % 64) & 1) != 0;
}

/* Atomic: other threads set those beside it. */
NEB_INTERNAL_ void neb_bit_set_(neb_runs_ *runs, uint64_t *bits, const void *p)
{
    size_t unit = neb_block_offset_(p) / 16;
    (void)__atomic_fetch_or(&bits[unit / 64], (uint64_t)1 << (unit % 64), __ATOMIC_RELAXED);
    __atomic_store_n(&runs->is_marked, 1, __ATOMIC_RELAXED);
}

NEB_INTERNAL_ void neb_bit_clear_(uint64_t *bits, const void *p)
{
    size_t unit = neb_block_offset_(p) / 16;
    (void)__atomic_fetch_and(&bits[unit / 64], ~((uint64_t)1 << (unit % 64)), __ATOMIC_RELAXED);
}

/* What was asked for. */
NEB_INTERNAL_ size_t neb_run_size_(const neb_runs_ *runs, const neb_run_entry_ *run, const void *p)
{
    if (neb_run_is_single_(run) || !neb_bit_get_(runs->shrunk, p))
        return run->size;
    unsigned char less = ((const unsigned char *)p)[run->size - 1];
    return run->size - (less == 0 ? 256 : less);
}

/* Bytes that may be used. */
NEB_INTERNAL_ size_t neb_run_usable_(const neb_runs_ *runs, const neb_run_entry_ *run, const void *p)
{
    if (neb_run_is_single_(run))
        return (((size_t)run->size + (run->size == 0) + 23) & ~(size_t)15) - 8;
    return neb_bit_get_(runs->shrunk, p) ? run->size - 1 : neb_stride_(run->size);
}

/* An object of a run gets another size, up to the run's. */
NEB_INTERNAL_ void neb_run_shrink_(neb_runs_ *runs, neb_run_entry_ *run, void *p, size_t size)
{
    if (neb_run_is_single_(run)) {
        run->size = (uint32_t)size;
    } else if (size == run->size) {
        neb_bit_clear_(runs->shrunk, p);
    } else {
        ((unsigned char *)p)[run->size - 1] = (unsigned char)(run->size - size);
        neb_bit_set_(runs, runs->shrunk, p);
    }
}

NEB_INTERNAL_ bool neb_has_runs_(const neb_arena *arena)
{
    return (arena->flags & NEB_ARENA_RUNS_) != 0;
}

NEB_INTERNAL_ neb_scope *neb_scope_of_(neb_arena *arena)
{
    return (neb_scope *)(void *)arena;
}

/* A table at the beginning of a block, which the tail enters there. */
NEB_ENGINE_ void neb_block_begin_(neb_arena *arena, unsigned char *block)
{
    neb_runs_ *runs = neb_runs_at_(block);
    memset(runs, 0, sizeof *runs);
    runs->magic = neb_runs_magic_(runs);
    arena->cur = block + NEB_BLOCK_HEAD_ + arena->bias;
}

/* The tail's cur has moved up; if into another block, by an object that reaches into it, then there is no
 * table. */
NEB_INTERNAL_ void neb_block_enter_(neb_arena *arena, unsigned char *old_cur)
{
    if (neb_has_runs_(arena) && neb_block_of_(old_cur) != neb_block_of_(arena->cur))
        neb_runs_at_(arena->cur)->magic = 0;
}

/* Nothing of the first block is left. */
NEB_INTERNAL_ void neb_runs_empty_(neb_runs_ *runs)
{
    if (__atomic_load_n(&runs->count, __ATOMIC_RELAXED) == 0)
        return;
    runs->is_open = 0;
    __atomic_store_n(&runs->count, 0, __ATOMIC_RELEASE);
}

/* The tail is another one, or was taken back: what the table says of memory above cur is over. */
NEB_ENGINE_ void neb_runs_cut_(neb_arena *arena)
{
    if (arena->cur == NULL)
        return;
    neb_runs_ *runs = neb_runs_of_(arena->cur);
    if (runs == NULL)
        return;
    size_t count = runs->count, top = neb_block_offset_(arena->cur);
    while (count > 0 && runs->run[count - 1].begin >= top)
        count--;
    runs->is_open = 0;
    __atomic_store_n(&runs->count, (uint16_t)count, __ATOMIC_RELEASE);
}

/* Forgets the open run, whose memory is over. */
NEB_INTERNAL_ void neb_run_drop_(neb_scope *scope)
{
    scope->run_end[scope->run] = NULL;
    scope->run = 0;
}

NEB_INTERNAL_ void neb_run_miss_(neb_scope *scope)
{
    if (scope->misses < NEB_MISSES_MAX_)
        scope->misses++;
}

/* Whether an object of that size follows on others: on the open run's, or on two with words. */
NEB_INTERNAL_ bool neb_run_is_likely_(neb_arena *arena, size_t size)
{
    neb_scope *scope = neb_scope_of_(arena);
    if (size == 0 || size > NEB_RUN_SIZE_MAX_ || size % 8 != 0 || (scope->flags & NEB_SCOPE_AMBIENT) != 0)
        return false;
    if (scope->run != 0)
        return scope->run == size / 8;
    size_t need = (size + 23) & ~(size_t)15;
    if (arena->cur == NULL || neb_block_offset_(arena->cur) < NEB_BLOCK_HEAD_ + 2 * need)
        return false;
    unsigned char *last = arena->cur + 8 - need, *before = last - need;
    return *neb_word_at_(last) == neb_word_of_(last, size) &&
           *neb_word_at_(before) == neb_word_of_(before, size);
}

/* The tail of a scope with runs as all but the inline path know it: cur at a place for a word. */
NEB_ENGINE_ void neb_run_close_(neb_arena *arena)
{
    neb_scope *scope = neb_scope_of_(arena);
    if (scope->run == 0)
        return;
    neb_runs_ *runs = neb_runs_at_(arena->cur);
    neb_run_entry_ *run = &runs->run[runs->count - 1];
    size_t top = neb_block_offset_(arena->cur), bytes = top - run->begin;
    if (bytes >= NEB_SHORT_RUN_ * neb_stride_(run->size))
        scope->misses = 0;
    else
        neb_run_miss_(scope);
    __atomic_store_n(&run->end, (uint16_t)top, __ATOMIC_RELAXED);
    runs->is_open = 0;
    arena->cur += arena->bias;
    neb_run_drop_(scope);
}

/* Opens a run with its first object; NULL: not here. */
NEB_ENGINE_ void *neb_run_begin_(neb_arena *arena, size_t size)
{
    neb_scope *scope = neb_scope_of_(arena);
    neb_runs_ *runs = neb_runs_of_(arena->cur);
    if (runs == NULL || runs->count == NEB_RUNS_)
        return NULL;
    size_t top = neb_block_offset_(arena->cur), stride = neb_stride_(size),
           room = neb_between_(arena->cur, arena->tail_end);
    if (room > NEB_BLOCK_BYTES_ - top)
        room = NEB_BLOCK_BYTES_ - top;
    if (room < 4 * stride + 32)
        return NULL;
    if (runs->is_marked != 0) { /* by objects that were above cur once */
        size_t unit = (top + 8) / 16;
        for (size_t bits = unit / 64; bits < NEB_UNITS_ / 64; bits++) {
            uint64_t kept = bits == unit / 64 ? ((uint64_t)1 << (unit % 64)) - 1 : 0;
            (void)__atomic_fetch_and(&runs->freed[bits], kept, __ATOMIC_RELAXED);
            (void)__atomic_fetch_and(&runs->shrunk[bits], kept, __ATOMIC_RELAXED);
        }
    }
    unsigned char *p = arena->cur + arena->bias, *end = p + ((room - 16) & ~(size_t)15);
    neb_run_entry_ *run = &runs->run[runs->count];
    run->begin = (uint16_t)neb_block_offset_(p);
    run->size = (uint32_t)size;
    __atomic_store_n(&run->end, (uint16_t)(run->begin + neb_between_(p, end)), __ATOMIC_RELAXED);
    runs->is_open = 1;
    __atomic_store_n(&runs->count, (uint16_t)(runs->count + 1), __ATOMIC_RELEASE);
    scope->run = (uint16_t)(size / 8);
    scope->run_end[scope->run] = end;
    arena->cur = p + stride;
    return p;
}

/* From the open run, for callers that are not the inline path. */
NEB_INTERNAL_ void *neb_run_take_(neb_arena *arena, size_t size)
{
    neb_scope *scope = neb_scope_of_(arena);
    if (scope->run == 0 || size != (size_t)scope->run * 8 ||
        !neb_fits_(arena->cur, scope->run_end[scope->run], neb_stride_(size)))
        return NULL;
    unsigned char *p = arena->cur;
    arena->cur = p + neb_stride_(size);
    return p;
}

/* Makes an object of a run that is the tail's last one any size; no run is open. False: no room for it or its
 * entry. */
NEB_ENGINE_ bool neb_run_resize_last_(neb_arena *arena, neb_runs_ *runs, neb_run_entry_ *run, void *p,
                                      size_t size)
{
    size_t need = ((size == 0 ? 1 : size) + 23) & ~(size_t)15, offset = neb_block_offset_(p);
    unsigned char *word = (unsigned char *)p - 8, *old_cur = arena->cur;
    if (need > neb_between_(word, arena->tail_end) || size > UINT32_MAX)
        return false;
    if (offset != run->begin) {
        if (runs->count == NEB_RUNS_)
            return false;
        __atomic_store_n(&run->end, (uint16_t)offset, __ATOMIC_RELAXED);
        run = &runs->run[runs->count];
        run->begin = (uint16_t)offset;
        __atomic_store_n(&run->end, (uint16_t)(offset + 1), __ATOMIC_RELAXED);
        run->size = (uint32_t)size;
        __atomic_store_n(&runs->count, (uint16_t)(runs->count + 1), __ATOMIC_RELEASE);
    } else {
        run->size = (uint32_t)size;
        __atomic_store_n(&run->end, (uint16_t)(offset + 1), __ATOMIC_RELAXED);
    }
    neb_bit_clear_(runs->shrunk, p);
    arena->cur = word + need;
    neb_block_enter_(arena, old_cur > arena->cur ? arena->cur : old_cur);
    return true;
}

#endif
